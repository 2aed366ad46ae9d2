import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EventLoopYielder } from './event-loop-yielder.ts';

test('a turn is due before the first piece of work, and again after five milliseconds of it', async () => {
  let nowMs = 0;
  const yielder = new EventLoopYielder({ now: () => nowMs, yieldToEventLoop: () => Promise.resolve() });
  assert.ok(yielder.isDue());
  await yielder.yield();
  nowMs = 4;
  assert.not.ok(yielder.isDue());
  nowMs = 5;
  assert.ok(yielder.isDue());
  yielder.noteYield();
  assert.not.ok(yielder.isDue());
});

test('all who ask while it turns wait for the same turn', async () => {
  let breaths = 0;
  const yielder = new EventLoopYielder({
    now: () => 0,
    yieldToEventLoop: async () => {
      breaths += 1;
    },
  });
  await Promise.all([yielder.yield(), yielder.yield()]);
  assert.is(breaths, 1);
  await yielder.yield();
  assert.is(breaths, 2);
});

test.run();
