/** A clock for tests: it stands still until told to go on. */
import type { Clock } from '../clock.ts';

export type VirtualClock = Clock & {
  /** Moves time on and fires what is due, in order; promises settle between two timers. */
  advance(byMs: number): Promise<void>;
  /** Delays of the waiting timers in milliseconds from now, soonest first. */
  pending(): number[];
};

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** @param startMs monotonic start; wall time is 2026-11-22T10:00:00Z plus the time passed. */
export const createVirtualClock = (startMs = 0): VirtualClock => {
  const wallStartMs = Date.UTC(2026, 10, 22, 10);
  const timers = new Set<{ dueMs: number; fire: () => void }>();
  let nowMs = startMs;
  const soonest = () => [...timers].sort((a, b) => a.dueMs - b.dueMs);
  return {
    now: () => nowMs,
    wall: () => wallStartMs + nowMs - startMs,
    setTimer(delayMs, fire) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), fire };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    pending: () => soonest().map(({ dueMs }) => dueMs - nowMs),
    async advance(byMs) {
      const untilMs = nowMs + byMs;
      await settle();
      for (let [next] = soonest(); next && next.dueMs <= untilMs; [next] = soonest()) {
        nowMs = next.dueMs;
        timers.delete(next);
        next.fire();
        await settle();
      }
      nowMs = untilMs;
    },
  };
};
