import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { KubeError } from './errors.ts';
import { findRival, type LeaseRenewerOptions, renewLease } from './lease.ts';
import { createHolderWatch } from './lease-holder.ts';
import type { Lease } from './lease-types.ts';
import type { KubeClient } from './types.ts';

/** A renewer of `n/sign-of-life` every 10 s; `answer` may throw instead of taking the Lease. */
const start = (answer: () => void = () => undefined, isAlive: () => boolean = () => true) => {
  const clock = createVirtualClock();
  const stop = new AbortController();
  const renewals: { atMs: number; lease: Lease }[] = [];
  const errors: number[] = [];
  const client: LeaseRenewerOptions['client'] = {
    async apply(_resource, object) {
      renewals.push({ atMs: clock.now(), lease: object });
      answer();
      return object;
    },
  };
  const done = renewLease({
    ...{ client, key: 'n/sign-of-life', holderIdentity: 'me', fieldManager: 'test', signal: stop.signal },
    ...{
      clock,
      random: () => 0,
      isAlive,
      onError: (_error: unknown, retryInMs: number) => errors.push(retryInMs),
    },
  });
  return { clock, stop, renewals, errors, done };
};

test('renews at once and then every interval', async () => {
  const { clock, renewals } = start();
  await clock.advance(25_000);
  assert.equal(
    renewals.map(({ atMs }) => atMs),
    [0, 10_000, 20_000],
  );
  assert.equal(renewals.at(-1)?.lease, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'sign-of-life', namespace: 'n' },
    spec: {
      holderIdentity: 'me',
      leaseDurationSeconds: 40,
      acquireTime: '2026-11-22T10:00:00.000000Z',
      renewTime: '2026-11-22T10:00:20.000000Z',
    },
  });
});

test('a failed renewal is reported and retried with growing delays, at most the interval', async () => {
  const { clock, renewals, errors } = start(() => {
    throw new Error('away');
  });
  await clock.advance(30_000);
  assert.equal(errors, [200, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000].slice(0, renewals.length));
  assert.is(renewals.length, 7);
});

test('stays silent while its owner is not alive', async () => {
  let alive = true;
  const { clock, renewals } = start(undefined, () => alive);
  await clock.advance(5_000);
  alive = false;
  await clock.advance(30_000);
  assert.is(renewals.length, 1);
  alive = true;
  await clock.advance(10_000);
  assert.is(renewals.length, 2);
});

test('ends with its signal', async () => {
  const { clock, stop, renewals, done } = start();
  await clock.advance(1_000);
  stop.abort();
  await done;
  await clock.advance(60_000);
  assert.is(renewals.length, 1);
  assert.equal(clock.pending(), []);
});

/** One Lease, with its resourceVersion checked as the API server does; `away`: nothing is answered. */
const createStore = (clock: ReturnType<typeof createVirtualClock>) => {
  const store = {
    lease: undefined as Lease | undefined,
    away: false,
    writes: 0,
    put(lease: Lease): Lease {
      store.writes += 1;
      store.lease = structuredClone({
        ...lease,
        metadata: { ...lease.metadata, resourceVersion: String(store.writes) },
      });
      return store.lease;
    },
    /** Another holder writes, without a look. */
    take(holderIdentity: string, acquireTime = '2026-11-22T11:00:00.000000Z') {
      const spec = { holderIdentity, acquireTime, renewTime: String(clock.now()), leaseDurationSeconds: 40 };
      store.put({ metadata: { name: 'sign-of-life', namespace: 'n' }, spec });
    },
    get holder() {
      return store.lease?.spec?.holderIdentity;
    },
  };
  const client: Pick<KubeClient, 'get' | 'apply'> = {
    async get<T>() {
      if (store.away) throw new KubeError('away', { kind: 'Unreachable' });
      if (store.lease === undefined) throw new KubeError('none', { kind: 'NotFound' });
      return structuredClone(store.lease) as T;
    },
    async apply<T extends Lease>(_: unknown, lease: T) {
      if (store.away) throw new KubeError('away', { kind: 'Unreachable' });
      const { resourceVersion } = lease.metadata;
      if (resourceVersion !== undefined && resourceVersion !== store.lease?.metadata.resourceVersion)
        throw new KubeError('changed', { kind: 'Conflict' });
      return structuredClone(store.put(lease)) as T;
    },
  };
  return Object.assign(store, { client });
};

/** A holder that must be the only one. */
const createSole = (lease: (store: ReturnType<typeof createStore>) => void = () => undefined) => {
  const clock = createVirtualClock();
  const store = createStore(clock);
  lease(store);
  const stop = new AbortController();
  const rivals: string[] = [];
  const hold = (holderIdentity: string) =>
    renewLease({
      ...{ client: store.client, key: 'n/sign-of-life', holderIdentity, fieldManager: 'test' },
      ...{ signal: stop.signal, clock, random: () => 0, onError: () => undefined },
      exclusive: { client: store.client, onRival: (rival) => rivals.push(rival) },
    });
  return { clock, store, stop, rivals, hold };
};

