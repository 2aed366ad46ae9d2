/** Whoever follows a citation finds what it names: in code, cases, chart and documents. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  brokenLinks,
  type Citation,
  citationsIn,
  type Kind,
  partsOf,
  readLibrary,
  type Text,
} from './citations.ts';
import { type Guard, guardCellsOf, guardsOf, hasTest } from './guards.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const OUTSIDE = ['node_modules', '.git', '.lab', '.out'];
const paths = globSync('**/*', {
  cwd: ROOT,
  withFileTypes: true,
  exclude: ({ name }) => OUTSIDE.includes(name),
})
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));

/** They speak of the form of citations and paths. */
const OF_FORM = [
  'hack/lint/citations.ts',
  'hack/lint/citations.test.ts',
  'hack/lint/documents.test.ts',
  'agent/vrrp/conformance.test.ts',
  'docs/README.md',
];
const texts: Text[] = paths
  .filter((path) => /\.(?:ts|cpp|yaml|md|json|tpl|txt|service|sh)$|^Makefile$/.test(path))
  .filter((path) => path !== 'package-lock.json' && !OF_FORM.includes(path))
  .map((path) => ({ path, text: read(path) }));

const library = readLibrary(read, paths);
const citations = texts.flatMap((text) => citationsIn(library, text));

const inWords = ({ path, line, text, fault }: Citation): string => `${path}:${line}: ${text}: ${fault}`;

test('every citation leads to what it names', () => {
  assert.equal(citations.filter(({ fault }) => fault !== undefined).map(inWords), []);
});

/** Fewer would mean that the forms are not recognised any more. */
const LEAST: Record<Kind, { code: number; documents: number }> = {
  document: { code: 120, documents: 20 },
  trace: { code: 120, documents: 60 },
  invariant: { code: 120, documents: 80 },
  'takeover rule': { code: 0, documents: 30 },
  RFC: { code: 120, documents: 15 },
  file: { code: 5, documents: 5 },
};

for (const [kind, least] of Object.entries(LEAST)) {
  test(`enough citations of the kind ${kind} were looked at`, () => {
    const ofKind = citations.filter((each) => each.kind === kind);
    const documents = ofKind.filter(({ path }) => path.endsWith('.md')).length;
    const code = ofKind.length - documents;
    assert.ok(
      code >= least.code && documents >= least.documents,
      `${code} in code, ${documents} in documents`,
    );
  });
}

test('every link of a document leads to a file', () => {
  const documents = [...texts, { path: 'docs/README.md', text: read('docs/README.md') }];
  assert.equal(
    documents.filter(({ path }) => path.endsWith('.md')).flatMap((text) => brokenLinks(library, text)),
    [],
  );
});

const missingOf = (guards: readonly Guard[]): Guard[] =>
  guards.filter(({ path, title }) => !existsSync(join(ROOT, path)) || !hasTest(read(path), title));

test('INVARIANTS.md names tests that exist, for each of the invariants', () => {
  const guards = guardsOf(read('docs/design/INVARIANTS.md'));
  assert.ok(guards.length >= 40, `${guards.length} guards`);
  const guarded = new Set(guards.map(({ row }) => row));
  assert.equal([...guarded], [...library.invariants]);
  assert.is(guarded.size, 17);
  assert.equal(missingOf(guards), []);
});

test('FAULTS.md has a row for each fault that was seen, and names tests that exist', () => {
  const faults = read('docs/design/FAULTS.md');
  const rows = guardCellsOf(faults).filter(({ row }) => !row.endsWith('+'));
  assert.equal(
    rows.map(({ row }) => row),
    [
      ...Array.from({ length: 25 }, (_, at) => `O${at + 1}`),
      ...Array.from({ length: 20 }, (_, at) => `N${at + 1}`),
    ],
  );
  const guards = guardsOf(faults);
  assert.equal(missingOf(guards), []);
  const guarded = guards.map(({ row }) => row);
  assert.equal(
    guardCellsOf(faults).filter(({ row, cell }) => cell !== 'open' && !guarded.includes(row)),
    [],
    'a row is open or guarded',
  );
});

test('every trace of TRACES.md is a test of the simulation, by its name', () => {
  const simulated = read('sim/traces.test.ts');
  const rows = read('docs/design/TRACES.md').matchAll(/^\| (T\d+) \|/gm);
  const traces = Array.from(rows, ([, name = '']) => name);
  assert.ok(traces.length >= 26, `${traces.length} traces`);
  assert.equal(
    traces.filter((name) => !new RegExp(`test\\([\`'"]${name}: `).test(simulated)),
    [],
  );
});

