/**
 * `node hack/mutants/main.ts [--seed N] [--sample N] [--jobs N] [--only FILE[:LINE]] [--quick]`: plants small faults into the
 * hearts, one at a time, and prints which of them no test notices. Default: 150 by the commit's seed, two at a time. With
 * `--quick` the simulation is not asked, which is for those who write unit tests. Exit code 1: fewer than 92 % were killed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../plant/plant.ts';
import { endAll } from '../plant/process.ts';
import { attempt, type Verdict } from './attempt.ts';
import { measure } from './baseline.ts';
import { isEquivalent, readEquivalents } from './equivalents.ts';
import { type Fault, faultsOf } from './faults.ts';
import { heartFiles, isSimulation, testFiles } from './hearts.ts';
import type { Measured } from './orders.ts';
import { sampleOf, seedOfCommit } from './sample.ts';
import { GOAL, lineOf, summary } from './table.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    sample: { type: 'string', default: '150' },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});
const seed = values.seed === undefined ? seedOfCommit() : Number(values.seed);
const jobs = Number(values.jobs);
const count = Number(values.sample);
for (const [name, value] of Object.entries({ seed, jobs, sample: count }))
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: a whole number is wanted`);

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    endAll();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });

/** Works on a list, several at a time; each takes the next. */
const each = async <T>(
  list: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> => {
  const rest = list.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of rest) await work(item, index);
  };
  await Promise.all(Array.from({ length: jobs }, lane));
};

const baseline = async (): Promise<Map<string, Measured>> => {
  // What takes longest begins first.
  const files = testFiles()
    .filter((file) => !values.quick || !isSimulation(file))
    .sort((a, b) => Number(isSimulation(b)) - Number(isSimulation(a)));
  const measured = new Map<string, Measured>();
  const startedAtMs = performance.now();
  await each(files, async (file) => {
    measured.set(file, await measure(file, seed));
    process.stderr.write(`\r${measured.size} of ${files.length} test files pass without a fault `);
  });
  const tests = [...measured.values()].reduce((sum, { tests: { length } }) => sum + length, 0);
  console.error(`(${tests} tests, ${Math.round((performance.now() - startedAtMs) / 1_000)} s)`);
  return measured;
};

const allFaults = heartFiles().flatMap((file) => faultsOf(file, readFileSync(join(ROOT, file), 'utf8')));
const [onlyFile, onlyLine] = values.only?.split(':') ?? [];
const wanted = allFaults.filter(
  ({ file, line }) =>
    (onlyFile === undefined || file === onlyFile) && (onlyLine === undefined || line === Number(onlyLine)),
);
const sample = sampleOf(wanted, values.only === undefined ? count : wanted.length, seed);
const equivalents = readEquivalents();

const measured = await baseline();
console.log(`seed ${seed}: ${sample.length} of ${allFaults.length} faults in ${heartFiles().length} files`);
const verdicts: { fault: Fault; verdict: Verdict; isExcused: boolean }[] = [];
await each(sample, async (fault) => {
  const verdict = await attempt(fault, measured, seed);
  const entry = { fault, verdict, isExcused: isEquivalent(fault, equivalents) };
  verdicts.push(entry);
  console.log(`${String(verdicts.length).padStart(4)} ${lineOf(entry)}`);
});
const { text, share } = summary(seed, verdicts);
console.log(text);
process.exitCode = share >= GOAL ? 0 : 1;
