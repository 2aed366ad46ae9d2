import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Turns } from './event-loop-yielder.ts';

test('a turn is due before the first piece of work, and again after five milliseconds of it', async () => {
  let nowMs = 0;
  const turns = new Turns({ now: () => nowMs, breathe: () => Promise.resolve() });
  assert.ok(turns.isDue());
  await turns.turn();
  nowMs = 4;
  assert.not.ok(turns.isDue());
  nowMs = 5;
  assert.ok(turns.isDue());
  turns.turned();
  assert.not.ok(turns.isDue());
});

test('all who ask while it turns wait for the same turn', async () => {
  let breaths = 0;
  const turns = new Turns({
    now: () => 0,
    breathe: async () => {
      breaths += 1;
    },
  });
  await Promise.all([turns.turn(), turns.turn()]);
  assert.is(breaths, 1);
  await turns.turn();
  assert.is(breaths, 2);
});

test.run();
