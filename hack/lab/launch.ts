/**
 * Starts and ends a world, the namespaces of a lab: one `unshare` whose child is PID 1 of new user, network, mount and PID namespaces. SIGKILL to
 * `unshare` ends everything in it, and so does the end of this process, because the IPC channel closes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipe } from './pipe.ts';
import { parentOf, processesIn, processIDs, signalProcess } from './processes.ts';
import type { FromInit, InitConfig, Operation, Operations } from './rpc.ts';

const BUILD_MS = 90_000;
const EMPTY_MS = 60_000;
const CALL_MS = 120_000;
const KILL_MS = 3_000;

/** PID 1 of the world collects every orphan (dash's `wait` does) and ends when init does. */
const WORLD_INIT = '"$@" & wait "$!"';

/** How a process of the world ended. */
export type Exit = { code: number | null; signal: string | null; atMs: number };

/** What the host follows of one process. */
export type Watch = { onLine?: (line: string, atMs: number) => void; onExit?: (exit: Exit) => void };

/** The host's end of the channel to a running world. */
export type Channel = {
  /** The world's first process, as this machine numbers it. */
  pid: number;
  /** Inode text of the user namespace that every process of the world is in, such as `user:[4026532000]`. */
  userNamespace: string;
  /**
   * Asks init for something.
   * @throws Error with init's words, or when there is no answer within two minutes.
   */
  call<K extends Operation>(
    op: K,
    params: Operations[K]['params'],
    timeoutMs?: number,
  ): Promise<Operations[K]['result']>;
  /** Follows a process, beside others that do; lines that came before anybody did, and its end, are told at once. */
  watch(handle: number, watch: Watch): void;
  /** Lets this machine in: a port of 127.0.0.1 that leads to an address of the world. */
  forward(host: string, port: number): Promise<number>;
  /** Lets the world out: what connects to this address of the world is led to a port of this machine's 127.0.0.1. */
  backward(host: string, port: number, to: number): Promise<void>;
  /** Why the world has ended; undefined while it lives. */
  ended(): string | undefined;
  /** Ends it all and returns when no process of it is left. Idempotent. */
  down(): Promise<void>;
};

/**
 * Starts a world and waits until its network stands, about half a second.
 * @throws Error with what the world's init said; nothing is left running then.
 */
