/** Each folder imports from those before it alone, and no file from one that imports it. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { breachesOf, circlesOf, importsOf, LAYERS, tableOf } from './layers.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const OUTSIDE = ['node_modules', '.git', '.lab', '.out'];
const paths = globSync('**/*.ts', { cwd: ROOT, exclude: (name) => OUTSIDE.includes(name) });
const imports = importsOf(new Map(paths.map((path) => [path, read(path)])));

test('every file belongs to a folder of the list, and imports from its own and those before it alone', () => {
  assert.equal(breachesOf(imports), []);
});

test('no file imports, by whatever way, what imports it', () => {
  assert.equal(circlesOf(imports), []);
});

test("README's table is the list", () => {
  const table = tableOf(LAYERS);
  assert.ok(read('README.md').includes(table), `README.md, "How to read the code":\n${table}`);
});

test('an import against the order, a circle, and a file without a place are found', () => {
  const wrong = importsOf(
    new Map([
      ['runtime/a.ts', "import { b } from '../kube/b.ts';"],
      ['kube/b.ts', "import type { a } from '../runtime/a.ts';"],
      ['elsewhere/c.ts', ''],
      ['kube/b.test.ts', "import { d } from '../operator/d.ts';"],
      ['operator/d.ts', "await import('../agent/testing/e.ts');"],
      ['agent/testing/e.ts', ''],
    ]),
  );
  assert.equal(breachesOf(wrong), [
    'elsewhere/c.ts',
    'runtime/a.ts -> kube/b.ts',
    'operator/d.ts -> agent/testing/e.ts',
  ]);
  assert.equal(circlesOf(wrong), ['kube/b.ts <-> runtime/a.ts']);
});

test.run();
