/** What there is to run: test files, grouped into jobs. A job is a process of its own with a deadline and a weight. */
import { readdirSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const MINUTE_MS = 60_000;

/** How a suite of files is run. */
type Suite = {
  /** How much of the machine one of its jobs takes while it runs; {@link CAPACITY_PER_CORE} fit on a core. */
  weight: number;
  deadlineMs: number;
  /** Needs the lab's tools: kube-apiserver, kubectl, helm, aws, nft. */
  needsTools: boolean;
  /** Its stories may be told on a control plane that others have used. */
  sharesPlane: boolean;
};

export type Job = Suite & {
  name: string;
  /** Relative to the work tree. */
  files: readonly string[];
  env: Readonly<Record<string, string>>;
};

/** A job of weight 1 mostly waits: for an election, for a deadline of the product, for EC2. */
export const CAPACITY_PER_CORE = 3;
const BUSY = 3;
const WAITING = 1;
const ALONE = Number.POSITIVE_INFINITY;

const SUITES = {
  unit: { weight: BUSY, deadlineMs: 5 * MINUTE_MS, needsTools: false, sharesPlane: false },
  sim: { weight: BUSY, deadlineMs: 15 * MINUTE_MS, needsTools: false, sharesPlane: false },
  integration: { weight: WAITING, deadlineMs: 15 * MINUTE_MS, needsTools: true, sharesPlane: false },
  e2e: { weight: WAITING, deadlineMs: 20 * MINUTE_MS, needsTools: true, sharesPlane: true },
  /** What wants real root, and the machine for itself. */
  machine: { weight: ALONE, deadlineMs: 12 * MINUTE_MS, needsTools: true, sharesPlane: false },
} as const satisfies Record<string, Suite>;

export type SuiteName = keyof typeof SUITES;
export const SUITE_NAMES = Object.keys(SUITES) as SuiteName[];

/**
 * `make test`: all that an ordinary user may run. First what answers in seconds, then what mostly waits; the simulation, which
 * never waits, fills what that leaves of the processors.
 */
export const ORDINARY: readonly SuiteName[] = ['unit', 'integration', 'e2e', 'sim'];

const NOT_OURS = new Set(['node_modules', '.git', '.lab', '.out']);

/** Every test file of the work tree, with `/` between folders, sorted. */
export const findTestFiles = (root = ROOT): string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter(({ name }) => !NOT_OURS.has(name))
    .flatMap((entry) => {
      if (entry.isDirectory())
        return findTestFiles(join(root, entry.name)).map((file) => `${entry.name}/${file}`);
      return entry.name.endsWith('.test.ts') ? [entry.name] : [];
    })
    .sort();

/** The suite of a test file: by its folder. */
export const suiteOf = (file: string): SuiteName => {
  const path = file.split(sep).join('/');
  if (path.startsWith('test/e2e/')) return 'e2e';
  if (path.startsWith('test/machine/')) return 'machine';
  if (path.startsWith('test/')) return 'integration';
  return path.startsWith('sim/') ? 'sim' : 'unit';
};

const jobOf = (suite: SuiteName, name: string, files: readonly string[], env = {}): Job => ({
  ...SUITES[suite],
  name,
  files,
  env,
});

const jobOfFile = (file: string): Job => jobOf(suiteOf(file), file, [file]);

/** Shares files out over so many jobs, every n-th each: neighbours are alike in what they cost. */
const sharedOut = (files: readonly string[], parts: number): string[][] =>
  Array.from({ length: parts }, (_, part) => files.filter((__, index) => index % parts === part)).filter(
    ({ length }) => length > 0,
  );

/** The longest first, for they last longest: what is left at the end is short. */
const longestFirst = (files: readonly string[]): string[] => {
  const bytes = (file: string): number => statSync(join(ROOT, file), { throwIfNoEntry: false })?.size ?? 0;
  return files.toSorted((a, b) => bytes(b) - bytes(a));
};

const RANDOM = 'sim/random.test.ts';

export type Plan = {
  /** Processors that jobs may fill. */
  cores: number;
  /** Random schedules of the simulation: how many seeds, from which one on. */
  seeds: number;
  firstSeed: number;
};

/** The random schedules, an equal part of the seeds to each processor. */
const randomJobs = ({ cores, seeds, firstSeed }: Plan): Job[] => {
  const part = Math.ceil(seeds / cores);
  return Array.from({ length: cores }, (_, index) => firstSeed + index * part).map((first) => {
    const count = Math.min(part, firstSeed + seeds - first);
    const name = `${RANDOM}, seeds ${first} to ${first + count - 1}`;
    return jobOf('sim', name, [RANDOM], { SIM_FIRST: String(first), SIM_SEEDS: String(count) });
  });
};

/** The jobs of one file, with whatever its suite needs. */
export const jobsOfFile = (file: string, plan: Plan): Job[] =>
  file === RANDOM && plan.seeds > 1 ? randomJobs(plan) : [jobOfFile(file)];

/**
 * The jobs of a suite: units in two jobs for each processor, the others a file each.
 * @param all the files there are; default: those of the work tree
 */
export const jobsOf = (suite: SuiteName, plan: Plan, all: readonly string[] = findTestFiles()): Job[] => {
  const own = all.filter((file) => suiteOf(file) === suite);
  if (suite === 'unit')
    return sharedOut(own, 2 * plan.cores).map((part, index) => jobOf(suite, `unit ${index + 1}`, part));
  const files = longestFirst(own.filter((file) => file !== RANDOM)).map(jobOfFile);
  return suite === 'sim' && own.includes(RANDOM) ? [...randomJobs(plan), ...files] : files;
};
