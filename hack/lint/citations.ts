/**
 * Citations in code, cases and documents, and what they lead to in docs/design; docs/README.md says which forms there are. A
 * reader who follows one must find what it names, so one that leads nowhere is a fault. Texts are handed in.
 */
import { posix } from 'node:path';

/** A file by its path from the root. */
export type Text = { path: string; text: string };

/** What a citation leads to. */
export type Kind = 'document' | 'trace' | 'invariant' | 'takeover rule' | 'RFC' | 'file';

/** One citation, with why it leads nowhere; absent: it does not. */
export type Citation = { kind: Kind; path: string; line: number; text: string; fault?: string };

/** A named part of a document: a heading with all below it, or a paragraph whose bold name stands at its beginning. */
type Part = { name: string; number: string; body: string };

/** What there is to be cited. */
export type Library = {
  parts: ReadonlyMap<string, readonly Part[]>;
  traces: ReadonlySet<string>;
  invariants: ReadonlySet<string>;
  takeoverRules: ReadonlySet<string>;
  rfcs: ReadonlySet<string>;
  /** Files and folders, from the root. */
  paths: ReadonlySet<string>;
};

/** By the name under which each document is cited. */
export const DOCUMENTS: Readonly<Record<string, string>> = {
  DESIGN: 'docs/design/DESIGN.md',
  INVARIANTS: 'docs/design/INVARIANTS.md',
  TRACES: 'docs/design/TRACES.md',
  TAKEOVER: 'docs/design/TAKEOVER.md',
  GLOSSARY: 'docs/design/GLOSSARY.md',
  STYLE: 'docs/design/STYLE.md',
  'FAILURE-STORIES': 'docs/design/FAILURE-STORIES.md',
  'VRRP-FACTS': 'docs/design/facts/VRRP.md',
  'AWS-FACTS': 'docs/design/facts/AWS.md',
  'KUBERNETES-FACTS': 'docs/design/facts/KUBERNETES.md',
  'LAB-FACTS': 'docs/design/facts/LAB.md',
};

/** Looks like the name of an invariant, and is the engine's. */
const NO_INVARIANTS: readonly string[] = ['V8'];

