import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSharedReads } from './shared-reads.ts';

const MISSING = 'InvalidNetworkInterfaceID.NotFound';

type Thing = { id: string; call: number };

/** Reads that the test answers, in the order in which they leave. */
const bench = (
  weigh: (id: string) => number = () => 0,
  turnOf?: (errand: string) => { isUrgent: boolean; share: string },
) => {
  const calls: { ids: readonly string[]; errand: string; answer: (left?: readonly string[]) => void }[] = [];
  const missing = new Set<string>();
  const trouble = { on: false };
  const { read } = createSharedReads<Thing, string>(
    (errand) => ({
      read: (ids) =>
        new Promise((resolve, reject) => {
          const call = calls.length;
          const answer = (left: readonly string[] = []): void => {
            const isMissing = ids.some((id) => missing.has(id));
            if (trouble.on || isMissing)
              reject(Object.assign(new Error('no'), { code: isMissing ? MISSING : 'Throttling' }));
            else resolve(ids.filter((id) => !left.includes(id)).map((id) => ({ id, call })));
          };
          calls.push({ ids, errand, answer });
        }),
      idOf: ({ id }) => id,
      weigh,
      concurrency: 2,
      missingCodes: [MISSING],
      rawErrorOf: (error) => ({ code: (error as { code: string }).code, message: 'no' }),
    }),
    turnOf,
  );
  const idsOf = (): (readonly string[])[] => calls.map(({ ids }) => ids);
  return { calls, idsOf, missing, trouble, read };
};

/** Lets what has been answered arrive. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

test('what waits is read once for all who asked meanwhile, by a call that begins after them', async () => {
  const { calls, idsOf, read } = bench();
  const first = read(['a', 'b'], 'one');
  await settle();
  const second = read(['c'], 'two');
  await settle();
  // Both calls are under way: who asks now waits for the next.
  const third = read(['a', 'd'], 'three');
  const fourth = read(['d', 'a', 'e'], 'four');
  assert.equal(idsOf(), [['a', 'b'], ['c']]);
  calls[0]?.answer();
  await settle();
  assert.equal(idsOf().slice(2), [['a', 'd', 'e']]);
  assert.is(calls[2]?.errand, 'three', 'the errand of who asked first');
  for (const { answer } of calls.slice(1)) answer();
  assert.is((await first).found.a?.call, 0);
  assert.is((await second).found.c?.call, 1);
  assert.is((await third).found.a?.call, 2);
  const { found, failure } = await fourth;
  assert.equal(Object.keys(found).sort(), ['a', 'd', 'e']);
  assert.is(failure, undefined);
});

test('who asks in the same breath shares a call', async () => {
  const { calls, idsOf, read } = bench();
  const both = [read(['a'], ''), read(['b', 'a'], '')];
  await settle();
  assert.equal(idsOf(), [['a', 'b']]);
  calls[0]?.answer();
  assert.is((await Promise.all(both)).length, 2);
});

test('a thousand who ask for the same things while calls are slow are served by the next round', async () => {
  const { calls, read } = bench();
  const asked = [read(['a'], '')];
  await settle();
  asked.push(read(['b'], ''));
  await settle();
  for (let at = 0; at < 1_000; at++) asked.push(read(['a', 'b'], ''));
  for (const { answer } of calls) answer();
  await settle();
  for (const { answer } of calls) answer();
  await Promise.all(asked);
  assert.is(calls.length, 3);
});

test('calls are of a bounded size, a few at a time, in the order of asking', async () => {
  const { calls, idsOf, read } = bench(() => 64);
  const all = read(['a', 'b', 'c', 'd', 'e'], '');
  await settle();
  assert.equal(idsOf(), [
    ['a', 'b'],
    ['c', 'd'],
  ]);
  calls[1]?.answer();
  await settle();
  assert.equal(idsOf()[2], ['e']);
  calls[0]?.answer();
  calls[2]?.answer();
  assert.is(Object.keys((await all).found).length, 5);
});

const TURNS = (errand: string) => ({ isUrgent: errand === 'urgent', share: errand });

test('O9: what is urgent has a call of its own kept for it, and is read before all that waits', async () => {
  const { calls, idsOf, read } = bench(() => 128, TURNS);
  for (const id of ['a', 'b', 'c']) void read([id], 'crowd');
  await settle();
  assert.equal(idsOf(), [['a']], 'of two calls one is kept');
  void read(['u', 'c'], 'urgent');
  await settle();
  assert.equal(idsOf(), [['a'], ['u']]);
  for (let at = 0; at < 4; at++) {
    calls[at]?.answer();
    await settle();
  }
  assert.equal(idsOf(), [['a'], ['u'], ['c'], ['b']], 'what both wait for is read once');
});

test('O9: whatever the number of those who wait in one share, the others take turns with it; what one asked for stays together', async () => {
  const { calls, idsOf, read } = bench(() => 64, TURNS);
  for (let at = 0; at < 4; at++) void read([`a${at}`, `b${at}`], 'crowd');
  void read(['x', 'y'], 'prod');
  void read(['z'], 'test');
  for (let at = 0; at < 6; at++) {
    await settle();
    calls[at]?.answer();
  }
  assert.equal(idsOf().slice(0, 4), [
    ['a0', 'b0'],
    ['x', 'y'],
    ['z', 'a1'],
    ['b1', 'a2'],
  ]);
});

test('unknown, unread and left out are told apart, each to whom it concerns', async () => {
  const { calls, missing, trouble, read } = bench();
  missing.add('gone');
  const gone = read(['gone'], '');
  await settle();
  const there = read(['there', 'silent'], '');
  await settle();
  calls[0]?.answer();
  calls[1]?.answer(['silent']);
  assert.equal(await gone, { found: { gone: null } });
  assert.equal(await there, { found: { there: { id: 'there', call: 1 } } });
  trouble.on = true;
  const failed = read(['there'], '');
  await settle();
  calls[2]?.answer();
  assert.equal(await failed, { found: {}, failure: { code: 'Throttling', message: 'no' } });
  trouble.on = false;
  const again = read(['there'], '');
  await settle();
  calls[3]?.answer();
  assert.is((await again).found.there?.call, 3, 'a failure stops nothing');
});

test('nothing asked, nothing called', async () => {
  const { calls, read } = bench();
  assert.equal(await read([], ''), { found: {} });
  assert.equal(calls, []);
});

test.run();
