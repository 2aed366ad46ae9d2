import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Reason } from '../../crds/conditions.ts';
import type { FromWorker, WorkerConfig } from './messages.ts';
import { advertOfPeer, routerConfig as config, FakeLink, MASTER_DOWN_MS } from './testing/fake-link.ts';
import { VirtualRouters } from './virtual-routers.ts';

/** Virtual routers in virtual time on links in memory, and all they say. */
class World {
  now = 0;
  readonly said: FromWorker[] = [];
  readonly links = new Map<string, FakeLink>();
  readonly routers: VirtualRouters;

  constructor() {
    this.routers = new VirtualRouters(
      () => this.now,
      (message) => this.said.push(message),
      (sourceAddress) => {
        const link = new FakeLink(sourceAddress);
        this.links.set(sourceAddress, link);
        return link;
      },
    );
  }

  get link(): FakeLink {
    const [link] = this.links.values();
    assert.ok(link, 'a pair was set');
    return link as FakeLink;
  }

  set(
    pair: string,
    changes: Partial<WorkerConfig> = {},
    lastAdvertAtMs?: number,
    fault: Reason | null = null,
  ): void {
    const resume = lastAdvertAtMs === undefined ? {} : { resume: { lastAdvertAtMs, fault } };
    this.routers.handleMessage({ type: 'set', pair, config: config(changes), ...resume });
  }

  /** Lets time pass, and every timer fire at its time. */
  runUntil(end: number): void {
    while (this.routers.nextTimeout() <= end) {
      this.now = Math.max(this.now, this.routers.nextTimeout());
      this.routers.drain();
      this.routers.handleTimeouts();
    }
    this.now = end;
  }

  /** The datagrams are in the socket, and are heard. */
  arrive(...datagrams: Uint8Array[]): void {
    this.link.waiting = datagrams;
    this.routers.drain();
  }

  states(pair: string): string[] {
    return this.said.flatMap((message) =>
      message.type === 'state' && message.pair === pair ? [`${message.state} ${message.reason}`] : [],
    );
  }

  of<Type extends FromWorker['type']>(type: Type): Extract<FromWorker, { type: Type }>[] {
    return this.said.filter(
      (message): message is Extract<FromWorker, { type: Type }> => message.type === type,
    );
  }

  claimByHand(pair: string): string | null {
    const id = this.said.length;
    this.routers.handleMessage({ type: 'claimByHand', pair, id });
    const answer = this.of('claimByHand').find((message) => message.id === id);
    assert.ok(answer, 'every claim is answered');
    return answer?.refused ?? null;
  }
}

test('two pairs with one virtual router ID and different peers do not disturb each other', () => {
  const world = new World();
  world.set('web');
  world.set('db', { peerAddress: '10.0.0.3' });
  world.runUntil(500);
  world.arrive(advertOfPeer(config(), { priority: 200 }));
  world.runUntil(MASTER_DOWN_MS);
  assert.equal(world.states('web'), ['Backup AgentStarted']);
  assert.equal(world.states('db'), ['Backup AgentStarted', 'Master MasterDownTimerExpired']);
  assert.equal(world.of('rejected'), []);
  assert.equal(world.link.sent, [{ destination: '10.0.0.3', virtualRouterID: 51, priority: 100 }]);
});

test('a peer that says another virtual router ID is told of', () => {
  const world = new World();
  world.set('web');
  world.arrive(advertOfPeer(config(), { virtualRouterID: 52 }));
  assert.equal(world.of('rejected'), [
    { type: 'rejected', pair: 'web', cause: 'VirtualRouterIDMismatch', source: '10.0.0.2', count: 1 },
  ]);
});

test('what is counted adds up, pair by pair, and goes with the pair', () => {
  const world = new World();
  world.set('web');
  world.set('db', { virtualRouterID: 52 });
  const forged = advertOfPeer(config(), { peerAddress: '10.0.0.66' });
  const broken = advertOfPeer(config());
  broken[26] = 0;
  world.arrive(advertOfPeer(config()), forged, broken, forged);
  world.runUntil(MASTER_DOWN_MS + 1500);
  world.routers.handleMessage({ type: 'resign', pair: 'db', reason: 'YieldOrdered' });
  assert.equal(world.routers.stats().pairs, {
    web: {
      advertsSent: 2,
      resignationsSent: 0,
      advertsReceived: 1,
      rejected: { SourceNotPeer: 2, ChecksumInvalid: 1 },
      overslept: 0,
    },
    db: { advertsSent: 2, resignationsSent: 1, advertsReceived: 0, rejected: {}, overslept: 0 },
  });
  world.routers.handleMessage({ type: 'remove', pair: 'db' });
  assert.equal(Object.keys(world.routers.stats().pairs), ['web']);
});

