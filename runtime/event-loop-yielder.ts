/**
 * Long work on one thread yields to the event loop every few milliseconds: otherwise no answer would be read, no timer would
 * fire and no Lease would be renewed until the last of ten thousand.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** Work goes on for so long before it yields. */
const SLICE_MS = 5;

export type EventLoopYielderOptions = {
  /** Monotonic milliseconds. */
  now: Clock['now'];
  /** Resolves after one turn of the event loop. Default: setImmediate. */
  yieldToEventLoop?: (() => Promise<unknown>) | undefined;
};

/** Tells a piece of work when to yield, and yields once for all who wait. */
export class EventLoopYielder {
  readonly #now: Clock['now'];
  readonly #yieldToEventLoop: () => Promise<unknown>;
  /** Since when the event loop may not have turned. */
  #yieldedAtMs = Number.NEGATIVE_INFINITY;
  #yielding: Promise<void> | undefined;

  constructor({ now, yieldToEventLoop = setImmediate }: EventLoopYielderOptions) {
    this.#now = now;
    this.#yieldToEventLoop = yieldToEventLoop;
  }

  /** Asked between two pieces of work; true: wait for {@link yield} before the next. */
  isDue(): boolean {
    return this.#now() - this.#yieldedAtMs >= SLICE_MS;
  }

  /** One turn for all who ask while it lasts. */
  yield(): Promise<void> {
    this.#yielding ??= this.#yieldToEventLoop().then(() => {
      this.noteYield();
      this.#yielding = undefined;
    });
    return this.#yielding;
  }

  /** The event loop has just turned, without us. */
  noteYield(): void {
    this.#yieldedAtMs = this.#now();
  }
}
