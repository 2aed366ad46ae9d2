/** The story of a run: what happened, who says so, and when. */

/** One line of the timeline. */
export type Entry = {
  /** Unix time in milliseconds, with a fraction. */
  atMs: number;
  /** Who says so: a program, a client, EC2, or `you`. */
  who: string;
  text: string;
};

const WHO_WIDTH = 16;

/** One printed line: seconds since the start with milliseconds, who, what. */
export const formatEntry = (entry: Entry, startMs: number): string => {
  const seconds = ((entry.atMs - startMs) / 1000).toFixed(3).padStart(9);
  return `${seconds}  ${entry.who.padEnd(WHO_WIDTH)}  ${entry.text}`;
};

/** The entries in the order in which they happened; equal times keep the order in which they were told. */
export const inOrder = (entries: readonly Entry[]): Entry[] => entries.toSorted((a, b) => a.atMs - b.atMs);

/** A table with aligned columns; the first row is the head, numbers stand to the right. */
export const formatTable = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const isNumber = (cell: string): boolean => /^[-+]?\d/.test(cell);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (isNumber(cell) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  const [head = [], ...body] = rows;
  return [line(head), widths.map((w) => '-'.repeat(w)).join('  '), ...body.map(line)].join('\n');
};
