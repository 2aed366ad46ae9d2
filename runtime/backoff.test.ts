import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backoffMs } from './backoff.ts';

const policy = { firstMs: 200, baseMs: 800, maxMs: 30_000 };

test('doubles from the second retry on, up to the maximum', () => {
  const delays = [0, 1, 2, 3, 6, 7, 1_000_000].map((attempt) => backoffMs(policy, attempt, 0));
  assert.equal(delays, [200, 800, 1600, 3200, 25_600, 30_000, 30_000]);
});

test('jitter shortens a delay by at most half', () => {
  assert.is(backoffMs(policy, 1, 0.5), 600);
  assert.ok(backoffMs(policy, 1, 0.999) > 400);
});

test.run();
