/** The host's end of the channel to a running world: questions to init, what it tells of processes, and ways in and out. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { pipe } from './pipe.ts';
import type { FromInit, Operation, Operations } from './rpc.ts';

const CALL_MS = 120_000;
/** Lines kept for a watcher that comes later. */
const HISTORY_KEPT = 1_000;

/** How a process of the world ended. */
export type Exit = { code: number | null; signal: string | null; atMs: number };

/** What the host follows of one process. */
export type Watch = { onLine?: (line: string, atMs: number) => void; onExit?: (exit: Exit) => void };

/** What init says of a process. */
type ProcessNews = Extract<FromInit, { handle: number }>;
type Reply = Extract<FromInit, { id: number }>;

/** The channel to one world. */
export class Channel {
  readonly #child: ChildProcess;
  /** Init's first word: the network stands, or why not. */
  readonly first: Promise<Extract<FromInit, { type: 'ready' | 'failed' }>>;
  readonly #waiting = new Map<number, (reply: Reply, server?: Server) => void>();
  readonly #history = new Map<number, ProcessNews[]>();
  readonly #watches = new Map<number, Watch[]>();
  /** They listen in the world, and this process accepts: the world's network lasts as long as one of them is open. */
  readonly #lent = new Set<Server | Socket>();
  #lastID = 0;
  #end: string | undefined;

  /** @param child a process started with an IPC channel, whose other end is init's */
  constructor(child: ChildProcess) {
    this.#child = child;
    const first = Promise.withResolvers<Extract<FromInit, { type: 'ready' | 'failed' }>>();
    this.first = first.promise;
    child.on('message', (message: FromInit, server?: Server) => {
      if (message.type === 'ready' || message.type === 'failed') first.resolve(message);
      else if ('handle' in message) this.#follow(message);
      else {
        this.#waiting.get(message.id)?.(message, server);
        this.#waiting.delete(message.id);
      }
    });
    child.once('exit', (code, signal) =>
      this.close(`the world ended by itself (${signal ?? `exit code ${code}`})`),
    );
  }

  /** Why the world has ended; undefined while it lives. */
  get ended(): string | undefined {
    return this.#end;
  }

  /**
   * Asks init for something.
   * @param timeoutMs Default: two minutes.
   * @throws Error with init's words, or when there is no answer in time.
   */
  call<K extends Operation>(
    op: K,
    params: Operations[K]['params'],
    timeoutMs = CALL_MS,
  ): Promise<Operations[K]['result']> {
    return this.#request(op, params, { timeoutMs });
  }

  /** Follows a process, beside others that do; lines that came before anybody did, and its end, are told at once. */
  watch(handle: number, watch: Watch): void {
    const history = this.#history.get(handle) ?? [];
    for (const news of history) tell(watch, news);
    this.#history.set(
      handle,
      history.filter(({ type }) => type === 'exit'),
    );
    this.#watches.set(handle, [...(this.#watches.get(handle) ?? []), watch]);
  }

  /** Lets this machine in. @returns a port of 127.0.0.1 that leads to an address of the world */
  async forward(host: string, port: number): Promise<number> {
    // A listening socket stays in the network namespace it was made in, whoever accepts on it.
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('A loopback port could not be had.');
    try {
      await this.#request('forward', { host, port }, { handle: server });
    } finally {
      await new Promise((resolve) => server.close(resolve)); // our copy; the world's goes on listening
    }
    return address.port;
  }

  /** Lets the world out: what connects to this address of the world is led to a port of this machine's 127.0.0.1. */
  async backward(host: string, port: number, to: number): Promise<void> {
    await this.#request('listen', { host, port }, { onServer: (server) => this.#lend(server, to) });
  }

  /** Refuses every request from now on, and those that wait for an answer; idempotent. @param reason why the world has ended */
  close(reason: string): void {
    this.#end ??= reason;
    for (const [id, answer] of this.#waiting) answer({ type: 'error', id, message: this.#end });
    this.#waiting.clear();
    for (const one of this.#lent) 'destroy' in one ? one.destroy() : one.close();
  }

  #follow(news: ProcessNews): void {
    const watches = this.#watches.get(news.handle) ?? [];
    for (const watch of watches) tell(watch, news);
    // Whoever asks after the end hears of it, too.
    if (watches.length > 0 && news.type !== 'exit') return;
    const kept = [...(this.#history.get(news.handle) ?? []), news];
    this.#history.set(news.handle, kept.slice(-HISTORY_KEPT));
  }

  #lend(server: Server, to: number): void {
    this.#lent.add(server);
    server.on('connection', (inside) => {
      this.#lent.add(inside);
      inside.once('close', () => this.#lent.delete(inside));
      pipe(inside, '127.0.0.1', to);
    });
  }

  #request<K extends Operation>(
    op: K,
    params: Operations[K]['params'],
    {
      timeoutMs = CALL_MS,
      handle,
      onServer,
    }: { timeoutMs?: number; handle?: Server; onServer?: (server: Server) => void },
  ): Promise<Operations[K]['result']> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(new Error(`Cannot ${op}: ${this.#end}.`));
      this.#lastID += 1;
      const id = this.#lastID;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`The world did not answer ${op} within ${timeoutMs} ms.`));
      }, timeoutMs);
      this.#waiting.set(id, (reply, server) => {
        clearTimeout(timer);
        if (server !== undefined) onServer?.(server);
        if (reply.type === 'answer') resolve(reply.result as Operations[K]['result']);
        else reject(new Error(reply.message));
      });
      this.#child.send({ id, op, params }, handle, { keepOpen: false }, (error) => {
        if (error !== null) this.#waiting.get(id)?.({ type: 'error', id, message: error.message });
      });
    });
  }
}

const tell = (watch: Watch, news: ProcessNews): void => {
  if (news.type === 'line') watch.onLine?.(news.line, news.atMs);
  else watch.onExit?.(news);
};
