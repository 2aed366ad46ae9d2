/**
 * `node hack/test/main.ts [SUITE | FILE…] [--only TITLE] [--seed N] [--keep]`: runs test files side by side, as many as the
 * machine bears, and prints each job's output when it has ended. Without arguments all that needs no root. The last line
 * counts: `N passed, N failed`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findKubeBinaries } from '../controlplane/binaries.ts';
import { ensureTools } from '../setup/tools.ts';
import {
  CAPACITY_PER_CORE,
  findTestFiles,
  type Job,
  jobsOf,
  jobsOfFile,
  ORDINARY,
  SUITE_NAMES,
  type SuiteName,
  suiteOf,
} from './jobs.ts';
import { createPlanes, type LentPlane } from './planes.ts';
import { type Finished, lineOf, reportOf } from './report.ts';
import { killAll, runJob } from './run-job.ts';
import { runSideBySide } from './schedule.ts';
import { capacityOf, measureShare } from './share.ts';
import { readTimes } from './times.ts';

const USAGE = `node hack/test/main.ts [SUITE | FILE…] [flags]
  SUITE           ${SUITE_NAMES.join(', ')}; default: all but machine
  --only TITLE    only tests whose title contains this
  --seed N        the simulation's random schedules: this seed alone, and its story
  --seeds N       so many of them (default 80), from --first-seed N on (default 1)
  --keep          one end-to-end file: leave its lab open afterwards, and say how to use it
  --jobs N        how many waiting jobs run side by side (default: ${CAPACITY_PER_CORE} a processor, fewer on a busy machine)`;

const ROOT = join(import.meta.dirname, '..', '..');
const TIMES = join(ROOT, '.out', 'test-times');

const readFlags = () => {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: text,
      seed: text,
      seeds: { ...text, default: '80' },
      'first-seed': { ...text, default: '1' },
      jobs: text,
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return { ...values, positionals };
};

const numberOf = (name: string, value: string): number => {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0)
    throw new Error(`--${name} takes a whole number, not ${value}`);
  return number;
};

const isSuite = (word: string): word is SuiteName => SUITE_NAMES.some((name) => name === word);

type Flags = ReturnType<typeof readFlags>;

const jobsFor = ({ positionals, seed, seeds, 'first-seed': first }: Flags): Job[] => {
  const plan = {
    cores: availableParallelism(),
    seeds: seed === undefined ? numberOf('seeds', seeds) : 1,
    firstSeed: numberOf('first-seed', first),
  };
  const files = findTestFiles();
  const words = positionals.length === 0 ? ORDINARY : positionals;
  return words.flatMap((word) => {
    if (isSuite(word)) return jobsOf(word, plan, files);
    const file = relative(ROOT, resolve(word));
    if (!files.includes(file)) throw new Error(`${word} is neither a suite nor a test file of this tree`);
    return jobsOfFile(file, plan);
  });
};

/** Not the root of a user namespace, who may do little. */
const isRealRoot = (): boolean =>
  process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));

/** Jobs of this user. */
const permitted = (jobs: readonly Job[]): Job[] => {
  const isMachine = ({ files }: Job): boolean => files.some((file) => suiteOf(file) === 'machine');
  const skipped = isRealRoot() ? [] : jobs.filter(isMachine);
  for (const { name } of skipped) console.log(`!!! ${name} SKIPPED: it needs real root, and this is not`);
  return jobs.filter((job) => !skipped.includes(job));
};

/** For every job's process. */
const environmentOf = ({ only, seed, keep }: Flags): Record<string, string> => ({
  ...(only !== undefined && { TEST_ONLY: only }),
  ...(seed !== undefined && { SIM_SEED: String(numberOf('seed', seed)) }),
  ...(keep && { TEST_KEEP: '1' }),
});

/** As much as this machine bears now; a single job need not ask. */
const usualCapacity = async (jobs: number): Promise<number> => {
  if (jobs <= 1) return 1;
  const share = await measureShare();
  const capacity = capacityOf(availableParallelism(), CAPACITY_PER_CORE, share);
  console.log(`hapair: ${Math.round(100 * share)} % of a processor is ours: ${capacity} jobs side by side`);
  return capacity;
};

/** Minutes when the control plane must be built: no test's deadline should have to cover that. */
const prepareTools = async (): Promise<void> => {
  await ensureTools();
  await findKubeBinaries();
};

const main = async (flags: Flags): Promise<void> => {
  const asked = jobsFor(flags);
  const jobs = permitted(asked);
  if (flags.keep && jobs.length !== 1) throw new Error('--keep takes one end-to-end file');
  const env = environmentOf(flags);
  const startedMs = performance.now();
  const planes = createPlanes();
  const finished: Finished[] = [];
  rmSync(TIMES, { recursive: true, force: true });
  mkdirSync(TIMES, { recursive: true });
  const isWatched = jobs.length === 1;
  // A folder for temporary files of each job's own: one test looks for what others could have left where everybody writes.
  const temporary = mkdtempSync(join(tmpdir(), 'tmp.hapair-'));
  process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

  let tools: Promise<void> | undefined;
  const run = async (job: Job): Promise<void> => {
    if (job.needsTools) {
      tools ??= prepareTools();
      // The jobs that need what is missing fail one by one and say so; the others still run.
      await tools.catch((error: Error) => console.error(`hapair: ${error.message}`));
    }
    const times = join(TIMES, job.name.replaceAll(/\W+/g, '-'));
    let plane: LentPlane | undefined;
    if (job.sharesPlane) plane = await planes.lend().catch((error: Error) => complain(error));
    const own = { ...env, ...plane?.env, TEST_TIMES: times, TMPDIR: mkdtempSync(join(temporary, '-')) };
    const outcome = await runJob(job, { env: own, isWatched, isKept: flags.keep });
    await plane?.giveBack(outcome.result.failed === 0);
    const entry = { ...outcome, name: job.name, times: readTimes(times) };
    finished.push(entry);
    if (!isWatched) console.log(`\n=== ${job.name}\n${entry.output.trimEnd()}`);
    const { failed, reason } = entry.result;
    if (failed > 0) console.log(`!!! ${job.name} failed${reason ? `: ${reason}` : ''}`);
    else if (!isWatched) console.log(lineOf(entry));
  };
  const capacity = flags.jobs ? numberOf('jobs', flags.jobs) : await usualCapacity(jobs.length);
  await runSideBySide(jobs, capacity, run);
  await planes.stop();
  console.log(reportOf(finished, asked.length - jobs.length, (performance.now() - startedMs) / 1000));
  process.exitCode = finished.some(({ result }) => result.failed > 0) ? 1 : 0;
};

/** A story that is lent no plane starts its own. */
const complain = (error: Error): undefined => {
  console.error(`hapair: no control plane to share: ${error.message}`);
  return undefined;
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killAll();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

try {
  const flags = readFlags();
  if (flags.help) console.log(USAGE);
  else await main(flags);
} catch (error) {
  console.error(`hapair: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exitCode = 2;
}
