import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createHolderWatch } from './lease-holder.ts';
import type { Lease } from './lease-types.ts';

const held = (holderIdentity: string, renewal: number, leaseDurationSeconds?: number): Lease => ({
  metadata: { name: 'node1', namespace: 'n', resourceVersion: String(renewal) },
  spec: {
    holderIdentity,
    renewTime: `renewal ${renewal}`,
    ...(leaseDurationSeconds !== undefined && { leaseDurationSeconds }),
  },
});

test('a Lease that is not there, that nobody holds, or that is ours, is free', () => {
  const watch = createHolderWatch('me');
  assert.is(watch.observe(undefined, 0), 'Free');
  assert.is(watch.observe(held('', 1), 0), 'Free');
  assert.is(watch.observe(held('me', 1), 0), 'Free');
});

test('another holder is a rival once it is seen to renew, however old its own times are', () => {
  const watch = createHolderWatch('me');
  assert.is(watch.observe(held('other', 1), 1_000), 'Unknown');
  assert.is(watch.observe(held('other', 1), 3_000), 'Unknown');
  assert.is(watch.observe(held('other', 2), 5_000), 'Rival');
});

test('another holder is gone after the lease time it has written; without one, after 40 s', () => {
  const watch = createHolderWatch('me');
  watch.observe(held('other', 1, 15), 1_000);
  assert.is(watch.observe(held('other', 1, 15), 15_999), 'Unknown');
  assert.is(watch.observe(held('other', 1, 15), 16_000), 'Free');
  watch.observe(held('third', 1), 1_000);
  assert.is(watch.observe(held('third', 1), 40_999), 'Unknown');
  assert.is(watch.observe(held('third', 1), 41_000), 'Free');
});

test('a new holder is watched from its first sight on', () => {
  const watch = createHolderWatch('me');
  watch.observe(held('other', 1), 0);
  assert.is(watch.observe(held('third', 2), 39_000), 'Unknown');
  assert.is(watch.observe(held('third', 2), 41_000), 'Unknown');
});

test('a failed reading starts the time anew: nobody could renew then', () => {
  const watch = createHolderWatch('me');
  watch.observe(held('other', 1), 0);
  watch.forget();
  assert.is(watch.observe(held('other', 2), 50_000), 'Unknown');
});

test.run();
