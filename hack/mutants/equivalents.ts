/** The faults that change nothing, each with its argument: docs/design/equivalent-mutants.md. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../plant/plant.ts';
import type { Fault } from './faults.ts';

export const EQUIVALENTS = join('docs', 'design', 'equivalent-mutants.md');

/** A line of the list. A fault that stands in a file twice in the same words is meant both times. */
export type Equivalent = Pick<Fault, 'file' | 'before' | 'after'> & { argument: string };

/** Code in Markdown: fenced by more backticks than it has in a row. */
const quoted = (text: string): string => {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  const pad = longest > 0 ? ' ' : '';
  return `${fence}${pad}${text}${pad}${fence}`;
};

/** The line of the list, up to its argument. */
export const lineFor = ({ file, before, after }: Pick<Fault, 'file' | 'before' | 'after'>): string =>
  `- ${quoted(file)}: ${quoted(before)} → ${quoted(after)}:`;

const LINE =
  /^- `(?<file>[^`]+)`: (?<a>`+) ?(?<before>.+?) ?\k<a> → (?<b>`+) ?(?<after>.+?) ?\k<b>: (?<argument>\S.*)$/;

/** @throws Error for a line that begins as one of the list and has no argument, or not its form */
export const parseEquivalents = (text: string): Equivalent[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('- `'))
    .map((line) => {
      const { file, before, after, argument } = LINE.exec(line)?.groups ?? {};
      if (file === undefined || before === undefined || after === undefined || argument === undefined)
        throw new Error(`${EQUIVALENTS}: not "- \`file\`: \`before\` → \`after\`: argument": ${line}`);
      return { file, before, after, argument };
    });

export const readEquivalents = (): Equivalent[] =>
  parseEquivalents(readFileSync(join(ROOT, EQUIVALENTS), 'utf8'));

export const isEquivalent = (fault: Fault, list: readonly Equivalent[]): boolean =>
  list.some(
    ({ file, before, after }) => fault.file === file && fault.before === before && fault.after === after,
  );