test('how late timers were served is counted, the worst one too, and a pause as overslept', () => {
  const world = new World();
  world.set('web');
  world.runUntil(3000);
  world.now = MASTER_DOWN_MS + 0.5;
  world.routers.handleTimeouts();
  world.runUntil(world.now + 1000);
  world.now += 20_000;
  world.routers.handleTimeouts();
  const { lateness, pairs } = world.routers.stats();
  assert.is(lateness.counts.length, lateness.boundsMs.length + 1);
  assert.is(lateness.counts[lateness.boundsMs.indexOf(0.5)], 1, 'the claim');
  assert.is(lateness.counts[0], 2, 'settled and the second advert');
  assert.is(lateness.counts.at(-1), 1, 'the third, after the pause');
  assert.is(lateness.maxMs, 19_000);
  assert.is(lateness.sumMs, 19_000.5);
  assert.is(pairs.web?.overslept, 1);
  assert.is(world.states('web').at(-1), 'Backup Overslept');
});

test('the senders that are heard are the peers of a link, and strangers are counted within a second', () => {
  const world = new World();
  world.set('web');
  world.set('db', { virtualRouterID: 52, peerAddress: '10.0.0.3' });
  assert.equal(world.link.admitted, ['10.0.0.2', '10.0.0.3']);
  world.link.strangers = [advertOfPeer(config(), { peerAddress: '10.0.0.66' })];
  world.runUntil(1_000);
  assert.is(world.routers.stats().pairs.web?.rejected.SourceNotPeer, 1);
  world.routers.handleMessage({ type: 'remove', pair: 'web' });
  assert.equal(world.link.admitted, ['10.0.0.3']);
});

test('a flood is counted in full, and told once a second at most', () => {
  const world = new World();
  world.set('web');
  const forged = advertOfPeer(config(), { peerAddress: '10.0.0.66' });
  for (let second = 0; second < 10; second++) {
    world.arrive(...Array.from({ length: 1000 }, () => forged));
    world.runUntil(1000 * (second + 1));
  }
  world.runUntil(20_000);
  const told = world.of('rejected').map(({ count }) => count);
  assert.equal(told, [1, 999, ...Array.from({ length: 9 }, () => 1000)]);
  assert.is(world.routers.stats().pairs.web?.rejected.SourceNotPeer, 10_000);
  world.arrive(forged);
  assert.is(world.of('rejected').length, 12, 'after a pause at once again');
});

test('a socket that is never empty does not keep the timers waiting', () => {
  const world = new World();
  world.set('web');
  const forged = advertOfPeer(config(), { peerAddress: '10.0.0.66' });
  world.link.waiting = () => forged;
  world.runUntil(MASTER_DOWN_MS + 1000);
  assert.is(world.link.sent.length, 2);
});

test('a Backup counts from when an advert arrived, not from when it was read, and never backwards', () => {
  const world = new World();
  world.set('web');
  world.now = 500;
  world.link.waitedMs = 2;
  world.arrive(advertOfPeer(config(), { priority: 200 }));
  world.now = 498 + MASTER_DOWN_MS;
  world.routers.handleTimeouts();
  assert.is(world.states('web').at(-1), 'Master MasterDownTimerExpired');
  world.arrive(advertOfPeer(config(), { priority: 200 }));
  const [claimed, yielded] = world.of('state').slice(-2);
  assert.is(yielded?.state, 'Backup');
  assert.is(yielded?.atMs, claimed?.atMs, 'not before its own claim');
});

test('no claim on a link that was lost since the last look', () => {
  const world = new World();
  world.set('web');
  world.runUntil(MASTER_DOWN_MS - 5);
  world.link.trouble = { reason: 'SourceAddressMissing', error: 'gone' };
  world.runUntil(MASTER_DOWN_MS);
  assert.equal(world.states('web'), ['Backup AgentStarted', 'Fault SourceAddressMissing']);
  assert.equal(world.link.sent, []);
});

test('many pairs that claim at the same moment look at their link once', () => {
  const world = new World();
  for (let id = 1; id <= 100; id++) world.set(`pair${id}`, { virtualRouterID: id });
  world.runUntil(MASTER_DOWN_MS - 5);
  const before = world.link.looks;
  world.runUntil(MASTER_DOWN_MS);
  assert.is(world.link.sent.length, 100);
  assert.is(world.link.looks, before + 1);
});

