import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Credentials, createCredentialsCache } from './credentials.ts';

const MINUTE_MS = 60_000;

/** A role whose sessions last an hour, on a clock that stands still until told. */
const bench = () => {
  const time = { ms: 0 };
  const fetches: number[] = [];
  const trouble = { on: false };
  /** The source repeats its first answer. */
  const stale = { on: false };
  const source = async (): Promise<Credentials> => {
    fetches.push(time.ms);
    await undefined;
    if (trouble.on) throw new Error('no answer from the metadata service');
    const id = `ASIA${fetches.length}`;
    const fromMs = stale.on ? 0 : time.ms;
    return { accessKeyId: id, secretAccessKey: 'x', expiration: new Date(fromMs + 60 * MINUTE_MS) };
  };
  const cache = createCredentialsCache(source, () => time.ms);
  return { time, fetches, trouble, stale, cache };
};

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('requests at the same time share one fetch, and later ones need none', async () => {
  const { cache, fetches } = bench();
  await Promise.all([cache.get(), cache.get()]);
  await cache.get();
  assert.is(fetches.length, 1);
});

test('credentials near their end are renewed in the background: the request gets the old ones at once', async () => {
  const { cache, fetches, time } = bench();
  await cache.get();
  time.ms = 51 * MINUTE_MS;
  assert.is((await cache.get()).accessKeyId, 'ASIA1');
  await settle();
  assert.is((await cache.get()).accessKeyId, 'ASIA2');
  assert.is(fetches.length, 2);
});

test('a renewal that fails costs no request anything while the old ones are good, and is not tried at every request', async () => {
  const { cache, fetches, time, trouble } = bench();
  await cache.get();
  trouble.on = true;
  time.ms = 51 * MINUTE_MS;
  for (let n = 0; n < 10; n++) {
    assert.is((await cache.get()).accessKeyId, 'ASIA1');
    await settle();
  }
  assert.is(fetches.length, 2);
  trouble.on = false;
  time.ms = 52 * MINUTE_MS;
  await cache.get();
  await settle();
  assert.is((await cache.get()).accessKeyId, 'ASIA3');
});

test('a source that has no younger ones yet is not asked at every request', async () => {
  const { cache, fetches, time, stale } = bench();
  await cache.get();
  stale.on = true;
  time.ms = 51 * MINUTE_MS;
  for (let n = 0; n < 10; n++) {
    await cache.get();
    await settle();
  }
  assert.is(fetches.length, 2);
});

test('credentials that have ended are not given out: the request waits, or fails with the cause', async () => {
  const { cache, time, trouble } = bench();
  await cache.get();
  time.ms = 60 * MINUTE_MS;
  trouble.on = true;
  await cache.get().then(
    () => assert.unreachable('ended credentials were given out'),
    (error: Error) => assert.match(error.message, 'metadata service'),
  );
  trouble.on = false;
  assert.is((await cache.get()).accessKeyId, 'ASIA3');
});

test('credentials that EC2 refuses are fetched anew for the next request', async () => {
  const { cache } = bench();
  await cache.get();
  cache.reject();
  assert.is((await cache.get()).accessKeyId, 'ASIA2');
});

test.run();
