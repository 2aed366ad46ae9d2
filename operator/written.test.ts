import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { KubeObject } from '../kube/types.ts';
import { createWrittenObjects } from './written.ts';

const at = (resourceVersion: string): KubeObject => ({ metadata: { name: 'web', resourceVersion } });

test('our own write counts until the watch has caught up', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'), 0);
  assert.equal(written.freshest('web', at('9'), 1), at('12'));
  assert.equal(written.freshest('web', at('13'), 2), at('13'));
  assert.equal(written.freshest('web', at('13'), 3), at('13'));
});

test('versions are compared as numbers', () => {
  const written = createWrittenObjects();
  written.remember('web', at('100'), 0);
  assert.equal(written.freshest('web', at('99'), 1), at('100'));
});

test('what we created exists before the watch shows it', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'), 0);
  assert.equal(written.freshest('web', undefined, 1), at('12'));
});

test('what was stored once and is no more is deleted', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'), 0);
  written.freshest('web', at('9'), 1);
  assert.is(written.freshest('web', undefined, 2), undefined);
});

test('a write that the watch never shows is not believed for ever', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'), 0);
  assert.is(written.freshest('web', undefined, 30_001), undefined);
});

test.run();