// What the above rests on.

const faultsOf = (path: string, text: string): (string | undefined)[] =>
  citationsIn(library, { path, text }).map(({ fault }) => fault);

const GOOD: [path: string, text: string][] = [
  ['a.ts', '/** DESIGN.md, "Who is master". */'],
  ['a.ts', '/**\n * (AWS-FACTS, "Moving\n * the VIP")\n */'],
  ['a.ts', '/** RFC 9568 section 6.4.3 */'],
  ['a.yaml', 'source: DESIGN, no preemption; RFC 9568 6.4.2'],
  ['a.yaml', 'source: DESIGN, pinnedNode, last resort included'],
  ['a.yaml', 'source: VRRP-FACTS 2.4 rows 5 and 6'],
  ['a.yaml', 'source: VRRP-FACTS 1.4, cases 17 and 17b'],
  ['a.yaml', 'source: VRRP-FACTS 1.2, keepalived (I4)'],
  ['a.md', 'KUBERNETES-FACTS B6 and LAB-FACTS, "Node and its libraries"'],
];
const BAD: [path: string, text: string][] = [
  ['a.ts', '/** DESIGN.md, "Who is mister". */'],
  ['a.ts', '/** As DESIGN says. */'],
  ['a.ts', '/** AWS-FACTS, observed */'],
  ['a.ts', '/** RFC 9568 6.4.3 */'],
  ['a.ts', '/** RFC 9569 section 6 */'],
  ['a.ts', '/** T99 */'],
  ['a.ts', '/** S10 */'],
  ['a.ts', '/** K10 */'],
  ['a.ts', '/** docs/design/NOWHERE.md */'],
  ['a.yaml', 'source: DESIGN'],
  ['a.yaml', 'source: DESIGN, no preem'],
  ['a.yaml', 'source: DESIGN, pinnedNode, first resort included'],
  ['a.yaml', 'source: VRRP-FACTS 1.9'],
  ['a.yaml', 'source: VRRP-FACTS 2.4 rows 5 and 7'],
  ['a.yaml', 'source: VRRP-FACTS 1.4, case 99'],
  ['a.yaml', 'source: VRRP-FACTS 1.2 (I9)'],
  ['a.md', 'KUBERNETES-FACTS B9'],
];

for (const [path, text] of GOOD) {
  test(`leads somewhere: ${text.replace(/\s+/g, ' ')}`, () => {
    const faults = faultsOf(path, text);
    assert.ok(faults.length > 0 && faults.every((fault) => fault === undefined), `${faults}`);
  });
}

for (const [path, text] of BAD) {
  test(`leads nowhere: ${text}`, () => {
    assert.is(faultsOf(path, text).filter((fault) => fault !== undefined).length, 1);
  });
}

test('a part is a heading with all below it, or a paragraph by its bold name', () => {
  const parts = partsOf('# One\n## 1.2 Two\n- **A rule:** holds\n  always.\n- other\n# Three\n');
  assert.equal(parts, [
    { name: 'one', number: '', body: '# One\n## 1.2 Two\n- **A rule:** holds\n  always.\n- other' },
    { name: 'two', number: '1.2', body: '## 1.2 Two\n- **A rule:** holds\n  always.\n- other' },
    { name: 'a rule', number: '', body: '- **A rule:** holds\n  always.' },
    { name: 'three', number: '', body: '# Three\n' },
  ]);
});

test('a test is known by its whole title, whatever quotes it has and whatever a variable adds', () => {
  const source = `test("it's", () => {}); test(\n  'one line',\n); row(\`\${count} rows hold\`, async () => {});`;
  for (const title of ["it's", 'one line', '12 rows hold']) assert.ok(hasTest(source, title), title);
  for (const title of ['it', 'lines', 'rows hold']) assert.not(hasTest(source, title), title);
});

test('a link that leads nowhere is told', () => {
  const text =
    '[a](GLOSSARY.md) [b](adr/) [c](../failures.md#nodes) [d](NOWHERE.md) [e](https://example.com)';
  assert.equal(brokenLinks(library, { path: 'docs/design/X.md', text }), ['docs/design/X.md: NOWHERE.md']);
});

test.run();
