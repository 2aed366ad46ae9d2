/** What the VRRP worker counts, for `/metrics` and `hapair-agent status`. Bounded: a table of causes for each pair, one histogram. */
import type { PairStats, WorkerStats } from './messages.ts';

/** Upper bounds of the lateness histogram in milliseconds: a tenth of the shortest interval up to an overslept second. */
export const LATENESS_BOUNDS_MS: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000];

/** The counts of a pair that begins: all are 0. */
export const newPairStats = (): PairStats => ({
  advertsSent: 0,
  resignationsSent: 0,
  advertsReceived: 0,
  rejected: {},
  overslept: 0,
});

/** How late timers were served. */
export class Lateness {
  readonly #counts: number[] = new Array<number>(LATENESS_BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;
  #maxMs = 0;

  /** A timer was served `lateMs` after it was due. */
  observe(lateMs: number): void {
    const bucket = LATENESS_BOUNDS_MS.findIndex((bound) => lateMs <= bound);
    const index = bucket === -1 ? LATENESS_BOUNDS_MS.length : bucket;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sumMs += lateMs;
    this.#maxMs = Math.max(this.#maxMs, lateMs);
  }

  /** A copy of what was counted so far. */
  snapshot(): WorkerStats['lateness'] {
    return {
      boundsMs: LATENESS_BOUNDS_MS,
      counts: [...this.#counts],
      sumMs: this.#sumMs,
      maxMs: this.#maxMs,
    };
  }
}