test('an exclusive holder renews a Lease that is free or its own, and keeps the time since when it holds it', async () => {
  const since = '2026-11-22T09:00:00.000000Z';
  const { clock, store, rivals, hold } = createSole(({ take }) => take('me', since));
  void hold('me');
  await clock.advance(25_000);
  assert.is(store.writes, 4);
  assert.is(store.lease?.spec?.acquireTime, since);
  assert.equal(rivals, []);
});

test('a holder that is gone is replaced after its lease time, and not before', async () => {
  const { clock, store, hold } = createSole(({ take }) => take('other'));
  void hold('me');
  await clock.advance(39_000);
  assert.is(store.holder, 'other');
  await clock.advance(3_000);
  assert.is(store.holder, 'me');
});

test('an older holder that lives is not overwritten: the younger gives up', async () => {
  const older = '2026-11-22T09:00:00.000000Z';
  const { clock, store, rivals, hold } = createSole(({ take }) => take('other', older));
  const done = hold('me');
  await clock.advance(5_000);
  store.take('other', older);
  await clock.advance(5_000);
  await done;
  assert.equal(rivals, ['other']);
  assert.is(store.holder, 'other');
});

test('who was cut off and finds its Lease taken takes it back, and the taker gives up', async () => {
  const { clock, store, rivals, hold } = createSole();
  void hold('me');
  await clock.advance(20_000);
  // Its acquireTime is an hour later.
  store.take('taker');
  await clock.advance(11_000);
  assert.is(store.holder, 'taker', 'not overwritten unseen');
  store.take('taker');
  await clock.advance(5_000);
  assert.is(store.holder, 'me');
  assert.equal(rivals, []);
});

test('of two that both run, one goes and one stays', async () => {
  const { clock, store, rivals, hold } = createSole();
  store.away = true;
  void hold('first');
  await clock.advance(60_000);
  void hold('second');
  await clock.advance(1_000);
  store.away = false;
  await clock.advance(120_000);
  assert.is(store.holder, 'first');
  assert.equal(rivals, ['first']);
});

test('who has waited for the silence of a holder that is gone does not wait for it again', async () => {
  const { clock, store } = createSole(({ take }) => take('other'));
  const { client } = store;
  const watch = createHolderWatch('me');
  const lease = { client, key: 'n/sign-of-life', holderIdentity: 'me', clock };
  const { signal } = new AbortController();
  let renewed = 0;
  void findRival({ ...lease, signal, watch, onWait: () => undefined }).then((rival) => {
    assert.is(rival, null);
    void renewLease({
      ...{ ...lease, signal, fieldManager: 'test', random: () => 0, onError: () => undefined },
      exclusive: { client, watch, onRival: () => undefined },
      onRenewed: () => {
        renewed += 1;
      },
    });
  });
  await clock.advance(39_000);
  assert.is(store.holder, 'other');
  await clock.advance(3_000);
  assert.is(store.holder, 'me');
  assert.ok(renewed > 0);
});

/** Looks for a rival before a start; `found` is undefined while the search goes on. */
const search = (lease: (store: ReturnType<typeof createStore>) => void) => {
  const clock = createVirtualClock();
  const store = createStore(clock);
  lease(store);
  const seen = { found: undefined as string | null | undefined, waits: [] as string[] };
  void findRival({
    ...{ client: store.client, key: 'n/sign-of-life', holderIdentity: 'me', clock },
    signal: new AbortController().signal,
    onWait: (holder) => seen.waits.push(holder),
  }).then((rival) => {
    seen.found = rival;
  });
  return Object.assign(seen, { clock, store });
};

test('before a start: nobody else holds the Lease, or nothing can be known of it: no time is lost', async () => {
  for (const lease of [
    () => undefined,
    ({ take }: ReturnType<typeof createStore>) => take('me'),
    (store: ReturnType<typeof createStore>) => {
      store.away = true;
    },
  ]) {
    const seen = search(lease);
    await seen.clock.advance(0);
    assert.is(seen.found, null);
    assert.equal(seen.waits, []);
  }
});

test('before a start: another holder is found when it renews, and said while it is waited for', async () => {
  const seen = search(({ take }) => take('other'));
  await seen.clock.advance(9_000);
  assert.is(seen.found, undefined);
  assert.equal(seen.waits, ['other']);
  seen.store.take('other');
  await seen.clock.advance(2_000);
  assert.is(seen.found, 'other');
});

test('before a start: a dead holder is waited out; an API server that fails meanwhile starts the time anew', async () => {
  const seen = search(({ take }) => take('other'));
  await seen.clock.advance(30_000);
  seen.store.away = true;
  await seen.clock.advance(4_000);
  seen.store.away = false;
  await seen.clock.advance(38_000);
  assert.is(seen.found, undefined);
  await seen.clock.advance(6_000);
  assert.is(seen.found, null);
});

test.run();
