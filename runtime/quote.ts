/** Text that somebody else wrote, as ours may quote it. */

/** White space, control characters, and what turns the direction of writing: nothing that acts on a terminal. */
const ACTING = /[\s\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** One line without control characters. @param most characters; what is longer ends in an ellipsis */
export const quote = (text: string, most: number): string => {
  // What is cut off need not be looked through.
  const plain = text
    .slice(0, 2 * most)
    .replace(ACTING, ' ')
    .trim();
  const isCut = plain.length > most || text.length > 2 * most;
  return isCut ? `${plain.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…` : plain;
};
