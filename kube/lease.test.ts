import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Lease, type LeaseRenewerOptions, renewLease } from './lease.ts';
import { createVirtualClock } from './testing/virtual-clock.ts';

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

test.run();
