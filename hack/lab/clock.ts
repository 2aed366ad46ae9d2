/** Time in the lab: one clock for all its processes, so that their records can be compared. */
import { setTimeout as delay } from 'node:timers/promises';

/** From CLOCK_MONOTONIC, which all processes of a machine share. */
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const TICKS = 5;

/**
 * Unix milliseconds at monotonic 0, to the narrowest of a few ticks of Date.now. `performance.timeOrigin` says it too, but from
 * two clocks read one after the other while the process starts: on a busy machine many milliseconds lie between, and records
 * of two processes could not be compared.
 */
const originMs = ((): number => {
  let narrowest = { widthMs: Number.POSITIVE_INFINITY, originMs: 0 };
  for (let tick = 0; tick < TICKS; tick += 1) {
    const date = Date.now();
    let beforeMs = monotonicMs();
    for (;;) {
      const next = Date.now();
      const afterMs = monotonicMs();
      const widthMs = afterMs - beforeMs;
      if (next !== date) {
        if (widthMs < narrowest.widthMs) narrowest = { widthMs, originMs: next - beforeMs - widthMs / 2 };
        break;
      }
      beforeMs = afterMs;
    }
  }
  return narrowest.originMs;
})();

/** Unix milliseconds with a fraction, of a clock that does not go back; the same in all processes but for microseconds. */
export const nowMs = (): number => originMs + monotonicMs();

/**
 * Waits.
 * @throws AbortError when the signal fires first.
 */
export const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted();
  if (ms > 0) await delay(ms, undefined, { signal });
};
