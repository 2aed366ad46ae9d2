/** How the silence of a node is told, and told again in the same words. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EPOCH_MS } from '../testing/fixtures.ts';
import { instantText, longSilenceOf, silenceOf } from './silence.ts';
import type { Fact } from './types.ts';

const toldAt = (text: string): Fact => ({
  status: 'False',
  reason: 'StandbySilent',
  message: `No sign of life from node1 since ${text}.`,
});

test('an instant is told in the words of before if it differs by no more than two seconds', () => {
  const told = '2026-11-22T10:00:00Z';
  const atMs = Date.parse(told);
  assert.is(instantText(atMs + 2_000, told), told);
  assert.is(instantText(atMs - 2_000, told), told);
  assert.is(instantText(atMs + 3_000, told), '2026-11-22T10:00:03Z');
  assert.is(instantText(atMs, undefined), told);
});

test('a node is silent since its last sign of life; without one, since what was told of it, or for 40 s', () => {
  const input = { nowMs: 60_000, wallMs: EPOCH_MS + 60_000, life: {}, stored: () => undefined };
  assert.is(silenceOf(input, 'Redundant', 'node1'), undefined);
  assert.is(longSilenceOf(input, 'Redundant', 'node1'), 'for 40 s');
  const seen = { ...input, life: { node1: { lastMs: 10_000 } } };
  assert.is(silenceOf(seen, 'Redundant', 'node1'), `since ${instantText(EPOCH_MS + 10_000, undefined)}`);
  const told = { ...input, stored: () => toldAt('2026-11-22T09:00:00Z') };
  assert.is(silenceOf(told, 'Redundant', 'node1'), 'since 2026-11-22T09:00:00Z');
  assert.is(silenceOf(told, 'Redundant', 'node2'), undefined, 'it is told of the other node');
});

test.run();
