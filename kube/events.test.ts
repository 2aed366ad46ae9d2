import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { KubeError } from './errors.ts';
import { type EventNote, EventRecorder, type EventRecorderOptions } from './events.ts';

type Write = { verb: 'create' | 'patch'; key: string; body: unknown };

const NOTE: EventNote = {
  regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'n', name: 'p', uid: 'u1' },
  type: 'Warning',
  reason: 'Broke',
  message: 'it broke',
};

/** A recorder whose writes are kept, and fail as `answer` says. */
const start = (
  answer: (write: Write) => Error | undefined | Promise<void> = () => undefined,
  options: Pick<EventRecorderOptions, 'writers'> = {},
) => {
  const clock = createVirtualClock();
  const stop = new AbortController();
  const writes: Write[] = [];
  const told: (string | undefined)[] = [];
  const take = async (write: Write) => {
    writes.push(write);
    const error = await answer(write);
    if (error) throw error;
  };
  const client: EventRecorderOptions['client'] = {
    async create(_resource, object) {
      await take({
        verb: 'create',
        key: `${object.metadata.namespace}/${object.metadata.name}`,
        body: object,
      });
      return object;
    },
    async patch<T>(_resource: unknown, key: string, body: readonly object[]) {
      await take({ verb: 'patch', key, body });
      return {} as T;
    },
  };
  const recorder = new EventRecorder({
    ...{ client, controller: 'example.io/test', instance: 'test-0', signal: stop.signal },
    ...{ clock, random: () => 0, ...options },
    log: {
      info: () => undefined,
      error: () => undefined,
      warn: ({ reason }: { reason?: string }) => told.push(reason),
    },
  });
  return { clock, stop, writes, told, recorder };
};

const failure = (kind: KubeError['kind']) => new KubeError(kind, { kind });

test('an Event names its object, its reporter and what happened', async () => {
  const { recorder, writes } = start();
  recorder.record(NOTE);
  await recorder.flush();
  const [{ body }] = writes as [Write];
  assert.equal(body, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: (body as { metadata: { name: string } }).metadata.name, namespace: 'n' },
    eventTime: '2026-11-22T10:00:00.000000Z',
    ...{ type: 'Warning', reason: 'Broke', action: 'Broke', note: 'it broke', regarding: NOTE.regarding },
    ...{ reportingController: 'example.io/test', reportingInstance: 'test-0' },
  });
});

test('repetitions within ten minutes of each other are counted on the first; later ones are written anew', async () => {
  const { recorder, writes, clock } = start();
  for (const waitMs of [0, 1_000, 599_000, 600_000]) {
    await clock.advance(waitMs);
    recorder.record(NOTE);
    await recorder.flush();
  }
  const [first, second, third, fourth] = writes;
  assert.equal(
    writes.map(({ verb }) => verb),
    ['create', 'patch', 'patch', 'create'],
  );
  assert.is(second?.key, first?.key);
  assert.equal(third?.body, [
    { op: 'add', path: '/series', value: { count: 3, lastObservedTime: '2026-11-22T10:10:00.000000Z' } },
  ]);
  assert.is.not(fourth?.key, first?.key);
});

test('another message, reason or object is another Event', async () => {
  const { recorder, writes } = start();
  recorder.record(NOTE);
  recorder.record({ ...NOTE, message: 'it broke again' });
  recorder.record({ ...NOTE, reason: 'Mended' });
  recorder.record({ ...NOTE, regarding: { ...NOTE.regarding, uid: 'u2' } });
  await recorder.flush();
  assert.equal(
    writes.map(({ verb }) => verb),
    ['create', 'create', 'create', 'create'],
  );
});

test('a counted Event that has expired is written anew', async () => {
  const { recorder, writes } = start(({ verb }) => (verb === 'patch' ? failure('NotFound') : undefined));
  recorder.record(NOTE);
  recorder.record(NOTE);
  await recorder.flush();
  assert.equal(
    writes.map(({ verb }) => verb),
    ['create', 'patch', 'create'],
  );
});

test('a failed write is tried three times, then dropped and counted', async () => {
  const { recorder, writes, clock } = start(() => failure('Unreachable'));
  recorder.record(NOTE);
  await clock.advance(10_000);
  assert.is(writes.length, 3);
  assert.is(recorder.dropped(), 1);
});

test('a refused write is not repeated', async () => {
  const { recorder, writes } = start(() => failure('Forbidden'));
  recorder.record(NOTE);
  await recorder.flush();
  assert.is(writes.length, 1);
  assert.is(recorder.dropped(), 1);
});

test('an Event that waits takes its repetitions in, and is written with its count', async () => {
  const { recorder, writes } = start(undefined, { writers: 1 });
  recorder.record({ ...NOTE, message: 'first' });
  for (let count = 0; count < 5; count++) recorder.record(NOTE);
  assert.is(recorder.depth(), 1);
  await recorder.flush();
  const series = writes.map(({ body }) => (body as { series?: object }).series);
  assert.equal(series, [undefined, { count: 5, lastObservedTime: '2026-11-22T10:00:00.000000Z' }]);
});

test('a repetition of what is being written is counted on it, whoever writes', async () => {
  const { recorder, writes } = start();
  for (let count = 0; count < 3; count++) recorder.record(NOTE);
  await recorder.flush();
  assert.equal(
    writes.map(({ verb }) => verb),
    ['create', 'patch'],
  );
  assert.is((writes[1] as { body: [{ value: { count: number } }] }).body[0].value.count, 3);
});

test('a thousand objects with four Events each lose none; a few calls are under way at a time', async () => {
  let inFlight = 0;
  let most = 0;
  const { recorder, writes } = start(async () => {
    most = Math.max(most, ++inFlight);
    await new Promise(setImmediate);
    inFlight--;
  });
  for (let object = 0; object < 1_000; object++) {
    for (const reason of ['Detected', 'Called', 'Moved', 'Confirmed']) {
      recorder.record({ ...NOTE, reason, regarding: { ...NOTE.regarding, uid: `u${object}` } });
    }
  }
  await recorder.flush();
  assert.is(writes.length, 4_000);
  assert.is(recorder.dropped(), 0);
  assert.is(most, 4);
});

test('the queue is bounded: the oldest go, and are told of once', async () => {
  const { recorder, writes, told } = start(undefined, { writers: 1 });
  for (let count = 0; count < 4_200; count++) recorder.record({ ...NOTE, message: `${count}` });
  await recorder.flush();
  const notes = writes.map(({ body }) => (body as { note: string }).note);
  assert.is(notes.length, 4_097, 'one in flight and the queue');
  assert.is(recorder.dropped(), 4_200 - 4_097);
  assert.is(notes.at(-1), '4199');
  assert.equal(told, ['EventsDropped']);
});

test('the signal gives up what waits, and counts it', async () => {
  const { recorder, writes, stop } = start(undefined, { writers: 1 });
  for (let count = 0; count < 3; count++) recorder.record({ ...NOTE, message: `${count}` });
  stop.abort();
  await recorder.flush();
  assert.is(writes.length + recorder.dropped(), 3);
  assert.is(recorder.depth(), 0);
});

test('a long message is cut on a whole character', async () => {
  const { recorder, writes } = start();
  recorder.record({ ...NOTE, message: `${'x'.repeat(1023)}ü` });
  await recorder.flush();
  const [{ body }] = writes as [Write];
  assert.is((body as { note: string }).note, 'x'.repeat(1023));
});

test.run();
