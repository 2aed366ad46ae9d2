/** The HAPairs in the documents are what a person copies first: the validator takes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { validateHAPair } from './validate.ts';

const ROOT = join(import.meta.dirname, '..');

for (const file of ['README.md', 'docs/hapair.md', 'hack/demo/hapair.yaml']) {
  test(`the HAPair of ${file} is valid`, () => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const blocks = file.endsWith('.yaml')
      ? [text]
      : [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) => block);
    const pairs = blocks.map((block) => parse(block)).filter(({ kind }) => kind === 'HAPair');
    assert.is(pairs.length, 1);
    const verdict = validateHAPair(pairs[0]);
    assert.ok(verdict.ok, JSON.stringify(verdict));
  });
}

test.run();
