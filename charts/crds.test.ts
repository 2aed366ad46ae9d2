import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const SOURCE = join(import.meta.dirname, '..', 'crds');
const COPY = join(import.meta.dirname, 'hapair', 'files', 'crds');

const manifests = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .filter((name) => name.endsWith('.yaml'))
      .sort()
      .map((name) => [name, readFileSync(join(dir, name), 'utf8')]),
  );

test("the chart's CRDs are those of crds/ (else: make crds)", () => {
  assert.equal(manifests(COPY), manifests(SOURCE));
});

test.run();
