import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { takeInGoodMoment } from './moment.ts';

const record = (lastContactMs: number) => ({ pairs: {}, lastContactMs, imds: null, interfaces: null });

test('a record that the worker was told something after is not handed over', async () => {
  const clock = createVirtualClock();
  const told = [1, 2, 2, 2];
  const takes: number[] = [];
  const taken = takeInGoodMoment({
    clock,
    commands: () => told.shift() ?? 2,
    take: async () => record(takes.push(clock.now())),
  });
  await clock.advance(10);
  assert.is((await taken).lastContactMs, 2);
  assert.equal(takes, [0, 5]);
});

test('an agent that has always something to tell its worker is replaced all the same', async () => {
  const clock = createVirtualClock();
  let told = 0;
  const taken = takeInGoodMoment({ clock, commands: () => told++, take: async () => record(clock.now()) });
  await clock.advance(2_000);
  assert.is((await taken).lastContactMs, 1_000);
});

test.run();
