/** How much of a processor this process gets: fewer jobs run side by side on a machine that others keep busy. */
import { setTimeout as sleep } from 'node:timers/promises';

const TRIALS = 4;
const TRIAL_MS = 300;
const REST_MS = 500;

const trial = (): number => {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  while (performance.now() - startedMs < TRIAL_MS);
  const { user, system } = process.cpuUsage(before);
  return Math.min(1, (user + system) / 1000 / (performance.now() - startedMs));
};

/**
 * Computes for a moment, a few times: what passes soon does not count.
 * @returns the greatest part of that time in which it really ran, 0 to 1
 */
export const measureShare = async (): Promise<number> => {
  let greatest = trial();
  for (let count = 1; count < TRIALS; count += 1) {
    await sleep(REST_MS);
    greatest = Math.max(greatest, trial());
  }
  return greatest;
};

/** The least that is worth a wait: two jobs that mostly wait. */
const LEAST = 2;

/** What fits side by side on so many processors of which we get this share. */
export const capacityOf = (cores: number, perCore: number, share: number): number =>
  Math.max(LEAST, Math.round(cores * perCore * share));
