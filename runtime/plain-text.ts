/** Text that somebody else wrote, as ours may show it: it reaches terminals, and objects that everybody reads. */

/** White space, control characters, and what turns the direction of writing: nothing that acts on a terminal. */
const ACTING = /[\s\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** At most `most` characters; `…` stands for the rest. */
export const clip = (text: string, most: number): string =>
  text.length > most
    ? `${text
        .slice(0, most - 1)
        .replace(/[\ud800-\udbff]$/, '')
        .trimEnd()}…`
    : text;

/** On one line, without control characters, and at most `most` characters of it; `…` stands for the rest. Default: 500. */
export const plainText = (text: string, most = 500): string => {
  // Nothing past this can be shown, however long the text is.
  const looked = 4 * most;
  const line = text.slice(0, looked).replace(ACTING, ' ').trim();
  return clip(text.length > looked ? `${line.padEnd(most)}…` : line, most);
};