export const launch = async (config: InitConfig, env: NodeJS.ProcessEnv = process.env): Promise<Channel> => {
  mkdirSync(config.dir, { recursive: true, mode: 0o700 });
  const logFile = join(config.dir, 'init.log');
  const child = startUnshare(config, env, logFile);
  const mail = mailbox(child);
  try {
    const userNamespace = await firstWord(child, mail, logFile);
    return channel(child, mail, userNamespace, (await onlyChild(child.pid)) ?? 0);
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
  const pids = await processIDs();
  const parents = await Promise.all(pids.map(parentOf));
  return pids.find((_, index) => parents[index] === parent);
};

type Mailbox = {
  first: Promise<FromInit>;
  waiting: Map<number, (message: FromInit, server?: Server) => void>;
  history: Map<number, FromInit[]>;
  watches: Map<number, Watch[]>;
};

/** Lines kept for a watcher that comes later. */
const HISTORY = 1_000;

const mailbox = (child: ChildProcess): Mailbox => {
  const first = Promise.withResolvers<FromInit>();
  const mail: Mailbox = { first: first.promise, waiting: new Map(), history: new Map(), watches: new Map() };
  child.on('message', (message: FromInit, server?: Server) => {
    if (message.type === 'ready' || message.type === 'failed') first.resolve(message);
    else if (message.type === 'answer' || message.type === 'error') {
      mail.waiting.get(message.id)?.(message, server);
      mail.waiting.delete(message.id);
    } else {
      const watches = mail.watches.get(message.handle) ?? [];
      for (const watch of watches) tell(watch, message);
      // Whoever asks after the end hears of it, too.
      if (watches.length === 0 || message.type === 'exit') {
        const kept = mail.history.get(message.handle) ?? [];
        kept.push(message);
        mail.history.set(message.handle, kept.slice(-HISTORY));
      }
    }
  });
  return mail;
};

const tell = (watch: Watch, message: FromInit): void => {
  if (message.type === 'line') watch.onLine?.(message.line, message.atMs);
  if (message.type === 'exit') watch.onExit?.(message);
};

/** Init's report that the network stands, or a good reason why not. */
const firstWord = async (child: ChildProcess, mail: Mailbox, logFile: string): Promise<string> => {
  const abort = new AbortController();
  const signal = abort.signal;
  try {
    const message = await Promise.race([
      mail.first,
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

const channel = (child: ChildProcess, mail: Mailbox, userNamespace: string, pid: number): Channel => {
  let lastID = 0;
  let end: string | undefined;
  /** They listen in the world, and this process accepts: the world's network lasts as long as one of them is open. */
  const lent = new Set<Server | Socket>();
  const lend = (server: Server, to: number): void => {
    lent.add(server);
    server.on('connection', (inside) => {
      lent.add(inside);
      inside.once('close', () => lent.delete(inside));
      pipe(inside, '127.0.0.1', to);
    });
  };
  child.once('exit', (code, signal) => {
    end ??= `the world ended by itself (${signal ?? `exit code ${code}`})`;
    for (const [id, answer] of mail.waiting) answer({ type: 'error', id, message: end });
    mail.waiting.clear();
  });

  const request = <K extends Operation>(
    op: K,
    params: Operations[K]['params'],
    handle: Server | undefined,
    timeoutMs: number,
    onServer?: (server: Server) => void,
  ): Promise<Operations[K]['result']> =>
    new Promise((resolve, reject) => {
      if (end !== undefined) return reject(new Error(`Cannot ${op}: ${end}.`));
      lastID += 1;
      const id = lastID;
      const timer = setTimeout(() => {
        mail.waiting.delete(id);
        reject(new Error(`The world did not answer ${op} within ${timeoutMs} ms.`));
      }, timeoutMs);
      mail.waiting.set(id, (message, server) => {
        clearTimeout(timer);
        if (server !== undefined) onServer?.(server);
        if (message.type === 'answer') resolve(message.result as Operations[K]['result']);
        else if (message.type === 'error') reject(new Error(message.message));
      });
      child.send({ id, op, params }, handle, { keepOpen: false }, (error) => {
        if (error !== null) mail.waiting.get(id)?.({ type: 'error', id, message: error.message });
      });
    });

  return {
    pid,
    userNamespace,
    call: (op, params, timeoutMs = CALL_MS) => request(op, params, undefined, timeoutMs),
    watch: (handle, watch) => {
      const history = mail.history.get(handle) ?? [];
      for (const message of history) tell(watch, message);
      mail.history.set(
        handle,
        history.filter(({ type }) => type === 'exit'),
      );
      mail.watches.set(handle, [...(mail.watches.get(handle) ?? []), watch]);
    },
    forward: async (host, port) => {
      // A listening socket stays in the network namespace it was made in, whoever accepts on it.
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string')
        throw new Error('A loopback port could not be had.');
      await request('forward', { host, port }, server, CALL_MS);
      await new Promise((resolve) => server.close(resolve)); // our copy; the world's goes on listening
      return address.port;
    },
    backward: async (host, port, to) => {
      await request('listen', { host, port }, undefined, CALL_MS, (server) => lend(server, to));
    },
    ended: () => end,
    down: async () => {
      end ??= 'the world was taken down';
      for (const one of lent) 'destroy' in one ? one.destroy() : one.close();
      await kill(child);
      await untilEmpty(userNamespace);
    },
  };
};

/**
 * Waits until no process is left in a world's user namespace.
 * @throws Error with the process ids that are left after ten seconds.
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
