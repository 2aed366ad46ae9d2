/** hapair as an end: the agent's VRRP worker with the real socket, and without the product around it, which never preempts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RejectCause } from '../../agent/vrrp/types.ts';
import type { FromWorker } from '../../agent/worker/messages.ts';
import type { NodeMessage } from '../vrrp-node.ts';
import { type End, type EndConfig, eventually, type Rejection, type Word } from './end.ts';
import { type Ground, otherPlace, type Place } from './ground.ts';

export const hapairEnd = (ground: Ground, place: Place): End => new Hapair(ground, place);

const PAIR = 'interop/web';
const PROGRAM = join(import.meta.dirname, '..', 'vrrp-node.ts');

const LOG_LINES = 40;

const CAUSES: Record<Rejection, RejectCause> = {
  source: 'SourceNotPeer',
  ttl: 'TTLTooLow',
  version: 'VersionMismatch',
  checksum: 'ChecksumInvalid',
  password: 'PasswordMismatch',
  interval: 'IntervalMismatch',
};

class Hapair implements End {
  readonly kind = 'hapair';
  readonly place: Place;
  readonly words: Word[] = [];
  priority = 0;
  readonly #ground: Ground;
  readonly #events: FromWorker[] = [];
  #running: { child: ChildProcess; exited: Promise<unknown> } | null = null;

  constructor(ground: Ground, place: Place) {
    this.#ground = ground;
    this.place = place;
  }

  async start(config: EndConfig): Promise<void> {
    this.priority = config.priority;
    const [command = '', ...args] = this.#ground.enter(this.place, [process.execPath, PROGRAM]);
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(JSON.parse(line)));
    // `close`, not `exit`: by then all that it has said is heard.
    const exited = once(child, 'close').then(() => this.words.push('Gone'));
    this.#running = { child, exited };
    const before = this.words.length;
    child.stdin.write(`${JSON.stringify(this.#set(config))}\n`);
    await eventually(
      'hapair should start',
      () => this.words.slice(before).includes('Backup') || undefined,
      () => this.log(),
    );
  }

  async crash(): Promise<void> {
    const { child, exited } = this.#process();
    child.kill('SIGKILL');
    await exited;
    this.#running = null;
  }

  /** The end of its input is what stops it. */
  async stop(): Promise<void> {
    const { child, exited } = this.#process();
    child.stdin?.end();
    await exited;
    this.#running = null;
  }

  async rejected(cause: Rejection): Promise<number> {
    return this.#events
      .flatMap((event) => (event.type === 'rejected' && event.cause === CAUSES[cause] ? [event.count] : []))
      .reduce((sum, count) => sum + count, 0);
  }

  async resignationsHeard(): Promise<number> {
    return this.#events.filter((event) => event.type === 'state' && event.reason === 'MasterResigned').length;
  }

  log(): string {
    return `hapair (${this.place}) said:\n${this.#events
      .slice(-LOG_LINES)
      .map((event) => JSON.stringify(event))
      .join('\n')}`;
  }

  #hear(event: FromWorker): void {
    this.#events.push(event);
    // Init comes before the start and after the end, which have their own words.
    if (event.type === 'state' && event.state !== 'Init') this.words.push(event.state);
  }

  #process(): { child: ChildProcess; exited: Promise<unknown> } {
    if (this.#running === null) throw new Error(`hapair does not run at ${this.place}.`);
    return this.#running;
  }

  #set(config: EndConfig): NodeMessage {
    const { version, intervalMs, priority, password, preempt = false } = config;
    const { virtualRouterID = 51, checksum = 'Pseudoheader', moreVIPs = [] } = config;
    return {
      type: 'set',
      pair: PAIR,
      config: {
        version,
        virtualRouterID,
        priority,
        advertisementIntervalMs: intervalMs,
        checksum,
        ...(password === undefined ? {} : { password }),
        sourceAddress: this.#ground.address(this.place),
        peerAddress: this.#ground.address(otherPlace(this.place)),
        vips: [this.#ground.vip, ...moreVIPs],
        preemptMode: preempt,
        interface: 'eth0',
      },
    };
  }
}
