import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runSideBySide } from './schedule.ts';

type Job = { name: string; weight: number };

/** Jobs in a test's hands: they run until they are ended by name. */
const createBench = (jobs: readonly Job[], capacity: number) => {
  const running = new Map<string, () => void>();
  const whole = runSideBySide(
    jobs,
    capacity,
    ({ name }) => new Promise<void>((resolve) => running.set(name, resolve)),
  );
  return {
    whole,
    running: () => [...running.keys()],
    end: async (name: string) => {
      running.get(name)?.();
      running.delete(name);
      await new Promise(setImmediate);
    },
  };
};

const job = (name: string, weight: number): Job => ({ name, weight });

test('as many jobs run side by side as fit, in their order', async () => {
  const { running, end, whole } = createBench([job('a', 2), job('b', 2), job('c', 2)], 4);
  assert.equal(running(), ['a', 'b']);
  await end('a');
  assert.equal(running(), ['b', 'c']);
  await end('b');
  await end('c');
  await whole;
});

test('a lighter job overtakes one that does not fit', async () => {
  const { running, end, whole } = createBench([job('a', 3), job('heavy', 4), job('light', 1)], 4);
  assert.equal(running(), ['a', 'light']);
  await end('a');
  assert.equal(running(), ['light'], 'the heavy one waits for all of its place');
  await end('light');
  assert.equal(running(), ['heavy']);
  await end('heavy');
  await whole;
});

test('a job heavier than the machine runs alone', async () => {
  const { running, end, whole } = createBench([job('huge', 9), job('light', 1)], 4);
  assert.equal(running(), ['huge']);
  await end('huge');
  assert.equal(running(), ['light']);
  await end('light');
  await whole;
});

test('nothing to do ends at once', async () => {
  await runSideBySide([], 4, () => Promise.reject(new Error('there is no job')));
});

test.run();
