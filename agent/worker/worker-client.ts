/** The main thread's side of the VRRP worker: starts it, posts to it, hears it. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { closeDescriptor, openWake, wake } from '../sys/libc.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import type { WorkerStart } from './worker.ts';

export type Pong = Extract<FromWorker, { type: 'pong' }>;

/** A running VRRP worker. */
export type VRRPWorker = {
  /** Posts `message` and wakes the worker; messages arrive in order. Does nothing once the worker has ended. */
  send(message: ToWorker): void;
  /** Resigns every Master and ends the worker. Resolves when its thread is gone, after 2 s at the latest by force. */
  stop(): Promise<void>;
  /**
   * Resolves when the worker's loop answers.
   * @param deadlineMs Default: {@link VRRPWorkerOptions.deadlinesMs}. @throws Error when it does not answer by then, or has ended.
   */
  ping(deadlineMs?: number): Promise<Pong>;
};

export type VRRPWorkerOptions = {
  /** Everything the worker says, except the answers to `ping`. */
  onMessage: (message: FromWorker) => void;
  /** Once, when the thread is gone: null after `stop`, else what ended it. Without its worker an agent is of no use. */
  onExit: (error: Error | null) => void;
  /** Whether the worker asks for real-time scheduling; refused, it runs without. Default true. */
  realtime?: boolean;
  /**
   * How long `ping` waits for an answer: for the first one, while the thread still loads its program, and afterwards. On a
   * machine that is busy beyond measure loading takes many seconds, and is no loop that hangs. Default 30,000 and 5,000.
   */
  deadlinesMs?: { first: number; later: number };
  /** Default: the worker's own. */
  program?: URL;
};

/** The worker's program lies beside this one's and is of its kind: `.ts` in the source tree, `.js` once bundled. */
const WORKER = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);

const STOP_DEADLINE_MS = 2000;
const PING_DEADLINES_MS = { first: 30_000, later: 5_000 };

/** Starts the worker thread. @throws SystemCallError when the system grants no eventfd. */
export const startVRRPWorker = (options: VRRPWorkerOptions): VRRPWorker => {
  const { onMessage, onExit, realtime = true, deadlinesMs = PING_DEADLINES_MS, program = WORKER } = options;
  const wakeFd = openWake();
  const start: WorkerStart = { wakeFd, realtime };
  const worker = new Worker(program, { workerData: start, name: 'vrrp' });
  const pings = new Map<number, PromiseWithResolvers<Pong>>();
  const ended = Promise.withResolvers<void>();
  let alive = true;
  let hasAnswered = false;
  let stopping = false;
  let failure: Error | null = null;
  let lastPing = 0;

  worker.on('message', (message: FromWorker) => {
    hasAnswered = true;
    if (message.type !== 'pong') return onMessage(message);
    pings.get(message.id)?.resolve(message);
  });
  worker.on('error', (error: unknown) => {
    failure = error instanceof Error ? error : new Error(String(error));
  });
  worker.on('exit', () => {
    alive = false;
    closeDescriptor(wakeFd);
    const error = failure ?? (stopping ? null : new Error('the VRRP worker ended unasked'));
    for (const ping of pings.values()) ping.reject(error ?? new Error('the VRRP worker was stopped'));
    ended.resolve();
    onExit(error);
  });

  const send = (message: ToWorker): void => {
    if (!alive) return;
    worker.postMessage(message);
    wake(wakeFd);
  };
  const stop = async (): Promise<void> => {
    stopping = true;
    send({ type: 'stop' });
    const force = setTimeout(() => void worker.terminate(), STOP_DEADLINE_MS);
    await ended.promise;
    clearTimeout(force);
  };
  const ping = async (given?: number): Promise<Pong> => {
    const deadlineMs = given ?? (hasAnswered ? deadlinesMs.later : deadlinesMs.first);
    if (!alive) throw failure ?? new Error('the VRRP worker has ended');
    const id = ++lastPing;
    const answer = Promise.withResolvers<Pong>();
    pings.set(id, answer);
    const late = new Error(`the VRRP worker did not answer within ${deadlineMs} ms; its loop hangs`);
    const deadline = setTimeout(() => answer.reject(late), deadlineMs);
    send({ type: 'ping', id });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(deadline);
      pings.delete(id);
    }
  };
  return { send, stop, ping };
};
