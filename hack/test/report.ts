/** What the runner prints at its end. */
import type { JobRun } from './run-job.ts';
import { slowest, type Time } from './times.ts';

export type Finished = JobRun & { name: string; times: readonly Time[] };

const SLOWEST = 10;

/** A job on a line. */
export const lineOf = ({ name, result, seconds }: Finished): string => {
  const { passed, failed } = result;
  const counts = `${String(passed).padStart(6)} passed ${String(failed).padStart(4)} failed`;
  return `${counts}  ${seconds.toFixed(1).padStart(7)} s  ${name}`;
};

/**
 * All jobs, the slowest tests, and the counts as the last line.
 * @param skippedJobs how many were not run: this user may not
 */
export const reportOf = (finished: readonly Finished[], skippedJobs: number, seconds: number): string => {
  const sum = (key: 'passed' | 'failed' | 'skipped'): number =>
    finished.reduce((total, { result }) => total + result[key], 0);
  const times = finished.flatMap(({ name, times: own }) => own.map((time) => ({ ...time, job: name })));
  const skipped = sum('skipped') + skippedJobs;
  return [
    '\n=== all jobs',
    ...finished.map(lineOf),
    '\n=== the slowest tests',
    ...slowest(times, SLOWEST),
    `\nin ${(seconds / 60).toFixed(1)} minutes`,
    `\n${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ].join('\n');
};
