/**
 * A work queue after client-go's `util/workqueue`: it holds keys, not objects or events. A key added while a worker has it
 * runs again afterwards, never at the same time, and however often it is added it waits once.
 *
 * Bound: each set holds a key once, so the queue never exceeds the number of distinct keys, which are the objects of the stores.
 */
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import { type CancelTimer, type Clock, systemClock } from './clock.ts';
import { KubeError } from './errors.ts';
import type { Key } from './types.ts';

export type WorkQueueOptions = {
  /** Monotonic milliseconds; default: the system's. */
  now?: Clock['now'];
  setTimer?: Clock['setTimer'];
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
  /** Default: 200 ms, then doubling up to 10 s. */
  retry?: BackoffPolicy;
};

/** What a handled key wants next; nothing: only when it is added again. */
export type HandleResult = { requeueAfterMs?: number } | undefined;

export type RunOptions = {
  /** Keys handled at the same time. */
  workers: number;
  /** Handles one key. A rejection puts it back with a growing delay, or after the error's own `retryAfterMs` if longer. */
  handle: (key: Key, signal: AbortSignal) => Promise<HandleResult>;
  signal: AbortSignal;
  /** Told of each rejection; must not throw. */
  onError: (key: Key, error: unknown, retryInMs: number) => void;
};

const QUEUE_RETRY: BackoffPolicy = { firstMs: 200, baseMs: 400, maxMs: 10_000 };

type Delayed = { dueMs: number; cancel: CancelTimer };

export class WorkQueue {
  /** Keys that need a run: waiting in `ready`, or to go there when their worker is done. */
  readonly #dirty = new Set<Key>();
  readonly #processing = new Set<Key>();
  /** Waiting keys, oldest first. */
  readonly #ready = new Set<Key>();
  readonly #delayed = new Map<Key, Delayed>();
  readonly #failures = new Map<Key, number>();
  readonly #idleWorkers: (() => void)[] = [];
  readonly #now: Clock['now'];
  readonly #setTimer: Clock['setTimer'];
  readonly #random: () => number;
  readonly #retry: BackoffPolicy;

  constructor(options: WorkQueueOptions = {}) {
    this.#now = options.now ?? systemClock.now;
    this.#setTimer = options.setTimer ?? systemClock.setTimer;
    this.#random = options.random ?? Math.random;
    this.#retry = options.retry ?? QUEUE_RETRY;
  }

  /** Keys waiting now, delayed ones apart. */
  get size(): number {
    return this.#ready.size;
  }

  /** Adds a key now. */
  add(key: Key): void {
    if (this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (this.#processing.has(key)) return;
    this.#ready.add(key);
    this.#idleWorkers.shift()?.();
  }

  /** Adds a key after a delay; of several delays of one key the earliest counts. */
  addAfter(key: Key, delayMs: number): void {
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#now() + delayMs;
    const pending = this.#delayed.get(key);
    if (pending && pending.dueMs <= dueMs) return;
    pending?.cancel();
    const cancel = this.#setTimer(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueMs, cancel });
  }

  /**
   * Adds a key after a delay that grows with each call until `forget`.
   * @param atLeastMs the delay is not shorter
   * @returns the delay in milliseconds
   */
  addRateLimited(key: Key, atLeastMs = 0): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const delayMs = Math.max(backoffMs(this.#retry, failures, this.#random()), atLeastMs);
    this.addAfter(key, delayMs);
    return delayMs;
  }

  /** Failures since the last `forget`. */
  failures(key: Key): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Starts the growth of delays anew. */
  forget(key: Key): void {
    this.#failures.delete(key);
  }

  /** Runs the workers until the signal aborts and the last handler has returned; then drops what waits. */
  async run(options: RunOptions): Promise<void> {
    const wakeAll = () => {
      for (const wake of this.#idleWorkers.splice(0)) wake();
    };
    options.signal.addEventListener('abort', wakeAll, { once: true });
    try {
      await Promise.all(Array.from({ length: options.workers }, () => this.#work(options)));
    } finally {
      options.signal.removeEventListener('abort', wakeAll);
      for (const { cancel } of this.#delayed.values()) cancel();
      this.#delayed.clear();
    }
  }

  async #work(options: RunOptions): Promise<void> {
    while (!options.signal.aborted) {
      const key = this.#take();
      if (key === undefined) {
        await new Promise<void>((resolve) => this.#idleWorkers.push(resolve));
        continue;
      }
      try {
        const result = await options.handle(key, options.signal);
        this.forget(key);
        if (result?.requeueAfterMs !== undefined) this.addAfter(key, result.requeueAfterMs);
      } catch (error) {
        const atLeastMs = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        options.onError(key, error, this.addRateLimited(key, atLeastMs));
      } finally {
        this.#done(key);
      }
    }
  }

  #take(): Key | undefined {
    const [key] = this.#ready;
    if (key === undefined) return undefined;
    this.#ready.delete(key);
    this.#dirty.delete(key);
    this.#processing.add(key);
    return key;
  }

  #done(key: Key): void {
    this.#processing.delete(key);
    if (!this.#dirty.has(key)) return;
    this.#ready.add(key);
    this.#idleWorkers.shift()?.();
  }
}
