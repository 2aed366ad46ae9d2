/** A gate admits at most so many at a time; the others wait in the order in which they came (a counting semaphore). */

export type Gate = {
  /**
   * Resolves with the way out, to be called once, when it is this one's turn; null when `signal` aborts first. Whoever waits
   * is known to its caller, so the queue is as short as the list of callers.
   */
  enter(signal: AbortSignal): Promise<(() => void) | null>;
};

/** @param limit how many may be inside */
export const createGate = (limit: number): Gate => {
  let inside = 0;
  const waiting = new Set<() => void>();

  const leave = (): void => {
    inside -= 1;
    const [next] = waiting;
    next?.();
  };
  return {
    enter: (signal) =>
      new Promise((resolve) => {
        const end = (way: (() => void) | null): void => {
          waiting.delete(admit);
          signal.removeEventListener('abort', giveUp);
          resolve(way);
        };
        const admit = (): void => {
          inside += 1;
          end(leave);
        };
        const giveUp = (): void => end(null);
        if (signal.aborted) return resolve(null);
        if (inside < limit) return admit();
        waiting.add(admit);
        signal.addEventListener('abort', giveUp, { once: true });
      }),
  };
};
