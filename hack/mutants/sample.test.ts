import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sampleOf } from './sample.ts';

const test = suite('sample');
const LIST = Array.from({ length: 100 }, (_, index) => index);

test('a seed repeats its sample, another makes another', () => {
  assert.equal(sampleOf(LIST, 10, 7), sampleOf(LIST, 10, 7));
  assert.not.equal(sampleOf(LIST, 10, 7), sampleOf(LIST, 10, 8));
});

test('nothing is drawn twice, and no more than there is', () => {
  assert.is(new Set(sampleOf(LIST, 60, 7)).size, 60);
  assert.equal(
    sampleOf(LIST, 1_000, 7).sort((a, b) => a - b),
    LIST,
  );
});

test.run();
