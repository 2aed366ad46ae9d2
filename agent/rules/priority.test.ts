import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { advertisedPriority } from './priority.ts';

test('with the spec read and the API in contact, the priority is the spec’s', () => {
  assert.is(advertisedPriority(200, { lastContactMs: 1_000, specRead: true }, 40_999), 200);
});

test('T10: after 40 s without contact it is 100', () => {
  assert.is(advertisedPriority(200, { lastContactMs: 1_000, specRead: true }, 41_000), 100);
});

test('T10: contact alone is not enough, the spec must have been read again', () => {
  assert.is(advertisedPriority(200, { lastContactMs: 50_000, specRead: false }, 50_001), 100);
});

test('T9: a spec from disk is old for all one knows', () => {
  assert.is(advertisedPriority(200, { lastContactMs: null, specRead: false }, 5), 100);
});

test('caution never raises a priority', () => {
  assert.is(advertisedPriority(50, { lastContactMs: null, specRead: false }, 5), 50);
});

test.run();
