import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { percentilesOf, quantile, ratioOf, spreadOf } from './statistics.ts';

test('a median of an even number of values lies between the two in the middle', () => {
  assert.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.is(quantile([3, 1, 2], 0.5), 2);
});

test('p99 of a hundred and one values is the hundredth; of few it comes close to the largest', () => {
  assert.is(
    quantile(
      Array.from({ length: 101 }, (_, i) => i),
      0.99,
    ),
    99,
  );
  assert.ok(Math.abs(quantile([0, 10], 0.99) - 9.9) < 1e-9);
});

test('a spread counts, and one value is all of its own spread', () => {
  assert.equal(spreadOf([7]), { n: 1, min: 7, median: 7, p99: 7, max: 7 });
  assert.is(spreadOf([]), undefined);
  assert.throws(() => quantile([], 0.5), 'empty sample');
});

test('values are sorted as numbers and the sample is left as it was', () => {
  const values = [10, 9, 100];
  assert.is(spreadOf(values)?.median, 10);
  assert.equal(values, [10, 9, 100]);
});

test('a ratio is of the medians; its bounds pair the extremes', () => {
  assert.equal(ratioOf([6, 8, 12], [2, 3, 4]), { median: 8 / 3, lowest: 6 / 4, highest: 12 / 2 });
});

test('there is no ratio without values, or to nothing', () => {
  assert.is(ratioOf([], [1]), undefined);
  assert.is(ratioOf([1], []), undefined);
  assert.is(ratioOf([1], [0, 1]), undefined);
});

test('a percentile is a value that was measured, by nearest rank', () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  assert.equal(percentilesOf(values), { n: 200, min: 1, p50: 100, p90: 180, p99: 198, max: 200 });
  assert.equal(percentilesOf([7]), { n: 1, min: 7, p50: 7, p90: 7, p99: 7, max: 7 });
  assert.throws(() => percentilesOf([]), RangeError);
});

test.run();
