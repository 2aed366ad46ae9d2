/** What was tried, for people. */
import type { Verdict } from './attempt.ts';
import { lineFor } from './equivalents.ts';
import type { Fault } from './faults.ts';

/** The share that must be noticed. */
export const GOAL = 0.92;

/** `isExcused`: the list argues that it changes nothing. */
export type Entry = { fault: Fault; verdict: Verdict; isExcused: boolean };

const isKilled = ({ verdict: { type } }: Entry): boolean => type !== 'survived' && type !== 'unreached';

const wordOf = ({ verdict, isExcused }: Entry): string =>
  verdict.type === 'survived' && isExcused ? 'equivalent' : verdict.type;

const byOf = ({ verdict }: Entry): string => {
  if ('by' in verdict) return `${verdict.by}${verdict.type === 'killed' ? '' : ` (${verdict.failure})`}`;
  return verdict.type === 'survived' ? `${verdict.tests} tests pass` : 'no test runs it';
};

/** One fault on one line. */
export const lineOf = (entry: Entry): string => {
  const { file, line, before, after } = entry.fault;
  const seconds = (entry.verdict.ms / 1_000).toFixed(1).padStart(6);
  return `${wordOf(entry).padEnd(10)} ${seconds} s  ${file}:${line}  ${before} → ${after}  [${byOf(entry)}]`;
};

/**
 * The end of the table: what survived, in the form of the list of equivalents, and the counts.
 * @returns `share`: of those that change something, how many were noticed
 */
export const summary = (seed: number, entries: readonly Entry[]): { text: string; share: number } => {
  const killed = entries.filter(isKilled).length;
  const excused = entries.filter((entry) => !isKilled(entry) && entry.isExcused).length;
  const survivors = entries.filter((entry) => !isKilled(entry) && !entry.isExcused);
  const counted = entries.length - excused;
  const share = counted === 0 ? 1 : killed / counted;
  const ends = (['timeout', 'crash'] as const).map(
    (type) => `${entries.filter(({ verdict }) => verdict.type === type).length} by ${type}`,
  );
  const text = [
    ...(survivors.length > 0 ? ['', 'Not noticed:'] : []),
    ...survivors.map(({ fault }) => `${lineFor(fault)} (line ${fault.line})`),
    '',
    `seed ${seed}: ${killed} of ${counted} killed (${ends.join(', ')}), ${(share * 100).toFixed(1)} %; ${excused} change nothing; goal ${GOAL * 100} %`,
  ].join('\n');
  return { text, share };
};
