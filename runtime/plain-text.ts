/**
 * Text of somebody else's as it may be shown: it reaches terminals, and objects that everybody reads.
 */

/** Control characters, and those that turn the direction of what follows. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** On one line, without control characters, and at most `most` characters of it; `…` stands for the rest. Default: 500. */
export const plainText = (text: string, most = 500): string => {
  // Nothing past this can be shown, however long the text is.
  const line = text
    .slice(0, 4 * most)
    .replace(UNSEEN, ' ')
    .trim();
  return line.length > most || text.length > 4 * most ? `${line.slice(0, most - 1).trimEnd()}…` : line;
};
