/** Which tests guard the invariants, as docs/design/INVARIANTS.md says, and whether a file declares such a test. */

/** A test that INVARIANTS.md names as the guard of a promise. */
export type Guard = { invariant: string; path: string; title: string };

/** Every guard of every row. */
export const guardsOf = (invariants: string): Guard[] =>
  [...invariants.matchAll(/^\| ([SVL]\d+) [^|]*\|[^|]*\|([^|]*)\|$/gm)].flatMap(
    ([, invariant = '', cell = '']) =>
      [...cell.matchAll(/`([^`]+)` "([^"]+)"/g)].map(([, path = '', title = '']) => ({
        invariant,
        path,
        title,
      })),
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
