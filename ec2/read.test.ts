import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inChunks } from './read.ts';

const MISSING = 'InvalidNetworkInterfaceID.NotFound';

/** A reader over a set of existing ids that fails the whole call for one unknown id, as EC2 does. */
const readerOf = (
  existing: (id: string) => boolean,
  calls: number[],
  broken?: (ids: readonly string[]) => boolean,
) => ({
  read: async (ids: readonly string[]) => {
    calls.push(ids.length);
    if (broken?.(ids)) throw Object.assign(new Error('slow down'), { code: 'RequestLimitExceeded' });
    if (!ids.every(existing)) throw Object.assign(new Error('unknown'), { code: MISSING });
    return ids.map((id) => ({ id }));
  },
  idOf: ({ id }: { id: string }) => id,
  missingCodes: [MISSING],
  rawErrorOf: (error: unknown) => ({ code: (error as { code: string }).code, message: String(error) }),
});

const ids = (count: number): string[] => Array.from({ length: count }, (_, at) => `eni-${at}`);

test('ids are read in chunks of at most 200', async () => {
  const calls: number[] = [];
  const { found, failure } = await inChunks(
    ids(450),
    readerOf(() => true, calls),
  );
  assert.equal(
    calls.sort((a, b) => a - b),
    [50, 200, 200],
  );
  assert.is(Object.keys(found).length, 450);
  assert.is(failure, undefined);
});

test('what answers with more is asked for in smaller chunks, in its order, and whatever its size is asked for', async () => {
  const asked: (readonly string[])[] = [];
  const { read, ...reader } = readerOf(() => true, []);
  const weigh = (id: string): number => (id === 'eni-2' ? 1_000 : 50);
  await inChunks(ids(6), {
    ...{ ...reader, weigh },
    read: (some) => {
      asked.push(some);
      return read(some);
    },
  });
  assert.equal(asked, [['eni-0', 'eni-1'], ['eni-2'], ['eni-3', 'eni-4'], ['eni-5']]);
});

test('no more chunks are under way than the reader allows', async () => {
  let underWay = 0;
  let most = 0;
  const { read, ...reader } = readerOf(() => true, []);
  await inChunks(ids(1_000), {
    ...reader,
    concurrency: 2,
    read: async (some) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
      underWay -= 1;
      return read(some);
    },
  });
  assert.is(most, 2);
});

test('a reader may pause between two chunks', async () => {
  const order: (number | 'pause')[] = [];
  const { read, ...reader } = readerOf(() => true, []);
  await inChunks(ids(450), {
    ...reader,
    concurrency: 1,
    pause: async () => order.push('pause'),
    read: (some) => {
      order.push(some.length);
      return read(some);
    },
  });
  assert.equal(order, [200, 'pause', 200, 'pause', 50]);
});

test('one unknown id is null and hides no other; it costs few calls', async () => {
  const calls: number[] = [];
  const { found } = await inChunks(
    ids(200),
    readerOf((id) => id !== 'eni-77', calls),
  );
  assert.is(found['eni-77'], null);
  assert.is(Object.values(found).filter((thing) => thing !== null).length, 199);
  assert.ok(calls.length <= 20, String(calls.length));
});

/** The same, with a filter that leaves out what does not exist, and in its first answer also `omitted`. */
const selecting = (existing: (id: string) => boolean, calls: number[], omitted = '') => {
  let answers = 0;
  return {
    ...readerOf(existing, calls),
    select: async (ids: readonly string[]) => {
      calls.push(ids.length);
      const isFirst = answers++ === 0;
      return ids.filter((id) => existing(id) && !(isFirst && id === omitted)).map((id) => ({ id }));
    },
  };
};

test('O9: by filter any number of unknown ids costs two calls more, and hides no other', async () => {
  const calls: number[] = [];
  const exists = (id: string): boolean => Number(id.slice(4)) % 4 === 0;
  const { found } = await inChunks(ids(200), selecting(exists, calls));
  assert.equal(calls, [200, 200, 150]);
  for (const id of ids(200)) assert.is(found[id] !== null, exists(id));
});

test('O9: what one answer leaves out is not proven absent', async () => {
  const calls: number[] = [];
  const { found } = await inChunks(
    ids(10),
    selecting((id) => id !== 'eni-3', calls, 'eni-7'),
  );
  assert.is(found['eni-3'], null);
  assert.equal(found['eni-7'], { id: 'eni-7' });
});

test('what could not be read is no key, and says why', async () => {
  const reader = readerOf(
    () => true,
    [],
    (chunk) => chunk.includes('eni-0'),
  );
  const { found, failure } = await inChunks(ids(250), reader);
  assert.not('eni-0' in found);
  assert.ok('eni-249' in found);
  assert.is(failure?.code, 'RequestLimitExceeded');
});

test('when nothing can be read the rest is given up soon', async () => {
  const calls: number[] = [];
  const { found, failure } = await inChunks(ids(4_000), {
    ...readerOf(
      () => true,
      calls,
      () => true,
    ),
    concurrency: 1,
  });
  assert.is(calls.length, 3);
  assert.equal(found, {});
  assert.is(failure?.code, 'RequestLimitExceeded');
});

test('chunks that fail now and then keep no other from being read', async () => {
  const reader = readerOf(
    () => true,
    [],
    (chunk) => ['eni-0', 'eni-400', 'eni-800'].some((id) => chunk.includes(id)),
  );
  const { found } = await inChunks(ids(1_400), { ...reader, concurrency: 1 });
  assert.is(Object.keys(found).length, 800);
});

test('nothing asked, nothing called', async () => {
  const calls: number[] = [];
  assert.equal(
    await inChunks(
      [],
      readerOf(() => true, calls),
    ),
    { found: {} },
  );
  assert.equal(calls, []);
});

test.run();
