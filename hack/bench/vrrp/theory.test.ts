import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { timingOf } from './contender.ts';
import { takeoverMs } from './theory.ts';

test('a crash costs three adverts and the skew, which in version 2 is a share of a second', () => {
  assert.is(takeoverMs(timingOf('v2 1 s'), 100, 'crash'), 3609.375);
  assert.is(takeoverMs({ ...timingOf('v2 1 s'), advertisementIntervalMs: 2000 }, 100, 'crash'), 6609.375);
});

test('in version 3 the skew is a share of the interval', () => {
  assert.is(takeoverMs(timingOf('v3 100 ms'), 100, 'crash'), 360.9375);
  assert.is(takeoverMs(timingOf('v3 10 ms'), 100, 'crash'), 36.09375);
});

test('a resignation leaves the skew alone', () => {
  assert.is(takeoverMs(timingOf('v2 1 s'), 100, 'stop'), 609.375);
  assert.is(takeoverMs(timingOf('v3 10 ms'), 100, 'stop'), 6.09375);
});

test.run();
