/**
 * `node sim/planted/main.ts [NAME…]`: plants each bug of the list into the product and runs the simulation until it catches it; with
 * words, the bugs whose names contain one of them. SIM_SEEDS says how many random schedules may be tried: the normal 80. The
 * last line counts: `N passed, N failed`.
 */
import { join } from 'node:path';
import { type Ending, endAll, run } from '../../hack/plant/process.ts';
import type { Bug } from './bug.ts';
import { BUGS } from './bugs.ts';
import type { Order, Word } from './child.ts';
import { plantOf } from './plant-bug.ts';

const PROGRAM = join(import.meta.dirname, 'child.ts');
/** A life takes a second or two; a bug may make one that never ends. */
const STEP_LIMIT_MS = 20_000;
/** As many as the machine that this is made for has cores. */
const JOBS = 2;
const SEEDS = Number(process.env.SIM_SEEDS ?? 80);

type Result = { bug: Bug; seconds: number; by?: string; failure: string };

/** @returns what caught it; `by` is absent when nothing did */
const attempt = async (bug: Bug): Promise<Omit<Result, 'bug' | 'seconds'>> => {
  let fault: Order['fault'];
  try {
    fault = plantOf(bug);
  } catch (error) {
    return { failure: (error as Error).message };
  }
  let at = 'the start';
  const limitMs = (word: Word | undefined): number => {
    if (word?.type === 'begins') at = word.what;
    return STEP_LIMIT_MS;
  };
  const order: Order = { fault, first: bug.first ?? bug.promise, seeds: SEEDS };
  const word: Exclude<Word, { type: 'begins' }> | Ending = await run(PROGRAM, order, limitMs);
  switch (word.type) {
    case 'caught':
      return { by: word.by, failure: word.failure };
    case 'timeout':
      return { by: at, failure: `no end within ${STEP_LIMIT_MS / 1_000} s of processor time` };
    case 'crash':
      // A process that ends before its first life says nothing of the bug.
      return at === 'the start'
        ? { failure: word.text }
        : { by: at, failure: word.text.split('\n')[0] ?? '' };
    case 'missed':
      return { failure: `${word.tests} traces and schedules pass` };
  }
};

const brief = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;

const lineOf = ({ bug, by, failure, seconds }: Result): string =>
  [
    by === undefined ? 'MISSED' : 'caught',
    `${seconds.toFixed(1).padStart(5)} s`,
    `${bug.name} (${bug.promise})`.padEnd(72),
    brief(by ?? '-', 44).padEnd(44),
    brief(failure, 110),
  ].join('  ');

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    endAll();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });

const words = process.argv.slice(2);
const chosen = BUGS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const results: Result[] = [];
const rest = chosen.values();
const lane = async (): Promise<void> => {
  for (const bug of rest) {
    const startedAtMs = performance.now();
    const result = await attempt(bug);
    const whole = { bug, ...result, seconds: (performance.now() - startedAtMs) / 1_000 };
    results.push(whole);
    console.log(lineOf(whole));
  }
};
await Promise.all(Array.from({ length: JOBS }, lane));

const failed = results.filter(({ by }) => by === undefined).length;
console.log(`\n${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 && results.length > 0 ? 0 : 1;
