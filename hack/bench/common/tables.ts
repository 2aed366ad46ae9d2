/** Verdicts on goals, and tables, as rows of words. Pure. */

/** A goal, what was measured, and whether that reaches it. */
export type Verdict = { goal: string; measured: string; isReached: boolean };

/** Rows of the goals, head first. */
export const verdictTable = (found: readonly Verdict[]): string[][] => [
  ['goal', 'measured', ''],
  ...found.map(({ goal, measured, isReached }) => [goal, measured, isReached ? 'reached' : 'MISSED']),
];

/** A Markdown table. */
export const markdownTable = ([head = [], ...rows]: readonly (readonly string[])[]): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
};
