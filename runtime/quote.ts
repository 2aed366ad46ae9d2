/** Text that somebody else wrote, as ours may quote it. */

/** White space, control characters, and what turns the direction of writing: nothing that acts on a terminal. */
const ACTING = /[\s\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** What is longer than `most` characters ends in an ellipsis; no character is halved. */
export const clip = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;

/** One line without control characters. @param most characters; what is longer ends in an ellipsis */
export const quote = (text: string, most: number): string => {
  // What is cut off need not be looked through.
  const plain = text
    .slice(0, 2 * most)
    .replace(ACTING, ' ')
    .trim();
  const clipped = clip(plain, most);
  return text.length > 2 * most && clipped === plain ? `${plain.slice(0, most - 1)}…` : clipped;
};
