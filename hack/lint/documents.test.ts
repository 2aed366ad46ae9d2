/** What documents say of the tree, where a list or a name can be compared with it. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HAPAIR_CONDITIONS, LOG_REASONS, REASONS } from '../../crds/conditions.ts';
import { FAULT_KINDS } from '../lab/types.ts';
import { namesIn, pathsIn, targetsIn } from './documents.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const OUTSIDE = ['node_modules', '.git', '.lab', '.out'];
const files = globSync('**/*', { cwd: ROOT, exclude: (name) => OUTSIDE.includes(name) });
const documents = files.filter((path) => path.endsWith('.md'));
const present = new Set(files);

/** They speak of what is not built yet, or of other projects. */
const OF_OTHERS = /^docs\/design\/(?:TAKEOVER|FAILURE-|facts\/)/;

test('each path that a document names is there, from the root or from its own folder', () => {
  const named = documents
    .filter((path) => !OF_OTHERS.test(path))
    .flatMap((path) => pathsIn(read(path)).map((target) => ({ path, target })));
  assert.ok(named.length > 150, `${named.length} paths: the form is not recognised any more`);
  const missing = named.filter(
    ({ path, target }) =>
      !present.has(target) &&
      !present.has(join(dirname(path), target)) &&
      globSync(target, { cwd: ROOT }).length === 0,
  );
  assert.equal(missing, []);
});

test('each make target that a document names is one', () => {
  const targets = new Set(Array.from(read('Makefile').matchAll(/^([a-z-]+):/gm), ([, name]) => name));
  const named = documents.flatMap((path) => targetsIn(read(path)).map((target) => ({ path, target })));
  assert.ok(named.length > 30, `${named.length} targets: the form is not recognised any more`);
  assert.equal(
    named.filter(({ target }) => !targets.has(target)),
    [],
  );
});

test('docs/README.md lists every document of docs/, the decisions in a list of their own', () => {
  const listed = (index: string): string[] =>
    Array.from(read(index).matchAll(/\]\(([^)#:]+)\)/g), ([, target = '']) =>
      normalize(join(dirname(index), target)),
    );
  const all = ['docs/README.md', 'docs/design/adr/README.md'].flatMap((index) => [index, ...listed(index)]);
  assert.equal(
    documents.filter((path) => path.startsWith('docs/') && !all.includes(path)),
    [],
  );
});

/** Names of the service manager, which docs/failures.md mentions. */
const OF_SYSTEMD = ['TasksMax'];

test('each reason and condition that docs/failures.md names is a word of the tables', () => {
  const words = namesIn(read('docs/failures.md')).filter((word) => !word.startsWith('HAPair'));
  assert.ok(words.length > 40, `${words.length} words`);
  const known = [...Object.keys(REASONS), ...Object.keys(LOG_REASONS), ...HAPAIR_CONDITIONS, ...OF_SYSTEMD];
  assert.equal(
    words.filter((word) => !known.includes(word)),
    [],
  );
});

test('README gives a reason for each package, and for none besides', () => {
  const [, section = ''] = read('README.md').split('## Dependencies and why\n');
  const rows = Array.from(section.matchAll(/^\| (`.*`) \|/gm), ([, cell = '']) => cell);
  const named = rows.flatMap((cell) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name));
  const { dependencies, devDependencies } = JSON.parse(read('package.json'));
  assert.equal(named.sort(), Object.keys({ ...dependencies, ...devDependencies }).sort());
});

test("the lab's table of faults has a row for each kind", () => {
  const [, section = ''] = read('hack/lab/README.md').split('A fault strikes ');
  const rows = section.split('\n\n')[1]?.matchAll(/^\| `([\w-]+)` \|/gm) ?? [];
  assert.equal(Array.from(rows, ([, kind]) => kind).sort(), [...FAULT_KINDS].sort());
});

test('paths, targets and names are found as documents write them', () => {
  const text =
    'see `operator/plan/`, `hack/lab/lab up`, `docs/NAME.md` and `sim/a.ts`; `make check`, `TwoMasters`';
  assert.equal(pathsIn(text), ['operator/plan', 'hack/lab/lab', 'sim/a.ts']);
  assert.equal(targetsIn(`${text}\n\n\`\`\`\nmake test FILE=x\n\`\`\`\nmake no target of prose`), [
    'check',
    'test',
  ]);
  assert.equal(namesIn(text), ['TwoMasters']);
});

test.run();
