import { stripVTControlCharacters } from 'node:util';

/** What a test stage counts for. */
export type Result = {
  passed: number;
  failed: number;
  skipped: number;
  /** Why it failed, beyond the failed tests themselves. */
  reason?: string;
};

/**
 * Takes uvu's summary at its word only when it adds up: a stage that ran nothing, or that broke outside of a test, counts
 * as one failure.
 * @param output what the stage printed
 * @param problem how its process ended; undefined: well
 */
export const judge = (output: string, problem?: string): Result => {
  const plain = stripVTControlCharacters(output);
  const count = (label: string): number =>
    Number([...plain.matchAll(new RegExp(`^  ${label}: +(\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0);
  const [total, passed, skipped] = [count('Total'), count('Passed'), count('Skipped')];
  const reason = problem ?? (total === 0 ? 'it ran no test' : undefined);
  const failed = Math.max(total - passed, reason === undefined ? 0 : 1);
  return { passed, failed, skipped, ...(reason === undefined ? {} : { reason }) };
};
