/**
 * Long work on one thread lets the event loop turn every few milliseconds: otherwise no answer would be read, no timer would
 * fire and no Lease would be renewed until the last of ten thousand.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** Work goes on for so long before the event loop turns. */
const TURN_MS = 5;

export type TurnsOptions = {
  /** Monotonic milliseconds. */
  now: Clock['now'];
  /** Lets the event loop turn once; default: setImmediate. */
  breathe?: (() => Promise<unknown>) | undefined;
};

export class Turns {
  readonly #now: Clock['now'];
  readonly #breathe: () => Promise<unknown>;
  /** Since when the event loop may not have turned. */
  #turnedAtMs = Number.NEGATIVE_INFINITY;
  #turning: Promise<void> | undefined;

  constructor({ now, breathe = setImmediate }: TurnsOptions) {
    this.#now = now;
    this.#breathe = breathe;
  }

  /** Asked between two pieces of work; true: wait for {@link turn} before the next. */
  isDue(): boolean {
    return this.#now() - this.#turnedAtMs >= TURN_MS;
  }

  /** One turn for all who ask while it lasts. */
  turn(): Promise<void> {
    this.#turning ??= this.#breathe().then(() => {
      this.turned();
      this.#turning = undefined;
    });
    return this.#turning;
  }

  /** The event loop has just turned, without us. */
  turned(): void {
    this.#turnedAtMs = this.#now();
  }
}
