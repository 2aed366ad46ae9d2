import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { Elector, type ElectorOptions, electorIdentity } from './elector.ts';
import { KubeError } from './errors.ts';
import { LeaseServer } from './testing/lease-server.ts';

/** Electors on one Lease in virtual time, each call 10 ms there and 10 ms back. */
const startWorld = () => {
  const clock = createVirtualClock();
  const server = new LeaseServer(clock);
  const stand = (identity: string, change: Partial<ElectorOptions> = {}) => {
    const stop = new AbortController();
    const errors: unknown[] = [];
    const client = server.client(() => ({ thereMs: 10, backMs: 10 }));
    const elector = new Elector({
      ...{ client, key: 'n/leader', identity, clock, random: () => 0 },
      onError: (error) => errors.push(error),
      ...change,
    });
    const reigns: AbortSignal[] = [];
    const done = elector.run(stop.signal, (reign) => reigns.push(reign));
    /** Each leadership so far, and whether it has ended. */
    const led = () => reigns.map(({ aborted }) => (aborted ? 'ended' : 'leads'));
    return Object.assign(elector, { stop, errors, done, led });
  };
  return { clock, server, stand };
};

const away = async (): Promise<never> => {
  throw new KubeError('away', { kind: 'Unreachable' });
};

test('the first to stand leads and stays the leader; the other stands by and knows who leads', async () => {
  const { clock, server, stand } = startWorld();
  const first = stand('first');
  await clock.advance(100);
  const second = stand('second');
  await clock.advance(60_000);
  assert.equal(first.led(), ['leads']);
  assert.ok(first.isLeader());
  assert.not(second.isLeader());
  assert.is(second.leaderIdentity(), 'first');
  assert.is(server.lease?.spec?.leaseTransitions, 0);
  assert.equal([...first.errors, ...second.errors], []);
});

test('the Lease is read once and then renewed every retry period with one call', async () => {
  const { clock, server, stand } = startWorld();
  stand('first');
  await clock.advance(6_100);
  assert.equal(
    server.calls.map(({ verb }) => verb),
    ['get', 'create', 'replace', 'replace', 'replace'],
  );
});

test('a leader that the API server no longer hears loses at its deadline; the other leads once the lease is over', async () => {
  const { clock, server, stand } = startWorld();
  const client = server.client(() => ({ thereMs: 10, backMs: 10 }));
  let isCut = false;
  const cut: typeof client = {
    get: (...call) => (isCut ? away() : client.get(...call)),
    create: client.create,
    replace: (...call) => (isCut ? away() : client.replace(...call)),
  };
  const first = stand('first', { client: cut });
  await clock.advance(100);
  const second = stand('second');
  await clock.advance(5_900);
  isCut = true;
  const deadlineMs = first.deadlineMs();
  await clock.advance(deadlineMs - clock.now() - 1);
  assert.ok(first.isLeader());
  await clock.advance(1);
  assert.not(first.isLeader());
  assert.equal(first.led(), ['ended']);
  assert.not(second.isLeader());
  // It saw the last renewal up to one look of its own later.
  await clock.advance(4_000 + 2_100);
  assert.ok(second.isLeader());
  assert.is(server.lease?.spec?.leaseTransitions, 1);
  assert.ok(first.errors.length > 0);
});

test('who lost leadership leads again when the API server is back: each time as a new leadership, in the same process', async () => {
  const { clock, server, stand } = startWorld();
  const client = server.client(() => ({ thereMs: 10, backMs: 10 }));
  let isCut = false;
  const first = stand('first', {
    client: {
      get: (...call) => (isCut ? away() : client.get(...call)),
      create: client.create,
      replace: (...call) => (isCut ? away() : client.replace(...call)),
    },
  });
  for (let outage = 1; outage <= 3; outage++) {
    await clock.advance(5_000);
    assert.ok(first.isLeader());
    isCut = true;
    await clock.advance(20_000);
    isCut = false;
  }
  await clock.advance(2_100);
  assert.equal(first.led(), ['ended', 'ended', 'ended', 'leads']);
});

test('how long each write of the Lease took is told, of those without an answer too', async () => {
  const { clock, server, stand } = startWorld();
  const took: number[] = [];
  let backMs = 10;
  const client = server.client(() => ({ thereMs: 10, backMs }));
  stand('first', { client, onWrite: (tookMs) => took.push(tookMs) });
  await clock.advance(2_000);
  backMs = 20_000;
  await clock.advance(6_615);
  assert.equal(took, [20, 6_600]);
});

test('a release hands over at once to a standby that was told of the change', async () => {
  const { clock, server, stand } = startWorld();
  const first = stand('first');
  await clock.advance(100);
  const second = stand('second');
  await clock.advance(5_000);
  const released = first.release();
  assert.not(first.isLeader(), 'it does not lead while it gives the Lease away');
  await clock.advance(20);
  await released;
  assert.equal(first.led(), ['ended']);
  assert.is(server.lease?.spec?.holderIdentity, '');
  second.nudge();
  await clock.advance(40);
  assert.ok(second.isLeader());
});

test('a release finds a renewal whose answer was never heard', async () => {
  const { clock, server, stand } = startWorld();
  const first = stand('first');
  await clock.advance(2_015);
  assert.is(server.calls.at(-1)?.verb, 'create', 'the renewal is on its way');
  const released = first.release();
  await clock.advance(100);
  await released;
  assert.is(server.lease?.spec?.holderIdentity, '');
});

test('a release by one who does not lead leaves the Lease as it is', async () => {
  const { clock, server, stand } = startWorld();
  stand('first');
  await clock.advance(100);
  const second = stand('second');
  await clock.advance(100);
  const released = second.release();
  await clock.advance(100);
  await released;
  assert.is(server.lease?.spec?.holderIdentity, 'first');
});

test('a nudge that comes while a look is under way leads to another look', async () => {
  const { clock, server, stand } = startWorld();
  stand('first');
  await clock.advance(100);
  const second = stand('second');
  await clock.advance(15);
  server.put({ metadata: { name: 'leader', namespace: 'n' }, spec: { holderIdentity: '' } });
  second.nudge();
  await clock.advance(100);
  assert.ok(second.isLeader());
});

test('a leader is not hurried by the changes it makes itself', async () => {
  const { clock, server, stand } = startWorld();
  const first = stand('first');
  await clock.advance(100);
  for (let count = 0; count < 10; count++) {
    first.nudge();
    await clock.advance(10);
  }
  assert.is(server.calls.length, 2);
});

test('the signal ends it: no leader, no call, no timer', async () => {
  const { clock, server, stand } = startWorld();
  const first = stand('first');
  await clock.advance(100);
  first.stop.abort();
  assert.not(first.isLeader());
  await first.done;
  assert.equal(first.led(), ['ended']);
  const calls = server.calls.length;
  await clock.advance(60_000);
  assert.is(server.calls.length, calls);
  assert.equal(clock.pending(), []);
});

test('an identity names its host and is never given twice', () => {
  assert.match(electorIdentity(), /^.+_[0-9a-f-]{36}$/);
  assert.is.not(electorIdentity(), electorIdentity());
});

test.run();
