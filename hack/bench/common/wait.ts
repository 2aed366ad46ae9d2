/** Waiting for what must happen, but not for ever. */
import { setTimeout as sleep } from 'node:timers/promises';

/** How long anything may take that must happen. */
export const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

/** Looks until there is something to return. @throws Error that names `what` when there is nothing in time. */
export const eventually = async <T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = PATIENCE_MS,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s.`);
    await sleep(LOOK_MS);
  }
};
