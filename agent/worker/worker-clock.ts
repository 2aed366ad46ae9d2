/**
 * The worker's time. Between threads and processes times are of the monotonic clock; while a machine is suspended or hibernated
 * that clock stands still, and a Master would wake up in the belief that it had just advertised. So the worker itself counts
 * by a clock that goes on meanwhile, and translates at its border.
 */
import { boottimeMs } from '../sys/libc.ts';

/** Milliseconds of a clock that only goes forward. */
type Read = () => number;

const monotonicMs: Read = () => Number(process.hrtime.bigint()) / 1e6;

/** A clock that counts the time a machine has slept. */
export class WorkerClock {
  readonly #monotonic: Read;
  readonly #boottime: Read;
  #suspendedMs = Number.NEGATIVE_INFINITY;

  /** @param monotonic default: the process's clock. @param boottime the same with suspensions; default: the machine's. */
  constructor(monotonic: Read = monotonicMs, boottime: Read = boottimeMs) {
    this.#monotonic = monotonic;
    this.#boottime = boottime;
    this.wakeUp();
  }

  /** To be called after every wait, before the time is used: notices a suspension. */
  wakeUp(): void {
    // In this order a delay between the two readings makes the difference smaller, and it can only grow.
    const boottime = this.#boottime();
    this.#suspendedMs = Math.max(this.#suspendedMs, boottime - this.#monotonic());
  }

  /** Now, suspensions counted. */
  now = (): number => this.#monotonic() + this.#suspendedMs;

  /** A time of this clock on the monotonic one. */
  toMonotonic(atMs: number): number {
    return atMs - this.#suspendedMs;
  }

  /** A time of the monotonic clock on this one, as if nothing had been suspended since. */
  fromMonotonic(atMs: number): number {
    return atMs + this.#suspendedMs;
  }
}
