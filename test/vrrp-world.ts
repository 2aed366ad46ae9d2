/**
 * A world of network namespaces with a VRRP worker in each, for tests on real raw packets. A test file runs itself again inside
 * the world, which ends with it. Root is not needed; with it, workers may be given real-time scheduling.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FromWorker } from '../agent/worker/messages.ts';
import type { NodeMessage } from './vrrp-node.ts';

const INSIDE = 'HAPAIR_TEST_WORLD';
const WORLD_ARGUMENTS = '--net --mount --pid --fork --kill-child'.split(' ');
const WITHOUT_ROOT = '--map-root-user --user'.split(' ');
const EVENT_DEADLINE_MS = 60_000;
/** The pair of a test that says nothing else. */
export const PAIR = 'test/web';
/** The nodes of a world: two couples, and the third host of either. */
export const ADDRESSES = { a: '10.77.0.11', b: '10.77.0.12', c: '10.77.0.66', d: '10.77.0.67' };
export type NodeName = keyof typeof ADDRESSES;
const PEERS: Record<NodeName, NodeName> = { a: 'b', b: 'a', c: 'a', d: 'c' };
export type SetConfig = Extract<NodeMessage, { type: 'set' }>['config'];

/** Runs `ip` in the world, outside its nodes. */
export const ip = (command: string): void => {
  execFileSync('ip', command.split(' '), { stdio: ['ignore', 'inherit', 'inherit'] });
};

const buildWorld = (): void => {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  ip('link add switch type bridge');
  ip('link set switch up');
  for (const [name, address] of Object.entries(ADDRESSES)) {
    ip(`netns add ${name}`);
    ip(`link add port-${name} type veth peer name eth0 netns ${name}`);
    ip(`link set port-${name} master switch up`);
    ip(`-n ${name} addr add ${address}/24 dev eth0`);
    ip(`-n ${name} link set eth0 up`);
  }
};

/** A program with a VRRP worker in one of the namespaces, and everything it has said. */
export class TestNode {
  readonly name: NodeName;
  readonly events: FromWorker[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #heard = Promise.withResolvers<void>();

  /** @param wrapper a command that runs the program, such as `setpriv` with fewer capabilities. */
  constructor(name: NodeName, wrapper: readonly string[] = []) {
    this.name = name;
    const program = fileURLToPath(new URL('./vrrp-node.ts', import.meta.url));
    const child = spawn('ip', ['netns', 'exec', name, ...wrapper, process.execPath, program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#exited = once(child, 'exit');
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line));
      this.#heard.resolve();
      this.#heard = Promise.withResolvers<void>();
    });
  }

  send(message: NodeMessage): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /**
   * Sets a pair of this node; the peer is the other one of its couple, a's for c.
   * @param lastAdvertAtMs the worker goes on for one that was Master and sent its last advert then. Default: for nobody.
   */
  set(changes: Partial<SetConfig>, pair = PAIR, lastAdvertAtMs?: number): void {
    const config: SetConfig = {
      version: 3,
      virtualRouterID: 51,
      priority: 100,
      advertisementIntervalMs: 400,
      checksum: 'Pseudoheader',
      sourceAddress: ADDRESSES[this.name],
      peerAddress: ADDRESSES[PEERS[this.name]],
      interface: 'eth0',
      vips: ['10.77.0.100'],
      ...changes,
    };
    const resume = lastAdvertAtMs === undefined ? {} : { resume: { lastAdvertAtMs, fault: null } };
    this.send({ type: 'set', pair, config, ...resume });
  }

  /** The first event from index `since` on that has all of `fields`; waits for it. */
  async until(fields: Partial<Record<string, unknown>>, since = 0): Promise<FromWorker> {
    const deadline = Date.now() + EVENT_DEADLINE_MS;
    for (;;) {
      const wanted = Object.entries(fields);
      const found = this.events
        .slice(since)
        .find((event) => wanted.every(([key, value]) => Reflect.get(event, key) === value));
      if (found !== undefined) return found;
      const ended = this.#child.exitCode ?? this.#child.signalCode;
      if (Date.now() > deadline || ended !== null) {
        const seen = this.events.map((event) => JSON.stringify(event)).join('\n');
        throw new Error(`${this.name} did not say ${JSON.stringify(fields)}; it said:\n${seen}`);
      }
      await Promise.race([this.#heard.promise, this.#exited, delay(200)]);
    }
  }

  /** The states entered from event index `since` on, as `State Reason`; of one pair, or of all. */
  states(since = 0, pair?: string): string[] {
    return this.#states(since, pair).map(({ state, reason }) => `${state} ${reason}`);
  }

  /** When those states were entered, in milliseconds of the machine's monotonic clock. */
  stateTimes(since = 0, pair?: string): number[] {
    return this.#states(since, pair).map(({ atMs }) => atMs);
  }

  #states(since: number, pair?: string): Extract<FromWorker, { type: 'state' }>[] {
    return this.events
      .slice(since)
      .filter((event) => event.type === 'state')
      .filter((event) => pair === undefined || event.pair === pair);
  }

  /** What the worker's loop answers to a ping: whatever was sent before is in force by then. */
  async ping(): Promise<Extract<FromWorker, { type: 'pong' }>> {
    const since = this.events.length;
    this.send({ type: 'ping', id: 1 });
    const pong = await this.until({ type: 'pong' }, since);
    if (pong.type !== 'pong') throw new Error('unreachable: a pong was asked for');
    return pong;
  }

  /** The program's process. */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} has not started`);
    return this.#child.pid;
  }

  /** Stops the process where it is, as a suspended machine would. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Lets it go on. @returns the time before, of the machine's monotonic clock in milliseconds */
  goOn(): number {
    const before = Number(process.hrtime.bigint()) / 1e6;
    this.#child.kill('SIGCONT');
    return before;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Ends stdin: the worker resigns and the program ends by itself. */
  async end(): Promise<unknown> {
    this.#child.stdin?.end();
    await this.#exited;
    return this.#child.exitCode;
  }
}

/**
 * Runs `inWorld` in a world of its own, as one test called `name` of the file `url`.
 * @param asRoot without a user namespace: what real root may do is possible there. Default false.
 */
export const runInWorld = (
  name: string,
  url: string,
  inWorld: ReturnType<typeof suite>,
  { deadlineMs = 240_000, asRoot = false }: { deadlineMs?: number; asRoot?: boolean } = {},
): void => {
  if (process.env[INSIDE] === '1') {
    buildWorld();
    inWorld.run();
    return;
  }
  test(name, () => {
    const inner = [...(asRoot ? [] : WITHOUT_ROOT), ...WORLD_ARGUMENTS, process.execPath, fileURLToPath(url)];
    const world = spawnSync('unshare', inner, {
      env: { ...process.env, [INSIDE]: '1' },
      encoding: 'utf8',
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    });
    assert.is(world.status, 0, `${world.error?.message ?? ''}\n${world.stdout}\n${world.stderr}`);
    // What a test prints is for people to read.
    process.stdout.write(world.stdout);
  });
  test.run();
};