const plain = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[*`]/g, '')
    .replace(/\s+/g, ' ')
    .replace(/[.:;,\s]+$/, '')
    .trim();

const HEADING = /^(#+) (?:([A-Z]?\d+(?:\.\d+)*)\.? )?(.+)$/;
const BOLD_NAME = /^(?:- |\d+\. )?\*\*(.+?)\*\*/;

/** The parts of a document, in its order. */
export const partsOf = (text: string): Part[] => {
  const lines = text.split('\n');
  return lines.flatMap((line, at): Part[] => {
    const [, depth, number = '', title] = HEADING.exec(line) ?? [];
    if (depth !== undefined && title !== undefined) {
      const next = lines.findIndex((other, index) => {
        const [, otherDepth] = HEADING.exec(other) ?? [];
        return index > at && otherDepth !== undefined && otherDepth.length <= depth.length;
      });
      const body = lines.slice(at, next === -1 ? undefined : next).join('\n');
      return [{ name: plain(title), number, body }];
    }
    const rest = lines.findIndex((other, index) => index > at && /^(?:- |#|$)/.test(other));
    const body = lines.slice(at, rest === -1 ? undefined : rest).join('\n');
    const [, name] = BOLD_NAME.exec(body.replaceAll('\n', ' ')) ?? [];
    return name === undefined ? [] : [{ name: plain(name), number: '', body }];
  });
};

const firstCells = (text: string, form: RegExp): Set<string> =>
  new Set([...text.matchAll(/^\| ([^|]+?) \|/gm)].flatMap(([, cell = '']) => form.exec(cell)?.[1] ?? []));

const foldersOf = (path: string): string[] => {
  const steps = path.split('/');
  return steps.slice(1).map((_, at) => steps.slice(0, at + 1).join('/'));
};

/**
 * @param read the text of a file
 * @param paths of all files
 */
export const readLibrary = (read: (path: string) => string, paths: readonly string[]): Library => {
  const takeover = read('docs/design/TAKEOVER.md');
  return {
    parts: new Map(Object.entries(DOCUMENTS).map(([name, path]) => [name, partsOf(read(path))])),
    traces: new Set([
      ...firstCells(read('docs/design/TRACES.md'), /^(T\d+)$/),
      ...firstCells(takeover, /^(T\d+)$/),
    ]),
    invariants: firstCells(read('docs/design/INVARIANTS.md'), /^([SVL]\d+) /),
    takeoverRules: new Set([...takeover.matchAll(/^\*\*(K\d+) /gm)].map(([, name = '']) => name)),
    rfcs: firstCells(read('docs/design/GLOSSARY.md'), /^RFC (\d+)$/),
    paths: new Set(paths.flatMap((path) => [path, ...foldersOf(path)])),
  };
};

const partNamed = (parts: readonly Part[], words: string): Part | undefined => {
  const wanted = plain(words);
  const begins = (whole: string, beginning: string): boolean =>
    whole === beginning ||
    (whole.startsWith(beginning) && /[^\p{L}\p{N}]/u.test(whole[beginning.length] ?? ''));
  return parts.find(
    ({ name, body }) =>
      begins(name, wanted) ||
      (wanted.startsWith(`${name},`) && plain(body).includes(wanted.slice(name.length + 1).trim())),
  );
};

const hasRow = ({ body }: Part, row: string): boolean => body.includes(`\n| ${row} |`);

/** Cases are named in the tags of what they have shown: `[M, case 15]`, `(17, 17b)`. */
const hasCase = ({ body }: Part, name: string): boolean =>
  [...body.matchAll(/\[[^\]]*\]|\([^)]*\)/g)].some(([tag]) => new RegExp(`\\b${name}\\b`).test(tag));

/** What is cited behind the number of a section: rows of its table, cases, `I4`. */
const faultBehind = (part: Part, tail: string): string | undefined => {
  const list = (words: string): string[] =>
    [...tail.matchAll(new RegExp(`\\b${words} (\\w+)(?: and (\\w+))?`, 'g'))].flatMap(([, ...names]) =>
      names.filter((name) => name !== undefined),
    );
  const row = list('rows?').find((name) => !hasRow(part, name));
  if (row !== undefined) return `there is no row ${row} in section ${part.number}`;
  const named = [...list('cases?'), ...(tail.match(/\bI\d+b?\b/g) ?? [])];
  const unknown = named.find((name) => !hasCase(part, name));
  return unknown === undefined ? undefined : `no case ${unknown} is named in section ${part.number}`;
};

const faultOfNumbers = (parts: readonly Part[], numbers: string, tail: string): string | undefined => {
  const sections = numbers.split(' and ').map((number) => parts.find((part) => part.number === number));
  const [first] = sections;
  if (first === undefined || sections.includes(undefined)) return `there is no section ${numbers}`;
  return faultBehind(first, tail);
};

const isDocument = (path: string): boolean => path.endsWith('.md');

/** The forms of a place in a document, as they stand behind its name. */
const QUOTED = /^,? "([^"]+)"/;
const NUMBERED = /^,? ([A-Z]?\d+(?:\.\d+)*(?: and \d+(?:\.\d+)*)*)([^;)"'\n]*)/;
const PHRASE = /^, ([^;)"'\n]+)/;

const documentCitation = (
  { parts }: Library,
  name: string,
  rest: { flat: string; asWritten: string },
  path: string,
): Omit<Citation, 'path' | 'line' | 'kind'> => {
  const known = parts.get(name) ?? [];
  const named = (words: string, text: string) => ({
    text: `${name}${text}`,
    ...(!partNamed(known, words) && { fault: `nothing in ${DOCUMENTS[name]} has this name` }),
  });
  const [quoted, words] = QUOTED.exec(rest.flat) ?? [];
  if (quoted !== undefined && words !== undefined) return named(words, quoted);
  const [numbered, numbers, tail = ''] = NUMBERED.exec(rest.flat) ?? [];
  if (numbered !== undefined && numbers !== undefined) {
    const fault = faultOfNumbers(known, numbers, tail);
    return { text: `${name}${numbered}`, ...(fault !== undefined && { fault }) };
  }
  const [phrase, said] = path.endsWith('.yaml') ? (PHRASE.exec(rest.asWritten) ?? []) : [];
  if (phrase !== undefined && said !== undefined) return named(said, phrase);
  // Documents speak of each other as a whole; elsewhere a reader is led to a place, or to the file.
  const isWhole = isDocument(path) || rest.flat.startsWith('.md');
  return { text: name, ...(!isWhole && { fault: 'names no place in the document' }) };
};

/** One text with comments and line breaks taken away, character by character, so that places stay. */
const flatten = (text: string): string =>
  text.replace(/\n[ \t]*(?:\*(?!\/)|\/\/|#(?!#))?[ \t]*/g, (gap) => ' '.padEnd(gap.length, '\u0000'));

const oneSpace = (text: string): string => text.replaceAll('\u0000', '');

/** The citations of one text. */
export const citationsIn = (library: Library, { path, text }: Text): Citation[] => {
  const flat = flatten(text);
  const lineOf = (at: number): number => text.slice(0, at).split('\n').length;
  const found = <K extends Kind>(
    kind: K,
    form: RegExp,
    look: (match: RegExpExecArray) => { text: string; fault?: string } | undefined,
  ): Citation[] =>
    [...flat.matchAll(form)].flatMap((match) => {
      const citation = look(match);
      return citation === undefined ? [] : [{ kind, path, line: lineOf(match.index), ...citation }];
    });
  const member = (known: ReadonlySet<string>, name: string, of: string) => ({
    text: name,
    ...(!known.has(name) && { fault: `${of} has no ${name}` }),
  });
  const names = Object.keys(DOCUMENTS).join('|');

  return [
    ...found('document', new RegExp(`(?<![\\w/-])(${names})(?![\\w-])(\\.md(?=, "))?`, 'g'), (match) => {
      const at = match.index + match[0].length;
      const rest = { flat: oneSpace(flat.slice(at, at + 400)), asWritten: text.slice(at, at + 400) };
      return documentCitation(library, match[1] ?? '', rest, path);
    }),
    ...found('trace', /\bT[1-9]\d*\b/g, ([name]) => member(library.traces, name, 'TRACES.md or TAKEOVER.md')),
    ...found('invariant', /\b[SVL][1-9]\d*\b/g, ([name]) =>
      NO_INVARIANTS.includes(name) ? undefined : member(library.invariants, name, 'INVARIANTS.md'),
    ),
    ...found('takeover rule', /\bK[1-9]\d*\b/g, ([name]) =>
      member(library.takeoverRules, name, 'TAKEOVER.md'),
    ),
    ...found('RFC', /\bRFC (\d+)((?: sections?)?)(?: ((?=\d)[\w.]*\w))?/g, (match) =>
      rfcCitation(library, match, path),
    ),
    ...found('file', /(?<![\w./-])docs\/[\w./-]*\w/g, ([name]) => member(library.paths, name, 'the tree')),
  ];
};

const rfcCitation = (
  { rfcs }: Library,
  [text, number = '', word = '', section]: RegExpExecArray,
  path: string,
) => {
  const citation = { text };
  if (!rfcs.has(number)) return { ...citation, fault: `GLOSSARY.md does not list RFC ${number}` };
  if (section === undefined && word === '') return citation;
  if (section === undefined || !/^\d+(?:\.\d+){0,3}$/.test(section)) {
    return { ...citation, fault: 'a section is numbered as in 6.4.3' };
  }
  const isShortForm = word === '' && !/\.(?:yaml|md)$/.test(path);
  return isShortForm ? { ...citation, fault: `say: RFC ${number} section ${section}` } : citation;
};

/** Links of a Markdown document to files of the tree that are not there. */
export const brokenLinks = ({ paths }: Library, { path, text }: Text): string[] =>
  [...text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].flatMap(([, target = '']) => {
    const file = posix.join(posix.dirname(path), target).replace(/\/$/, '');
    return paths.has(file) ? [] : [`${path}: ${target}`];
  });
