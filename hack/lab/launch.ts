/**
 * Starts and ends a world, the namespaces of a lab: one `unshare` whose child is PID 1 of new user, network, mount and PID
 * namespaces. SIGKILL to `unshare` ends everything in it, and so does the end of this process, because the IPC channel closes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from './channel.ts';
import { parentOf, processesIn, processIDs, signalProcess } from './processes.ts';
import type { InitConfig } from './rpc.ts';

const BUILD_MS = 90_000;
const EMPTY_MS = 60_000;
const KILL_MS = 3_000;

/** PID 1 of the world collects every orphan (dash's `wait` does) and ends when init does. */
const WORLD_INIT = '"$@" & wait "$!"';

/** A running world, as the host holds it. */
export type World = {
  channel: Channel;
  /** The world's first process, as this machine numbers it. */
  pid: number;
  /** Inode text of the user namespace that every process of the world is in, such as `user:[4026532000]`. */
  userNamespace: string;
  /** Ends it all and returns when no process of it is left. Idempotent. */
  down(): Promise<void>;
};

/**
 * Starts a world and waits until its network stands, about half a second.
 * @throws Error with what the world's init said; nothing is left running then.
 */
export const launch = async (config: InitConfig, env: NodeJS.ProcessEnv = process.env): Promise<World> => {
  mkdirSync(config.dir, { recursive: true, mode: 0o700 });
  const logFile = join(config.dir, 'init.log');
  const child = startUnshare(config, env, logFile);
  const channel = new Channel(child);
  try {
    const userNamespace = await firstWord(child, channel, logFile);
    const down = async (): Promise<void> => {
      channel.close('the world was taken down');
      await kill(child);
      await untilEmpty(userNamespace);
    };
    return { channel, pid: (await onlyChild(child.pid)) ?? 0, userNamespace, down };
  } catch (error) {
    await kill(child);
    throw error;
  }
};

const startUnshare = (config: InitConfig, env: NodeJS.ProcessEnv, logFile: string): ChildProcess => {
  const namespaces = ['--map-root-user', '--user', '--net', '--mount', '--pid', '--fork', '--kill-child'];
  const init = ['sh', '-c', WORLD_INIT, 'world', process.execPath, join(import.meta.dirname, 'init.ts')];
  const log = openSync(logFile, 'a', 0o600);
  try {
    return spawn('unshare', [...namespaces, '--', ...init], {
      env: { ...env, LAB_WORLD: JSON.stringify(config) },
      stdio: ['ignore', log, log, 'ipc'],
      detached: true, // the terminal's Ctrl-C is for the host process, which then ends the world
    });
  } finally {
    closeSync(log);
  }
};

/** Kills PID 1 of the world rather than `unshare`, which then collects it; else it would wait for the machine's init. */
const kill = async (unshare: ChildProcess): Promise<void> => {
  if (unshare.exitCode !== null || unshare.signalCode !== null) return;
  const gone = once(unshare, 'exit');
  signalProcess((await onlyChild(unshare.pid)) ?? unshare.pid ?? 0, 'SIGKILL');
  await Promise.race([gone, sleep(KILL_MS, undefined, { ref: false })]);
  unshare.kill('SIGKILL');
};

const onlyChild = async (parent: number | undefined): Promise<number | undefined> => {
  if (parent === undefined) return undefined; // as is the parent of a process that has just gone
  const pids = await processIDs();
  const parents = await Promise.all(pids.map(parentOf));
  return pids.find((_, index) => parents[index] === parent);
};

/** Init's report that the network stands, or a good reason why not. */
const firstWord = async (child: ChildProcess, { first }: Channel, logFile: string): Promise<string> => {
  const abort = new AbortController();
  const signal = abort.signal;
  try {
    const message = await Promise.race([
      first,
      once(child, 'exit', { signal }).then(() => undefined),
      sleep(BUILD_MS, undefined, { signal }),
    ]);
    if (message?.type === 'ready') return message.userNamespace;
    const log = readFileSync(logFile, 'utf8').trim().split('\n').slice(-10).join('\n');
    const said = message?.type === 'failed' ? message.message : log;
    throw new Error(`The lab's world could not be built: ${said || 'no word from it'}`);
  } finally {
    abort.abort();
  }
};

/**
 * Waits until no process is left in a world's user namespace.
 * @throws Error with the process ids that are left after a minute.
 */
export const untilEmpty = async (userNamespace: string): Promise<void> => {
  const deadline = performance.now() + EMPTY_MS;
  for (;;) {
    const left = await processesIn('user', userNamespace);
    if (left.length === 0) return;
    if (performance.now() > deadline)
      throw new Error(`Processes of the lab are still there: ${left.join(', ')}. End them by SIGKILL.`);
    await sleep(20);
  }
};

/** Writes what a later process needs to recognise this world's leftovers. */
export const recordWorld = (dir: string, userNamespace: string): void => {
  writeFileSync(join(dir, 'world.json'), JSON.stringify({ userNamespace }), { mode: 0o600 });
};
