/** What the hosting platform reads: nobody here runs it, so a slip would be seen only after a push. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseDocument } from 'yaml';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

for (const path of globSync('.github/**/*.yml', { cwd: ROOT }).sort()) {
  test(`${path} is YAML without a fault`, () => {
    const { errors, warnings } = parseDocument(read(path), { strict: true, uniqueKeys: true });
    assert.equal([...errors, ...warnings].map(String), []);
  });
}

type Step = { run?: string; with?: Record<string, unknown> };
type Workflow = {
  permissions: Record<string, string>;
  jobs: Record<string, { 'timeout-minutes'?: number; steps: Step[] }>;
};
const workflow: Workflow = parse(read('.github/workflows/ci.yml'));
const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);

test('the workflow runs .ci/run, may read the repository and nothing else, and ends in time', () => {
  assert.ok(steps.some(({ run }) => run === '.ci/run'));
  assert.equal(workflow.permissions, { contents: 'read' });
  for (const [name, job] of Object.entries(workflow.jobs)) assert.ok(job['timeout-minutes'], name);
});

test('what its caches depend on exists', () => {
  const keys = steps.map((step) => String(step.with?.key ?? '')).filter((key) => key !== '');
  const patterns = keys.flatMap((key) =>
    [...(/hashFiles\(([^)]*)\)/.exec(key)?.[1]?.matchAll(/'([^']*)'/g) ?? [])].map(([, pattern]) => pattern),
  );
  assert.ok(patterns.length >= keys.length && keys.length > 0);
  for (const pattern of patterns)
    assert.ok(globSync(pattern ?? '', { cwd: ROOT, exclude: ['node_modules/**'] }).length > 0, pattern);
});

test.run();
