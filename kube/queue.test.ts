import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { KubeError } from './errors.ts';
import { type HandleResult, WorkQueue } from './queue.ts';

type Call = { key: string; finish: (result?: HandleResult) => void; fail: (error: Error) => void };

/** A running queue whose handler calls the test finishes one by one. Random 0: no jitter. */
const startQueue = (workers = 2) => {
  const clock = createVirtualClock();
  const queue = new WorkQueue({ ...clock, random: () => 0, yieldToEventLoop: () => Promise.resolve() });
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

test('handlers that wait for nothing let the event loop turn every few milliseconds', async () => {
  let nowMs = 0;
  let turns = 0;
  const stop = new AbortController();
  const queue = new WorkQueue({
    now: () => nowMs,
    yieldToEventLoop: async () => {
      turns += 1;
    },
  });
  const keys = Array.from({ length: 100 }, (_, at) => `pair${at}`);
  const turnsAt: number[] = [];
  for (const key of keys) queue.add(key);
  await queue.run({
    workers: 3,
    signal: stop.signal,
    // Each takes a millisecond of the processor.
    handle: async () => {
      nowMs += 1;
      turnsAt.push(turns);
      if (turnsAt.length === keys.length) stop.abort();
      return undefined;
    },
    onError: () => undefined,
  });
  assert.is(turnsAt.length, keys.length);
  const longest = Math.max(
    ...[...new Set(turnsAt)].map((turn) => turnsAt.filter((at) => at === turn).length),
  );
  // Five milliseconds, and what the other workers had begun by then.
  assert.ok(longest <= 8, `${longest} keys without a turn`);
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

/** Lets one worker handle whatever waits; returns the keys in the order they were handled. */
const drain = async ({ clock, calls }: Pick<ReturnType<typeof startQueue>, 'clock' | 'calls'>) => {
  const order: string[] = [];
  for (let call = calls.shift(); call; call = calls.shift()) {
    order.push(call.key);
    call.finish();
    await clock.advance(0);
  }
  return order;
};

test('a change overtakes ten thousand routine keys, also one that waits among them already', async () => {
  const world = startQueue(1);
  const { clock, queue } = world;
  for (let count = 0; count < 10_000; count++) queue.addAfter(`routine${count}`, 0);
  await clock.advance(0);
  queue.add('changed');
  queue.add('routine9999');
  assert.is(queue.depth(), 10_000);
  const order = await drain(world);
  assert.equal(order.slice(0, 4), ['routine0', 'changed', 'routine9999', 'routine1']);
  assert.is(order.length, 10_001);
});

test('what something is held for overtakes changes, also when it waits among them or is being handled', async () => {
  const world = startQueue(1);
  const { clock, queue } = world;
  queue.add('busy');
  await clock.advance(0);
  queue.addAfter('routine', 0);
  for (const key of ['a', 'b', 'c']) queue.add(key);
  queue.addUrgent('c');
  queue.addUrgent('busy');
  queue.add('busy');
  queue.add('c');
  assert.is(queue.depth(), 4);
  assert.equal(await drain(world), ['busy', 'c', 'busy', 'a', 'b', 'routine']);
});

test('an urgent key that failed comes back as a change', async () => {
  const world = startQueue(1);
  const { clock, queue, take } = world;
  queue.addUrgent('held');
  await clock.advance(0);
  take().fail(new Error('no'));
  await clock.advance(0);
  queue.add('busy');
  await clock.advance(0);
  queue.add('changed');
  await clock.advance(200);
  assert.equal(await drain(world), ['busy', 'changed', 'held']);
});

test('changes without end leave one turn in eight to routine', async () => {
  const world = startQueue(1);
  const { clock, queue } = world;
  queue.add('busy');
  await clock.advance(0);
  for (const key of ['r1', 'r2']) queue.addAfter(key, 0);
  for (let count = 0; count < 20; count++) queue.add(`change${count}`);
  const order = await drain(world);
  assert.equal(
    order.filter((key) => key.startsWith('r')).map((key) => order.indexOf(key)),
    [order.indexOf('r1'), order.indexOf('r1') + 8],
  );
  assert.ok(order.indexOf('r1') <= 8);
});

test('a failed change is repeated as a change, a failed routine look as routine', async () => {
  const world = startQueue(1);
  const { clock, queue, take } = world;
  queue.addAfter('looked', 0);
  queue.add('changed');
  await clock.advance(0);
  for (let count = 0; count < 2; count++) {
    take().fail(new Error('no'));
    await clock.advance(0);
  }
  queue.add('busy');
  await clock.advance(0);
  queue.addAfter('routine', 0);
  await clock.advance(200);
  assert.equal(await drain(world), ['busy', 'changed', 'routine', 'looked']);
});

test('tells what waits, for how long, what is handled and what was repeated', async () => {
  const { clock, queue, take } = startQueue(1);
  assert.is(queue.oldestWaitingMs(), 0);
  queue.add('a');
  await clock.advance(0);
  queue.addAfter('b', 100);
  queue.add('c');
  await clock.advance(350);
  const seen = () => [queue.depth(), queue.processing(), queue.oldestWaitingMs(), queue.retries()];
  assert.equal(seen(), [2, 1, 350, 0]);
  take().fail(new Error('no'));
  await clock.advance(0);
  assert.equal(seen(), [1, 1, 250, 1]);
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

for (const when of ['at once', 'after a while'] as const) {
  test(`run ends when nothing is being handled: stopped ${when}`, async () => {
    const { clock, stop, done, calls } = startQueue(3);
    if (when === 'after a while') await clock.advance(60_000);
    stop.abort();
    await done;
    assert.is(calls.length, 0);
  });
}

test('a key that comes while nothing is handled waits for no turn of the event loop, nor does the one after it', async () => {
  let nowMs = 0;
  let turns = 0;
  const stop = new AbortController();
  const handled: string[] = [];
  const queue = new WorkQueue({
    now: () => nowMs,
    yieldToEventLoop: async () => {
      turns += 1;
    },
  });
  const done = queue.run({
    workers: 1,
    signal: stop.signal,
    handle: async (key) => {
      handled.push(key);
      return undefined;
    },
    onError: () => undefined,
  });
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 50; round += 1) await Promise.resolve();
  };
  await settle();
  nowMs = 60_000;
  turns = 0;
  queue.add('a');
  queue.add('b');
  await settle();
  assert.equal(handled, ['a', 'b']);
  assert.is(turns, 0);
  stop.abort();
  await done;
});

test.run();