test('shortly before a claim its way is warmed, once a turn whatever the number of pairs; at other times never', () => {
  const world = new World();
  for (let id = 1; id <= 3; id++) world.set(`pair${id}`, { virtualRouterID: id });
  world.runUntil(MASTER_DOWN_MS - 5);
  assert.equal(world.link.warmed, []);
  for (const now of [MASTER_DOWN_MS - 4, MASTER_DOWN_MS - 2]) {
    world.now = now;
    world.routers.handleTimeouts();
  }
  assert.equal(world.link.warmed, [config().peerAddress, config().peerAddress]);
  assert.equal(world.link.sent, []);
  world.runUntil(MASTER_DOWN_MS);
  // Before it settles, and before its next adverts.
  for (let timeout = 0; timeout < 5; timeout++) {
    world.now = world.routers.nextTimeout() - 2;
    world.routers.handleTimeouts();
    world.runUntil(world.now + 2);
  }
  assert.is(world.link.warmed.length, 2, 'a Master needs none');
});

test('a look that will be too old for the next claim is repeated at its time, not waited for', () => {
  const world = new World();
  world.set('web');
  world.now = 3;
  world.set('db', { virtualRouterID: 52 });
  world.runUntil(MASTER_DOWN_MS - 2);
  const looks = world.link.looks;
  world.now = MASTER_DOWN_MS - 1; // four milliseconds before the second claim, three after the look for the first
  world.routers.handleTimeouts();
  assert.is(world.link.looks, looks + 1);
  assert.is(world.routers.nextTimeout(), MASTER_DOWN_MS);
});

test('claimed by hand, a pair is Master, unless an advert of the Master is waiting unheard', () => {
  const world = new World();
  world.set('web');
  world.link.waiting = [advertOfPeer(config(), { priority: 200 })];
  assert.match(world.claimByHand('web') ?? '', /^cannot claim web by hand: a live Master is heard; /);
  assert.match(world.claimByHand('nobody') ?? '', /^cannot claim nobody by hand: .* not started/);
  world.set('db', { virtualRouterID: 52 });
  assert.is(world.claimByHand('db'), null);
  assert.equal(world.states('db'), ['Backup AgentStarted', 'Master ClaimedByHand']);
  assert.is(world.claimByHand('db'), null);
  assert.is(world.states('db').length, 2);
});

test('a replaced Master goes on where it was, with an advert at once; too late, it listens', () => {
  const world = new World();
  world.now = 10_000;
  world.set('web', {}, 9_000);
  world.set('db', { virtualRouterID: 52 }, 6_900);
  assert.equal(world.states('web'), ['Master AgentReloaded']);
  assert.equal(world.states('db'), ['Backup AgentStarted']);
  assert.equal(
    world.link.sent.map(({ virtualRouterID }) => virtualRouterID),
    [51],
  );
  world.set('db', { virtualRouterID: 52 }, 9_900);
  assert.equal(world.states('db'), ['Backup AgentStarted'], 'what runs already is not resumed');
});

test('a replaced Master of last resort goes on as one; too late, or without its link, it is in Fault', () => {
  const world = new World();
  world.now = 10_000;
  world.set('web', {}, 9_000, 'ChecksFailed');
  world.set('db', { virtualRouterID: 52 }, 6_900, 'ChecksFailed');
  assert.equal(world.states('web'), ['Master AgentReloaded']);
  assert.equal(world.states('db'), ['Fault AgentStarted']);
  assert.equal(
    world.link.sent.map(({ virtualRouterID, priority }) => ({ virtualRouterID, priority })),
    [{ virtualRouterID: 51, priority: 100 }],
    'no resignation',
  );
  world.link.trouble = { reason: 'SourceAddressMissing', error: 'gone' };
  world.runUntil(12_000);
  world.link.trouble = null;
  world.runUntil(13_500);
  assert.is(world.states('web').at(-1), 'Fault SourceAddressMissing');
  assert.is(world.of('state').at(-1)?.reason, 'SourceAddressMissing', 'its checks fail still: no Backup');
});

test('a link is closed with the last pair that uses it', () => {
  const world = new World();
  world.set('web');
  world.set('db', { virtualRouterID: 52 });
  const { link } = world;
  world.routers.handleMessage({ type: 'remove', pair: 'web' });
  assert.not(link.isClosed);
  world.routers.handleMessage({ type: 'remove', pair: 'db' });
  assert.ok(link.isClosed);
  assert.is(world.routers.nextTimeout(), Number.POSITIVE_INFINITY);
});

test('a peer that is replaced is heard from then on, and the old one is a third host', () => {
  const world = new World();
  world.set('web');
  world.set('web', { peerAddress: '10.0.0.3' });
  world.arrive(advertOfPeer(config(), { peerAddress: '10.0.0.3' }), advertOfPeer(config()));
  assert.equal(
    world.said.slice(1).map((message) => ('cause' in message ? message.cause : message.type)),
    ['peer', 'SourceNotPeer'],
  );
});

test.run();
