/** Runs jobs side by side, as many as fit: each has a weight, and the weights of those that run never exceed the capacity. */

export type Weighted = { weight: number };

/**
 * Runs every job once. They begin in their order, but lighter ones overtake one that does not fit now: put heavy jobs first.
 * @param capacity a job heavier than that runs alone
 * @param run must not reject
 */
export const runSideBySide = async <J extends Weighted>(
  jobs: readonly J[],
  capacity: number,
  run: (job: J) => Promise<void>,
): Promise<void> => {
  const waiting = [...jobs];
  const running = new Set<Promise<void>>();
  let load = 0;
  const fits = ({ weight }: J): boolean => running.size === 0 || load + weight <= capacity;
  const begin = (job: J): void => {
    load += job.weight;
    const end = run(job).finally(() => {
      load -= job.weight;
      running.delete(end);
    });
    running.add(end);
  };
  while (waiting.length > 0 || running.size > 0) {
    for (let next = waiting.findIndex(fits); next >= 0; next = waiting.findIndex(fits))
      for (const job of waiting.splice(next, 1)) begin(job);
    await Promise.race(running);
  }
};
