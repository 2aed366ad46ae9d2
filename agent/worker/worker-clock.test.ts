import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WorkerClock } from './worker-clock.ts';

/** A machine whose two clocks read as they are set. */
const machine = () => {
  const state = { monotonic: 1000, boottime: 5000 };
  const clock = new WorkerClock(
    () => state.monotonic,
    () => state.boottime,
  );
  return { state, clock };
};

test('a suspension counts as time that has passed', () => {
  const { state, clock } = machine();
  assert.is(clock.now(), 5000);
  state.monotonic += 20;
  state.boottime += 20;
  clock.wakeUp();
  assert.is(clock.now(), 5020);
  state.boottime += 3_600_000;
  assert.is(clock.now(), 5020, 'within a turn time does not jump');
  clock.wakeUp();
  assert.is(clock.now(), 3_605_020);
});

test('times of other threads are translated both ways', () => {
  const { state, clock } = machine();
  assert.is(clock.toMonotonic(5010), 1010);
  assert.is(clock.fromMonotonic(990), 4990);
  state.boottime += 100;
  clock.wakeUp();
  assert.is(clock.toMonotonic(5110), 1010);
});

test('a thread that was held up between the two readings does not turn time back', () => {
  const { state, clock } = machine();
  let heldUpMs = 50;
  const held = new WorkerClock(
    () => state.monotonic + heldUpMs,
    () => state.boottime,
  );
  heldUpMs = 0;
  held.wakeUp();
  assert.is(held.now(), clock.now());
  heldUpMs = 30;
  held.wakeUp();
  heldUpMs = 0;
  assert.is(held.now(), clock.now());
});

test("the machine's own clocks agree unless it has been suspended", () => {
  const clock = new WorkerClock();
  const before = process.hrtime.bigint();
  const translated = BigInt(Math.round(clock.toMonotonic(clock.now()) * 1e6));
  const after = process.hrtime.bigint();
  // A double of some days in milliseconds is exact to a microsecond.
  assert.ok(translated >= before - 1000n && translated <= after + 1000n);
});

test.run();
