/** The main thread's side of the VRRP worker: starts it, posts to it, hears it. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { closeDescriptor, openWake, wake } from '../machine/libc.ts';
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
   * @param deadlineMs default 5000. @throws Error when it does not answer by then, or has ended.
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
};

/** The worker's program lies beside this one's and is of its kind: `.ts` in the source tree, `.js` once bundled. */
const WORKER = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);

const STOP_DEADLINE_MS = 2000;
const PING_DEADLINE_MS = 5000;

/** Starts the worker thread. @throws SystemCallError when the system grants no eventfd. */
export const startVRRPWorker = ({ onMessage, onExit, realtime = true }: VRRPWorkerOptions): VRRPWorker => {
  const wakeFd = openWake();
  const start: WorkerStart = { wakeFd, realtime };
  const worker = new Worker(WORKER, { workerData: start, name: 'vrrp' });
  const pings = new Map<number, PromiseWithResolvers<Pong>>();
  const ended = Promise.withResolvers<void>();
  let alive = true;
  let stopping = false;
  let failure: Error | null = null;
  let lastPing = 0;

  worker.on('message', (message: FromWorker) => {
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
  const ping = async (deadlineMs = PING_DEADLINE_MS): Promise<Pong> => {
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
