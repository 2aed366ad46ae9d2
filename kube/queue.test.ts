import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KubeError } from './errors.ts';
import { type HandleResult, WorkQueue } from './queue.ts';
import { createVirtualClock } from './testing/virtual-clock.ts';

type Call = { key: string; finish: (result?: HandleResult) => void; fail: (error: Error) => void };

/** A running queue whose handler calls the test finishes one by one. Random 0: no jitter. */
const startQueue = (workers = 2) => {
  const clock = createVirtualClock();
  const queue = new WorkQueue({ ...clock, random: () => 0 });
  const stop = new AbortController();
  const calls: Call[] = [];
  const errors: unknown[][] = [];
  const done = queue.run({
    workers,
    signal: stop.signal,
    handle: (key) =>
      new Promise<HandleResult>((resolve, reject) => calls.push({ key, finish: resolve, fail: reject })),
    onError: (...seen) => errors.push(seen),
  });
  const take = (): Call => {
    const call = calls.shift();
    if (!call) throw new Error('no handler call is waiting');
    return call;
  };
  return { clock, queue, stop, calls, errors, done, take };
};

test('keys come in order, each once however often it was added', async () => {
  const { clock, queue, calls } = startQueue(1);
  for (const key of ['a', 'b', 'a', 'b', 'c']) queue.add(key);
  for (const expected of ['a', 'b', 'c']) {
    await clock.advance(0);
    assert.equal(
      calls.map(({ key }) => key),
      [expected],
    );
    calls.shift()?.finish();
  }
  await clock.advance(0);
  assert.is(calls.length, 0);
});

test('a key added while a worker has it runs again afterwards, never at the same time', async () => {
  const { clock, queue, calls, take } = startQueue(2);
  queue.add('a');
  await clock.advance(0);
  const first = take();
  queue.add('a');
  queue.add('a');
  await clock.advance(0);
  assert.is(calls.length, 0);
  first.finish();
  await clock.advance(0);
  take().finish();
  await clock.advance(0);
  assert.is(calls.length, 0);
});

test('different keys run side by side', async () => {
  const { clock, queue, calls } = startQueue(2);
  queue.add('a');
  queue.add('b');
  queue.add('c');
  await clock.advance(0);
  assert.equal(
    calls.map(({ key }) => key),
    ['a', 'b'],
  );
});

test('of several delays the earliest counts, and it counts once', async () => {
  const { clock, queue, calls, take } = startQueue();
  queue.addAfter('a', 500);
  queue.addAfter('a', 100);
  queue.addAfter('a', 300);
  await clock.advance(99);
  assert.is(calls.length, 0);
  await clock.advance(1);
  take().finish();
  await clock.advance(10_000);
  assert.is(calls.length, 0);
});

test('a failed key comes back with doubling delays up to 10 s, and quickly again after a success', async () => {
  const { clock, queue, take, errors } = startQueue();
  queue.add('a');
  await clock.advance(0);
  for (const delayMs of [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
    take().fail(new Error('no'));
    await clock.advance(0);
    assert.equal(clock.pending(), [delayMs]);
    await clock.advance(delayMs);
  }
  assert.is(errors.length, 8);
  take().finish();
  queue.add('a');
  await clock.advance(0);
  take().fail(new Error('again'));
  await clock.advance(0);
  assert.equal(clock.pending(), [200]);
});

test("an error's own Retry-After is waited for", async () => {
  const { clock, queue, take, errors } = startQueue();
  queue.add('a');
  await clock.advance(0);
  const error = new KubeError('slow down', { kind: 'Throttled', retryAfterMs: 3_000 });
  take().fail(error);
  await clock.advance(0);
  assert.equal(errors, [['a', error, 3_000]]);
  assert.equal(clock.pending(), [3_000]);
});

test('requeueAfterMs brings a key back and counts as success', async () => {
  const { clock, queue, take } = startQueue();
  queue.add('a');
  await clock.advance(0);
  take().fail(new Error('no'));
  await clock.advance(200);
  take().finish({ requeueAfterMs: 30_000 });
  await clock.advance(0);
  assert.is(queue.failures('a'), 0);
  await clock.advance(30_000);
  take().finish();
});

test('run ends after the last handler, and waits for nothing else', async () => {
  const { clock, queue, stop, calls, take, done } = startQueue(1);
  queue.add('a');
  await clock.advance(0);
  queue.add('b');
  queue.addAfter('c', 1_000);
  stop.abort();
  take().finish();
  await done;
  assert.is(calls.length, 0);
  assert.equal(clock.pending(), []);
});

test.run();
