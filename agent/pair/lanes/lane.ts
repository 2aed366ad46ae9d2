/**
 * A lane does one kind of slow work of a pair, one step at a time. It is level-triggered: each step looks at what is wanted
 * now, so the latest desired state wins and nothing queues up.
 */
import { type BackoffPolicy, backoffMs } from '../../../runtime/backoff.ts';
import type { CancelTimer, Clock } from '../../../runtime/clock.ts';

/** One step: does the most urgent thing, if any. `true`: look again at once, there may be more. */
export type Step = () => Promise<boolean>;

export type Lane = {
  /** Something changed. A lane that waits after a failure goes on waiting, unless `fresh`. */
  kick(fresh?: boolean): void;
  /** Starts no further step, and resolves when the one under way, if any, is over. */
  close(): Promise<void>;
};

/** For as long as something is desired there is no last retry. */
const RETRY: BackoffPolicy = { firstMs: 50, baseMs: 200, maxMs: 5_000 };

/** What a lane needs of its surroundings. */
export type LaneOptions = {
  clock: Pick<Clock, 'setTimer'>;
  step: Step;
  /** Hears of each failure, and when the step will be tried again. */
  onError: (error: unknown, retryMs: number) => void;
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
};

/** Runs `step` until it has nothing left to do, and again after each kick; a step that throws is retried, ever slower. */
export const openLane = ({ clock, step, onError, random = Math.random }: LaneOptions): Lane => {
  let running: Promise<void> | undefined;
  let cancelRetry: CancelTimer | undefined;
  let kicked = false;
  let fresh = false;
  let closed = false;
  let failures = 0;

  const run = async (): Promise<void> => {
    try {
      do {
        kicked = false;
        fresh = false;
        if (await step()) kicked = true;
        failures = 0;
      } while (kicked && !closed);
    } catch (error) {
      if (closed) return;
      const retryMs = fresh ? 0 : backoffMs(RETRY, failures, random());
      failures += 1;
      onError(error, retryMs);
      cancelRetry = clock.setTimer(retryMs, start);
    }
  };

  const start = (): void => {
    cancelRetry = undefined;
    if (closed) return;
    running = run().finally(() => {
      running = undefined;
      if (kicked && cancelRetry === undefined) start();
    });
  };

  return {
    kick(isFresh = false) {
      kicked = true;
      fresh ||= isFresh;
      if (running !== undefined) return;
      if (cancelRetry !== undefined) {
        if (!isFresh) return;
        cancelRetry();
        failures = 0;
      }
      start();
    },
    async close() {
      closed = true;
      cancelRetry?.();
      cancelRetry = undefined;
      await running;
    },
  };
};
