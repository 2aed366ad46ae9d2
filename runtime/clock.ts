/** The one clock: every part of the programs takes time from here, and tests pass their own. */

/** Stops a timer; harmless after it fired. */
export type CancelTimer = () => void;

export type Clock = {
  /** Monotonic milliseconds with a fraction, from CLOCK_MONOTONIC: comparable between processes of one machine. */
  now(): number;
  /** Milliseconds since the Unix epoch with a fraction; steps when the machine's clock is set. */
  wall(): number;
  /** Calls `fire` once, after at least `delayMs`. */
  setTimer(delayMs: number, fire: () => void): CancelTimer;
};

/** setTimeout takes a signed 32-bit delay and fires at once beyond it. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How far Date.now (whole milliseconds) and our fraction may part before the wall clock counts as set. */
const WALL_TOLERANCE_MS = 2;

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** The machine's clock. Wall time runs with the monotonic clock, for its microseconds, and follows when it is set. */
const createSystemClock = (): Clock => {
  let offsetMs = Date.now() - now();
  return {
    now,
    wall() {
      const monotonicMs = now();
      const dateMs = Date.now();
      if (Math.abs(monotonicMs + offsetMs - dateMs) > WALL_TOLERANCE_MS) offsetMs = dateMs - monotonicMs;
      return monotonicMs + offsetMs;
    },
    setTimer(delayMs, fire) {
      const timer = setTimeout(fire, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS));
      return () => clearTimeout(timer);
    },
  };
};

export const systemClock: Clock = createSystemClock();

/** Resolves after `delayMs`, or as soon as `signal` aborts; never rejects. */
export const sleep = (clock: Pick<Clock, 'setTimer'>, delayMs: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimer(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
