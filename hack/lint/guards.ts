/** Which tests guard a promise, as a row of docs/design/INVARIANTS.md or FAULTS.md says, and whether a file declares such a test. */

/** A test that a row names as the guard of its promise. */
export type Guard = { row: string; path: string; title: string };

/** The last cell of each row of a table whose first cell begins with a name such as `S1` or `O12`. */
export const guardCellsOf = (table: string): { row: string; cell: string }[] =>
  [...table.matchAll(/^\| ([A-Z]\d+\+?)(?: [^|]*)?\|[^|]*\|([^|]*)\|$/gm)].map(([, row = '', cell = '']) => ({
    row,
    cell: cell.trim(),
  }));

/** Every guard of every row. */
export const guardsOf = (table: string): Guard[] =>
  guardCellsOf(table).flatMap(({ row, cell }) =>
    [...cell.matchAll(/`([^`]+)` "([^"]+)"/g)].map(([, path = '', title = '']) => ({ row, path, title })),
  );

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);

/**
 * The titles of the tests in a file: what a function is called with first, if that is text and something follows it. What a
 * title takes from a variable may be anything.
 */
const titleForms = (source: string): RegExp[] =>
  [...source.matchAll(/\b\w+\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|`((?:\\.|[^`\\])*)`),/g)].map(
    ([, single, double, template]) => {
      const title = (single ?? double ?? template ?? '').replace(/\\(.)/g, '$1');
      const pieces = template === undefined ? [title] : title.split(/\$\{[^}]*\}/);
      return new RegExp(`^${pieces.map(literal).join('.+')}$`);
    },
  );

/** True if the file declares a test of this title. */
export const hasTest = (source: string, title: string): boolean =>
  titleForms(source).some((form) => form.test(title));
