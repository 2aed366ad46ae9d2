/** One owner for each field of a pair's state: the file in agent/pair/state/ whose `Part` declares it. */

/** By field, the path of the file that declares it. */
export type Owners = ReadonlyMap<string, string>;

/** Reads who declares what; the texts of the parts' files are by path. @throws Error when two declare the same field */
export const ownersOf = (parts: ReadonlyMap<string, string>): Owners => {
  const owners = new Map<string, string>();
  for (const [path, text] of parts) {
    const [, body = ''] = /^type Part = \{\n(.*?)^\};/ms.exec(text) ?? [];
    for (const [, field = ''] of body.matchAll(/^ {2}(\w+)\??:/gm)) {
      const other = owners.get(field);
      if (other !== undefined) throw new Error(`${field} is declared by ${other} and by ${path}`);
      owners.set(field, path);
    }
  }
  return owners;
};

/** A path that begins at the state, and what ends it. */
const STEPS = String.raw`\bstate(?:[?!]?\.\w+|\[[^\]]+\]|!)+?`;
const WRITES = [
  `${STEPS}!?\\s*(?:[-+*/%|&^?]{0,2}=(?![=>])|\\+\\+|--)`,
  `(?:\\bdelete|\\+\\+|--)\\s*(?:this\\.#)?${STEPS}(?![\\w.])`,
  `${STEPS}[?!]?\\.(?:push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|set|add|delete|clear)\\(`,
  String.raw`\bObject\.(?:assign|defineProperty)\(\s*(?:this\.#)?state\b[^,]*`,
];
const WRITE = new RegExp(WRITES.join('|'), 'g');

/**
 * Writes through `state` by a file that does not own what is written, `path:line: text` each. The compiler refuses most of
 * them; what lies deeper than a field of a part, it lets pass.
 */
export const foreignWrites = (owners: Owners, texts: ReadonlyMap<string, string>): string[] =>
  [...texts].flatMap(([path, text]) =>
    [...text.matchAll(WRITE)].flatMap(({ 0: write, index }) => {
      const [, field = ''] = /\bstate[?!]?\.(\w+)/.exec(write) ?? [];
      const line = text.slice(0, index).split('\n').length;
      return owners.get(field) === path ? [] : [`${path}:${line}: ${write.trim()}`];
    }),
  );
