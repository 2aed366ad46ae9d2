import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openLane } from './lane.ts';

/** Lets everything that needs no time happen. */
const quiet = async (): Promise<void> => {
  for (let round = 0; round < 10; round += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A lane whose steps a test answers one by one, and whose retries wait for the test. */
const createBench = () => {
  const steps: PromiseWithResolvers<boolean>[] = [];
  const timers: { delayMs: number; fire: () => void }[] = [];
  const retries: number[] = [];
  const lane = openLane({
    clock: {
      setTimer(delayMs, fire) {
        const timer = { delayMs, fire };
        timers.push(timer);
        return () => timers.splice(timers.indexOf(timer), 1);
      },
    },
    step: () => {
      const step = Promise.withResolvers<boolean>();
      steps.push(step);
      return step.promise;
    },
    onError: (_, retryMs) => retries.push(retryMs),
    random: () => 0,
  });
  return { lane, steps, timers, retries };
};

test('steps never overlap, and any number of kicks during one make one more', async () => {
  const { lane, steps } = createBench();
  lane.kick();
  lane.kick();
  lane.kick();
  assert.is(steps.length, 1);
  steps[0]?.resolve(false);
  await quiet();
  assert.is(steps.length, 2);
  steps[1]?.resolve(false);
  await quiet();
  assert.is(steps.length, 2);
});

test('a step that did something is followed by another', async () => {
  const { lane, steps } = createBench();
  lane.kick();
  steps[0]?.resolve(true);
  await quiet();
  assert.is(steps.length, 2);
});

test('a failed step is tried again, ever slower, without a last time', async () => {
  const { lane, steps, timers, retries } = createBench();
  lane.kick();
  for (let attempt = 0; attempt < 10; attempt += 1) {
    steps.at(-1)?.reject(new Error('no'));
    await quiet();
    lane.kick();
    assert.is(steps.length, attempt + 1, 'an ordinary kick does not hasten it');
    timers.shift()?.fire();
  }
  assert.equal(retries.slice(0, 4), [50, 200, 400, 800]);
  assert.is(retries.at(-1), 5_000);
});

test('a fresh kick does not wait for a retry', async () => {
  const { lane, steps, timers } = createBench();
  lane.kick();
  steps[0]?.reject(new Error('no'));
  await quiet();
  lane.kick(true);
  assert.is(steps.length, 2);
  assert.is(timers.length, 0);
});

test('a fresh kick that came while the step failed is tried at once', async () => {
  const { lane, steps, retries } = createBench();
  lane.kick();
  lane.kick(true);
  steps[0]?.reject(new Error('no'));
  await quiet();
  assert.equal(retries, [0]);
});

test('a closed lane takes no further step, and waits for the one under way', async () => {
  const { lane, steps } = createBench();
  lane.kick();
  lane.kick();
  let closed = false;
  const closing = lane.close().then(() => {
    closed = true;
  });
  await quiet();
  assert.not(closed);
  steps[0]?.resolve(true);
  await closing;
  lane.kick();
  assert.is(steps.length, 1);
});

test.run();
