/** How long each test took: noted in the job's process, told to the runner through a file, printed as a list of the slowest. */
import { appendFileSync, readFileSync } from 'node:fs';

export type Time = { title: string; ms: number };

/** Where this process tells its times; absent: nobody asks. */
const file = process.env.TEST_TIMES;

/** Tells the runner how long a test took. */
export const noteTime = (title: string, ms: number): void => {
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ title, ms } satisfies Time)}\n`);
};

/** What a job's process has told; nothing when it told nothing. */
export const readTimes = (path: string): Time[] => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return []; // it broke before its first test
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Time);
};

/** Lines for a person: the slowest tests, slowest first. */
export const slowest = (times: readonly (Time & { job: string })[], count: number): string[] =>
  [...times]
    .sort((a, b) => b.ms - a.ms)
    .slice(0, count)
    .map(({ ms, job, title }) => `${(ms / 1000).toFixed(1).padStart(8)} s  ${job}: ${title}`);
