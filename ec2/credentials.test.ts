import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { type Credentials, createCredentialsCache, FETCH_MS } from './credentials.ts';

const MINUTE_MS = 60_000;

/** A role whose sessions last an hour, on a clock that stands still until told. */
const bench = () => {
  const clock = createVirtualClock();
  const beganMs = clock.wall();
  let fetches = 0;
  const mood = {
    /** The source refuses, or never answers. */
    fails: false,
    hangs: false,
    /** It repeats its first answer. */
    isStale: false,
  };
  const given = { up: 0 };
  const source = async (signal: AbortSignal): Promise<Credentials> => {
    fetches += 1;
    const accessKeyId = `ASIA${fetches}`;
    const endMs = (mood.isStale ? beganMs : clock.wall()) + 60 * MINUTE_MS;
    signal.addEventListener('abort', () => (given.up += 1));
    if (mood.hangs) return new Promise(() => undefined);
    await undefined;
    if (mood.fails) throw Object.assign(new Error('no such provider.'), { name: 'InvalidIdentityToken' });
    return { accessKeyId, secretAccessKey: 'x', expiration: new Date(endMs) };
  };
  const notRenewed: string[] = [];
  const cache = createCredentialsCache({
    source,
    clock,
    whose: 'role arn:aws:iam::1:role/hapair',
    onNotRenewed: ({ message }) => notRenewed.push(message),
  });
  const ask = async (): Promise<string> =>
    cache.get().then(
      ({ accessKeyId }) => accessKeyId,
      (error: Error) => `${error.name}: ${error.message}`,
    );
  return { clock, cache, mood, given, ask, notRenewed, fetched: () => fetches };
};

test('requests at the same time share one fetch, and later ones need none', async () => {
  const { ask, fetched } = bench();
  assert.equal(await Promise.all([ask(), ask(), ask()]), ['ASIA1', 'ASIA1', 'ASIA1']);
  await ask();
  assert.is(fetched(), 1);
});

test('credentials near their end are renewed in the background: the request gets the old ones at once', async () => {
  const { ask, fetched, clock } = bench();
  await ask();
  await clock.advance(51 * MINUTE_MS);
  assert.is(await ask(), 'ASIA1');
  await clock.advance(0);
  assert.is(await ask(), 'ASIA2');
  assert.is(fetched(), 2);
});

test('a renewal that fails costs no request anything while the old ones are good, and is not tried at every request', async () => {
  const { ask, fetched, clock, mood } = bench();
  await ask();
  mood.fails = true;
  await clock.advance(51 * MINUTE_MS);
  for (let n = 0; n < 10; n++) {
    assert.is(await ask(), 'ASIA1');
    await clock.advance(0);
  }
  assert.is(fetched(), 2);
  mood.fails = false;
  await clock.advance(MINUTE_MS);
  await ask();
  await clock.advance(0);
  assert.is(await ask(), 'ASIA3');
});

test('a renewal that fails is told while the old ones are good: no request notices it', async () => {
  const { ask, clock, mood, notRenewed } = bench();
  await ask();
  mood.fails = true;
  await clock.advance(51 * MINUTE_MS);
  for (let n = 0; n < 10; n++) {
    assert.is(await ask(), 'ASIA1');
    await clock.advance(0);
  }
  assert.equal(notRenewed, ['InvalidIdentityToken: no such provider (role arn:aws:iam::1:role/hapair)']);
});

test('a source that has no younger ones yet is asked ever less often', async () => {
  const { ask, fetched, clock, mood } = bench();
  await ask();
  mood.isStale = true;
  await clock.advance(51 * MINUTE_MS);
  for (let second = 0; second < 100; second++) {
    await ask();
    await clock.advance(1_000);
  }
  assert.is(fetched(), 8, 'once, then after 0, 1, 3, 7, 15, 31 and 63 s');
});

test('credentials that have ended are not given out: the request waits, or fails with the cause', async () => {
  const { ask, clock, mood } = bench();
  await ask();
  await clock.advance(60 * MINUTE_MS);
  mood.fails = true;
  assert.is(
    await ask(),
    'NoCredentials: InvalidIdentityToken: no such provider (role arn:aws:iam::1:role/hapair)',
  );
  mood.fails = false;
  await clock.advance(1_000);
  assert.is(await ask(), 'ASIA3');
});

test('a source that never answers is given up, and the next request asks afresh', async () => {
  const { ask, fetched, clock, mood, given } = bench();
  mood.hangs = true;
  const told = Promise.all([ask(), ask()]);
  await clock.advance(FETCH_MS);
  const words = 'NoCredentials: their source has not answered within 6 s (role arn:aws:iam::1:role/hapair)';
  assert.equal(await told, [words, words]);
  assert.is(given.up, 1, 'the one fetch is ended');
  mood.hangs = false;
  assert.is(await ask(), 'ASIA2');
  assert.is(fetched(), 2);
});

test('without credentials the source is asked again within five seconds, however long it has been away', async () => {
  const { ask, fetched, clock, mood } = bench();
  mood.fails = true;
  for (let second = 0; second < 300; second++) {
    assert.match(await ask(), 'InvalidIdentityToken');
    await clock.advance(1_000);
  }
  assert.ok(fetched() <= 64, `${fetched()} fetches`);
  mood.fails = false;
  await clock.advance(5_000);
  assert.match(await ask(), 'ASIA');
});

/** Whatever is asked for in each of so many seconds is refused. */
const refusals = async (
  { cache, clock, ask }: ReturnType<typeof bench>,
  seconds: number,
  certain: boolean,
): Promise<string[]> => {
  const asked: string[] = [];
  for (let second = 0; second < seconds; second++) {
    asked.push(await ask());
    await clock.advance(1_000);
    await cache.get().then(
      (credentials) => cache.reject(credentials, certain),
      () => undefined,
    );
  }
  return asked;
};

test('credentials that were certainly refused are fetched anew for the next request', async () => {
  const { ask, cache } = bench();
  await ask();
  cache.reject(await cache.get(), true);
  assert.is(await ask(), 'ASIA2');
});

test('credentials that nobody has accepted yet are fetched anew beside the next request', async () => {
  const { ask, cache, clock } = bench();
  await ask();
  cache.reject(await cache.get(), false);
  assert.is(await ask(), 'ASIA1');
  await clock.advance(0);
  assert.is(await ask(), 'ASIA2');
});

test('a refusal of credentials that were replaced meanwhile says nothing about the new ones', async () => {
  const { ask, cache, fetched } = bench();
  const old = await cache.get();
  cache.reject(old, true);
  assert.is(await ask(), 'ASIA2');
  cache.reject(old, true);
  assert.is(await ask(), 'ASIA2');
  assert.is(fetched(), 2);
});

test('credentials that are refused again and again are fetched ever less often', async () => {
  for (const certain of [true, false]) {
    const each = bench();
    await refusals(each, 100, certain);
    assert.ok(each.fetched() <= 9, `${each.fetched()} fetches`);
  }
});

test('refused credentials go on being given out while their source is away, at once', async () => {
  const each = bench();
  await each.ask();
  each.mood.fails = true;
  assert.equal(new Set(await refusals(each, 100, true)), new Set(['ASIA1']));
  assert.ok(each.fetched() <= 9, `${each.fetched()} fetches`);
});

test.run();
