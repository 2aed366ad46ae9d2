import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { choose } from './choose.ts';
import type { Measured } from './orders.ts';

const test = suite('the tests for a fault');

const FAULT = { file: 'kube/queue.ts', start: 50, end: 51, text: '' };
const HIT = { 'kube/queue.ts': [[40, 60]] as const };
const MISS = { 'kube/queue.ts': [[0, 10]] as const };

const measured = (load: Measured['load'], ...tests: Measured['tests'][number][]): Measured => ({
  ...{ loadMs: 1, load, loaded: [] },
  tests,
});
const reaching = (ms: number) => ({ name: '', ms, reach: HIT });
const passing = { name: '', ms: 0, reach: MISS };

test('only those that reach it, the quickest first', () => {
  const all = new Map([['kube/queue.test.ts', measured(MISS, reaching(9), passing, reaching(3))]]);
  assert.equal(choose(FAULT, all), [{ file: 'kube/queue.test.ts', tests: [2, 0] }]);
  assert.equal(choose({ ...FAULT, start: 70 }, all), []);
});

test('what runs as the module is loaded concerns every test of the file', () => {
  const all = new Map([['kube/queue.test.ts', measured(HIT, passing, passing)]]);
  assert.equal(choose(FAULT, all), [{ file: 'kube/queue.test.ts', tests: [0, 1] }]);
});

test('its own tests come first, then its folder’s, then others by the time they take, and the simulation last', () => {
  const all = new Map([
    ['sim/traces.test.ts', measured(MISS, reaching(1))],
    ['operator/slow.test.ts', measured(MISS, reaching(90))],
    ['operator/quick.test.ts', measured(MISS, reaching(2))],
    ['kube/elector.test.ts', measured(MISS, reaching(5))],
    ['kube/queue.test.ts', measured(MISS, reaching(8))],
  ]);
  assert.equal(
    choose(FAULT, all).map(({ file }) => file),
    [
      'kube/queue.test.ts',
      'kube/elector.test.ts',
      'operator/quick.test.ts',
      'operator/slow.test.ts',
      'sim/traces.test.ts',
    ],
  );
});

test.run();
