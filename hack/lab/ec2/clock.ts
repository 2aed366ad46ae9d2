import { setTimeout as delay } from 'node:timers/promises';

/** Unix milliseconds with a fraction, of a clock that does not go back. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

/**
 * Waits.
 * @throws AbortError when the signal fires first.
 */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms > 0) {
    await delay(ms, undefined, { signal });
  }
}
