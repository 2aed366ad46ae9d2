/** What a program logs, as its text has it: every call of a log and the reason that it gives. */

/** A call of a log in a file. */
export type LogLine = {
  path: string;
  line: number;
  /** Its first argument, as it is written. */
  fields: string;
};

/** `log.warn(`, `this.#log.info(`, `options.log?.error(`, `lines.fatal(`, `log[level](`: up to the bracket. */
const CALLS = /(?:\blog|#log|\blines)(?:\??\.(?:info|warn|error|fatal)|\[[^\]]+\])\(/g;

/** Every call of a log in the text. */
export const logLinesIn = (path: string, text: string): LogLine[] =>
  [...text.matchAll(CALLS)].map(({ 0: call, index }) => ({
    path,
    line: text.slice(0, index).split('\n').length,
    fields: firstArgument(text, index + call.length),
  }));

/** Up to the comma outside all brackets, or to the bracket that ends the call. */
const firstArgument = (text: string, from: number): string => {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth < 0 || (depth === 0 && character === ',')) return text.slice(from, at);
  }
  return text.slice(from);
};

/** The words that an argument gives as its reason, as far as they are written there; undefined: it gives none. */
export const reasonsIn = (fields: string): string[] | undefined => {
  const given = /\breason\b(?::\s*([^,}]+))?/.exec(fields);
  if (given === null) return undefined;
  // What a condition compares with is no reason.
  const values = (given[1] ?? '').replaceAll(/[!=]== '\w+'/g, '');
  return [...values.matchAll(/'(\w+)'/g)].map(([, word = '']) => word);
};
