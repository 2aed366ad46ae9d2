/**
 * A work queue after client-go's `util/workqueue`: it holds keys, not objects or events. A key added while a worker has it
 * runs again afterwards, never at the same time, and however often it is added it waits once.
 *
 * Three lanes: a change (`add`) overtakes routine (`addAfter`: a timer, a resync), so that one failover does not wait behind ten
 * thousand routine looks; what something is held for (`addUrgent`) overtakes both. A repetition after a failure stays in the
 * lane of the run that failed, or is a change like others.
 *
 * Bound: a key waits in one lane at most, has one timer at most and is handled once at most, so the queue never exceeds the
 * number of distinct keys, which are the objects of the stores.
 */
import { type BackoffPolicy, backoffMs } from '../runtime/backoff.ts';
import { type CancelTimer, type Clock, systemClock } from '../runtime/clock.ts';
import { EventLoopYielder } from '../runtime/event-loop-yielder.ts';
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
  /** Lets the event loop turn once; default: setImmediate. */
  yieldToEventLoop?: () => Promise<unknown>;
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

/** Of so many keys taken one after the other, one is routine's if any waits: changes without end do not starve it. */
const ROUTINE_SHARE = 8;

/** The most urgent first. */
const LANES = ['urgent', 'change', 'routine'] as const;
type Lane = (typeof LANES)[number];

/** The more urgent of two. */
const moreUrgent = (a: Lane, b: Lane): Lane => (LANES.indexOf(a) < LANES.indexOf(b) ? a : b);

type Delayed = { dueMs: number; cancel: CancelTimer };

export class WorkQueue {
  /** Waiting keys and since when, oldest first. */
  readonly #waiting: Record<Lane, Map<Key, number>> = {
    urgent: new Map(),
    change: new Map(),
    routine: new Map(),
  };
  /** Keys that a worker has, and the lane they came by. */
  readonly #processing = new Map<Key, Lane>();
  /** Keys added while a worker has them: they wait again when it is done. */
  readonly #again = new Map<Key, Lane>();
  readonly #delayed = new Map<Key, Delayed>();
  readonly #failures = new Map<Key, number>();
  readonly #idleWorkers: (() => void)[] = [];
  #retries = 0;
  #taken = 0;
  readonly #now: Clock['now'];
  readonly #setTimer: Clock['setTimer'];
  readonly #random: () => number;
  readonly #retry: BackoffPolicy;
  /** Handlers that wait for nothing would keep the event loop from turning until the last key. */
  readonly #yielder: EventLoopYielder;

  constructor(options: WorkQueueOptions = {}) {
    this.#now = options.now ?? systemClock.now;
    this.#setTimer = options.setTimer ?? systemClock.setTimer;
    this.#random = options.random ?? Math.random;
    this.#retry = options.retry ?? QUEUE_RETRY;
    this.#yielder = new EventLoopYielder({ now: this.#now, yieldToEventLoop: options.yieldToEventLoop });
  }

  /** Keys waiting now, delayed ones apart. */
  depth(): number {
    return LANES.reduce((sum, lane) => sum + this.#waiting[lane].size, 0);
  }

  /** Keys being handled now. */
  processing(): number {
    return this.#processing.size;
  }

  /** Runs that failed and were planned again, since the start. */
  retries(): number {
    return this.#retries;
  }

  /** How long the key that has waited longest has waited in its lane, in milliseconds; 0 when none waits. */
  oldestWaitingMs(): number {
    const nowMs = this.#now();
    const since = Object.values(this.#waiting).map((lane) => lane.values().next().value ?? nowMs);
    return nowMs - Math.min(...since);
  }

  /** Adds a key now: something has changed. */
  add(key: Key): void {
    this.#add(key, 'change');
  }

  /**
   * Adds a key for which something is held that others want. There must be few of them at a time: changes wait, routine gets its
   * share.
   */
  addUrgent(key: Key): void {
    this.#add(key, 'urgent');
  }

  /** Adds a key after a delay, as routine; of several delays of one key the earliest counts. */
  addAfter(key: Key, delayMs: number): void {
    this.#addAfter(key, delayMs, 'routine');
  }

  /** Failures since the last success. */
  failures(key: Key): number {
    return this.#failures.get(key) ?? 0;
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
      for (const lane of LANES) this.#waiting[lane].clear();
      this.#failures.clear();
    }
  }

  #add(key: Key, lane: Lane): void {
    if (this.#processing.has(key)) {
      this.#again.set(key, moreUrgent(lane, this.#again.get(key) ?? lane));
      return;
    }
    const present = LANES.find((each) => this.#waiting[each].has(key));
    if (present !== undefined) {
      if (moreUrgent(present, lane) === present) return;
      this.#waiting[present].delete(key);
    }
    this.#waiting[lane].set(key, this.#now());
    this.#idleWorkers.shift()?.();
  }

  #addAfter(key: Key, delayMs: number, lane: Lane): void {
    if (delayMs <= 0) {
      this.#add(key, lane);
      return;
    }
    const dueMs = this.#now() + delayMs;
    const pending = this.#delayed.get(key);
    if (pending && pending.dueMs <= dueMs) return;
    pending?.cancel();
    const cancel = this.#setTimer(delayMs, () => {
      this.#delayed.delete(key);
      this.#add(key, lane);
    });
    this.#delayed.set(key, { dueMs, cancel });
  }

  /** @returns the delay in milliseconds, which grows with each failure until a success. */
  #retryLater(key: Key, lane: Lane, atLeastMs: number): number {
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    this.#retries += 1;
    const delayMs = Math.max(backoffMs(this.#retry, failures, this.#random()), atLeastMs);
    // What was held for it will not be held so long.
    this.#addAfter(key, delayMs, lane === 'urgent' ? 'change' : lane);
    return delayMs;
  }

  async #work(options: RunOptions): Promise<void> {
    while (!options.signal.aborted) {
      if (this.#yielder.isDue()) await this.#yielder.yield();
      // Who falls idle after the end is woken by nobody.
      if (options.signal.aborted) return;
      const taken = this.#take();
      if (taken === undefined) {
        await new Promise<void>((resolve) => this.#idleWorkers.push(resolve));
        // Woken from idleness by an event: the loop has just turned.
        if (this.#processing.size === 0) this.#yielder.noteYield();
        continue;
      }
      const { key, lane } = taken;
      try {
        const result = await options.handle(key, options.signal);
        this.#failures.delete(key);
        if (result?.requeueAfterMs !== undefined) this.addAfter(key, result.requeueAfterMs);
      } catch (error) {
        const atLeastMs = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        options.onError(key, error, this.#retryLater(key, lane, atLeastMs));
      } finally {
        this.#done(key);
      }
    }
  }

  #take(): { key: Key; lane: Lane } | undefined {
    this.#taken += 1;
    const isRoutinesTurn = this.#waiting.routine.size > 0 && this.#taken % ROUTINE_SHARE === 0;
    const lane = isRoutinesTurn ? 'routine' : LANES.find((each) => this.#waiting[each].size > 0);
    if (lane === undefined) return undefined;
    const [key] = this.#waiting[lane].keys();
    if (key === undefined) return undefined;
    this.#waiting[lane].delete(key);
    this.#processing.set(key, lane);
    return { key, lane };
  }

  #done(key: Key): void {
    this.#processing.delete(key);
    const lane = this.#again.get(key);
    if (lane === undefined) return;
    this.#again.delete(key);
    this.#add(key, lane);
  }
}
