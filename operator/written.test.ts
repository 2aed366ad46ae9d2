import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { KubeObject } from '../kube/types.ts';
import { createWrittenObjects } from './written.ts';

const at = (resourceVersion: string): KubeObject => ({ metadata: { name: 'web', resourceVersion } });

/** A store that the watch has brought up to a version; `object`: its copy. */
const store = (shownVersion: string, object?: KubeObject) => ({
  get: () => object,
  shownVersion: () => shownVersion,
});

test('our own write counts until the watch has caught up', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'));
  assert.equal(written.freshest('web', store('9', at('9'))), at('12'));
  assert.equal(written.freshest('web', store('13', at('13'))), at('13'));
  assert.equal(written.freshest('web', store('13', at('13'))), at('13'));
});

test('versions are compared as numbers', () => {
  const written = createWrittenObjects();
  written.remember('web', at('100'));
  assert.equal(written.freshest('web', store('99', at('99'))), at('100'));
});

test('what we created exists before the watch shows it', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'));
  assert.equal(written.freshest('web', store('11')), at('12'));
});

test('O14: what was written before the API server was restored is lost there, and forgotten', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'));
  assert.equal(written.freshest('web', store('11', at('9'))), at('12'));
  assert.equal(written.freshest('web', store('5', at('4'))), at('4'));
});

test('what was stored once and is no more is deleted', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'));
  written.freshest('web', store('9', at('9')));
  assert.is(written.freshest('web', store('13')), undefined);
});

test('what was deleted before our write made it anew exists', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'));
  written.freshest('web', store('9', at('9')));
  assert.equal(written.freshest('web', store('10')), at('12'));
});

test('a write that the watch never shows, though it has gone past it, is not believed for ever', () => {
  const written = createWrittenObjects();
  written.remember('web', at('12'));
  assert.is(written.freshest('web', store('14')), undefined);
});

test('a write that changed nothing is no newer than the stored copy', () => {
  const written = createWrittenObjects();
  written.remember('web', at('9'));
  assert.equal(written.freshest('web', store('9', at('9'))), at('9'));
});

test.run();
