/** How much of a processor this process gets: fewer jobs run side by side on a machine that others keep busy. */

const TRIAL_MS = 500;

/**
 * Computes for half a second.
 * @returns the part of that time in which it really ran, 0 to 1
 */
export const measureShare = (): number => {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  while (performance.now() - startedMs < TRIAL_MS);
  const { user, system } = process.cpuUsage(before);
  return Math.min(1, (user + system) / 1000 / (performance.now() - startedMs));
};

/** The least that is worth a wait: two jobs that mostly wait. */
const LEAST = 2;

/** What fits side by side on so many processors of which we get this share. */
export const capacityOf = (cores: number, perCore: number, share: number): number =>
  Math.max(LEAST, Math.round(cores * perCore * share));
