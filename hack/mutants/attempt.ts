/** One fault, and what the tests say to it. */
import { run } from '../plant/process.ts';
import { choose } from './choose.ts';
import type { Fault } from './faults.ts';
import { type Measured, type Order, PROGRAM, type Word } from './orders.ts';

/** `by`: the test's file and name; for a file that cannot even be imported its name alone. */
export type Verdict =
  | { type: 'killed' | 'timeout' | 'crash'; by: string; failure: string; ms: number }
  | { type: 'survived'; tests: number; ms: number }
  /** No test runs the line at all. */
  | { type: 'unreached'; ms: number };

/** A test that takes so many times what it takes without the fault, and at least so long, does not end. */
const SLOWER = 6;
const LEAST_MS = 20_000;

/** Runs the tests that reach it. */
export const attempt = async (
  fault: Fault,
  all: ReadonlyMap<string, Measured>,
  seed: number,
): Promise<Verdict> => {
  const startedAtMs = performance.now();
  const files = choose(fault, all);
  const elapsedMs = (): number => performance.now() - startedAtMs;
  if (files.length === 0) return { type: 'unreached', ms: 0 };
  let at = '';
  const limitMs = (word: Word | undefined): number => {
    if (word?.type !== 'begins') return LEAST_MS;
    const measured = all.get(word.file);
    const test = word.index === undefined ? undefined : measured?.tests[word.index];
    at = test === undefined ? word.file : `${word.file}: ${test.name}`;
    return Math.max(LEAST_MS, SLOWER * (test?.ms ?? measured?.loadMs ?? 0));
  };
  const { file, start, end, text } = fault;
  const word = await run(
    PROGRAM,
    { type: 'attempt', fault: { file, start, end, text }, files, seed } satisfies Order,
    limitMs,
  );
  const ms = elapsedMs();
  switch (word.type) {
    case 'killed':
      return { type: 'killed', by: at, failure: word.failure, ms };
    case 'timeout':
      return {
        type: 'timeout',
        by: at,
        failure: `no end within ${Math.round(word.afterMs / 1_000)} s of processor time`,
        ms,
      };
    case 'crash':
      return {
        type: 'crash',
        by: at,
        failure: word.text.split('\n').find((line) => /Error|:/.test(line)) ?? '',
        ms,
      };
    case 'survived':
      return { type: 'survived', tests: files.reduce((sum, { tests }) => sum + tests.length, 0), ms };
    default:
      throw new Error(`a process of tests said ${word.type}`);
  }
};
