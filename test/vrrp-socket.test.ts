/** VRRP workers with real raw packets, in network namespaces of their own and without root. */
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openVRRPSocket, type VRRPSocket } from '../agent/worker/socket.ts';
import { ADDRESSES, ip, type NodeName, PAIR, runInWorld, type SetConfig, TestNode } from './vrrp-world.ts';

const inWorld = suite('VRRP workers on real packets');
let nodes: TestNode[] = [];
const start = (name: NodeName): TestNode => {
  const node = new TestNode(name);
  nodes.push(node);
  return node;
};
/** a is Master, b its Backup that hears it. */
const startPair = async (changes: Partial<SetConfig> = {}): Promise<[TestNode, TestNode]> => {
  const [a, b] = [start('a'), start('b')];
  a.set({ priority: 200, ...changes });
  await a.until({ type: 'settled' });
  b.set(changes);
  await b.until({ type: 'peer', heard: true });
  return [a, b];
};
inWorld.after.each(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  nodes = [];
});

inWorld('started together, two workers elect one Master, the other hears it', async () => {
  const [a, b] = [start('a'), start('b')];
  a.set({ priority: 200 });
  b.set({ priority: 100 });
  const first = await Promise.race([a, b].map((node) => node.until({ type: 'settled' }).then(() => node)));
  const other = first === a ? b : a;
  await other.until({ type: 'peer', heard: true });
  assert.is(first.states().at(-1), 'Master MasterDownTimerExpired');
  assert.match(other.states().at(-1) ?? '', 'Backup');
});

inWorld('the route of an advert is warmed up without sending anything', () => {
  ip('link set lo up');
  const socket = openVRRPSocket('127.0.0.1', 'lo');
  try {
    assert.ok(socket.warmRoute('127.0.0.1'));
    assert.is(socket.receive(), null);
    assert.equal(socket.send('127.0.0.1', Uint8Array.of(1, 2, 3)), { ok: true });
    assert.equal(socket.receive()?.subarray(-3), Uint8Array.of(1, 2, 3));
  } finally {
    socket.close();
  }
});

/** An advert's length of `first`. */
const messageOf = (first: number): Uint8Array => Uint8Array.of(first, ...Array.from({ length: 11 }, () => 0));
const [OWN, PEER, STRANGER] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
/** Three sockets on one network, closed at the end. */
const amongStrangers = (run: (sockets: Record<'own' | 'peer' | 'stranger', VRRPSocket>) => void): void => {
  ip('link set lo up');
  const [own, peer, stranger] = [OWN, PEER, STRANGER].map((address) => openVRRPSocket(address, 'lo'));
  if (own === undefined || peer === undefined || stranger === undefined) throw new Error('no sockets');
  try {
    run({ own, peer, stranger });
  } finally {
    for (const socket of [own, peer, stranger]) socket.close();
  }
};
const firstBytes = (receive: () => Uint8Array | null): (number | undefined)[] => {
  const found: (number | undefined)[] = [];
  for (let datagram = receive(); datagram !== null; datagram = receive()) found.push(datagram.at(-12));
  return found;
};

inWorld('a flood of a third host takes no room from an advert of the peer, and is counted in part', () =>
  amongStrangers(({ own, peer, stranger }) => {
    own.admit([PEER]);
    for (let packet = 0; packet < 10_000; packet++) stranger.send(OWN, messageOf(3));
    peer.send(OWN, messageOf(2));
    assert.equal(firstBytes(own.receive), [2]);
    const counted = firstBytes(own.receiveStranger);
    assert.ok(counted.length > 10 && counted.length < 1_000, `${counted.length} of 10,000`);
    assert.equal([...new Set(counted)], [3]);
    stranger.send(OWN, messageOf(3));
    assert.equal(firstBytes(own.receiveStranger), [3], 'a single one is counted for certain');
  }),
);

inWorld('who is admitted can change, and no advert is heard twice', () =>
  amongStrangers(({ own, peer }) => {
    peer.send(OWN, messageOf(1));
    own.admit([STRANGER]);
    peer.send(OWN, messageOf(2));
    own.admit([PEER]);
    peer.send(OWN, messageOf(3));
    assert.equal(firstBytes(own.receive), [1, 3]);
    assert.equal(firstBytes(own.receiveStranger), []);
    const many = Array.from({ length: 2_000 }, (_, index) => `10.9.${index >> 8}.${index & 255}`);
    own.admit([...many, PEER]);
    peer.send(OWN, messageOf(4));
    assert.equal(firstBytes(own.receive), [4], 'however many they are');
  }),
);

inWorld('a crashed Master is replaced when the master-down timer expires, once', async () => {
  const [a, b] = await startPair();
  await a.kill();
  await b.until({ type: 'settled' });
  assert.equal(b.states(), ['Backup AgentStarted', 'Master MasterDownTimerExpired']);
  assert.is(b.events.filter(({ type }) => type === 'settled').length, 1);
});

inWorld('V3: a Master that resigns is replaced within the skew, and stays Backup', async () => {
  const [a, b] = await startPair();
  a.send({ type: 'resign', pair: PAIR, reason: 'YieldOrdered' });
  await b.until({ type: 'settled' });
  const heard = a.events.length;
  await a.until({ type: 'peer', heard: true }, Math.max(0, heard - 1));
  assert.equal(b.states(), ['Backup AgentStarted', 'Master MasterResigned']);
  assert.equal(a.states().slice(-2), ['Master MasterDownTimerExpired', 'Backup YieldOrdered']);
});

inWorld('a stopped agent resigns all its pairs and ends', async () => {
  const [a, b] = await startPair();
  assert.is(await a.end(), 0);
  assert.equal(a.states().slice(-1), ['Init AgentStopping']);
  await b.until({ type: 'state', reason: 'MasterResigned' });
});

inWorld('a removed pair resigns; the worker goes on', async () => {
  const [a, b] = await startPair();
  a.send({ type: 'remove', pair: PAIR });
  await b.until({ type: 'state', reason: 'MasterResigned' });
  assert.equal(a.states().slice(-1), ['Init Unconfigured']);
  a.send({ type: 'ping', id: 1 });
  await a.until({ type: 'pong' });
});

inWorld('Fault resigns, and ends as Backup', async () => {
  const [a, b] = await startPair();
  a.send({ type: 'fault', pair: PAIR, fault: 'ChecksFailed' });
  await b.until({ type: 'state', reason: 'MasterResigned' });
  a.send({ type: 'fault', pair: PAIR, fault: null });
  await a.until({ type: 'state', reason: 'ChecksPassed' });
  assert.equal(a.states().slice(-2), ['Fault ChecksFailed', 'Backup ChecksPassed']);
});

inWorld('adverts of a third host change nothing, whatever their priority', async () => {
  const [a, b] = await startPair();
  const [sinceA, sinceB] = [a.events.length, b.events.length];
  const c = start('c');
  c.set({ priority: 254 });
  await a.until({ type: 'rejected', cause: 'SourceNotPeer', source: ADDRESSES.c }, sinceA);
  // The count comes a second later: ten adverts, three master-down intervals.
  await a.until({ type: 'rejected', cause: 'SourceNotPeer' }, a.events.length);
  assert.equal(a.states(sinceA), []);
  assert.equal(b.states(sinceB), []);
});

inWorld('a Master whose link goes down is in Fault until it is back', async () => {
  const [a, b] = await startPair();
  ip('-n a link set eth0 down');
  await a.until({ type: 'state', state: 'Fault', reason: 'SourceAddressMissing' });
  await b.until({ type: 'settled' });
  const since = a.events.length;
  ip('-n a link set eth0 up');
  await a.until({ type: 'socket', error: null }, since);
  await a.until({ type: 'state', state: 'Backup' }, since);
  await a.until({ type: 'peer', heard: true }, since);
});

inWorld('no claim without the own address, and one when it is there', async () => {
  ip(`-n a addr del ${ADDRESSES.a}/24 dev eth0`);
  const a = start('a');
  a.set({});
  await a.until({ type: 'state', state: 'Fault', reason: 'SourceAddressMissing' });
  ip(`-n a addr add ${ADDRESSES.a}/24 dev eth0`);
  await a.until({ type: 'settled' });
  assert.equal(a.states(), [
    'Fault SourceAddressMissing',
    'Backup InstanceConfigured',
    'Master MasterDownTimerExpired',
  ]);
});

inWorld('v2: a wrong password is rejected, the right one is taken over without leaving Backup', async () => {
  const v2 = { version: 2, advertisementIntervalMs: 1000 } as const;
  const [a, b] = [start('a'), start('b')];
  a.set({ ...v2, priority: 200, password: 's3cr3t42' });
  await a.until({ type: 'settled' });
  b.set({ ...v2, password: 'wrong' });
  await b.until({ type: 'rejected', cause: 'PasswordMismatch', source: ADDRESSES.a });
  b.set({ ...v2, password: 's3cr3t42' });
  await b.until({ type: 'peer', heard: true, priority: 200 });
  assert.equal(b.states(), ['Backup AgentStarted']);
  a.send({ type: 'resign', pair: PAIR, reason: 'YieldOrdered' });
  await b.until({ type: 'state', reason: 'MasterResigned' });
});

/** Resolves once the workers' loops have answered: whatever was sent to them before is in force. */
const inForce = async (...all: TestNode[]): Promise<void> => {
  await Promise.all(all.map((node) => node.ping()));
};

/** Lets the Master advertise `count` more times, as its own worker tells. */
const adverts = async (master: TestNode, count: number): Promise<void> => {
  const seen = new Set<number>();
  while (seen.size <= count) {
    const { lastAdvertAtMs } = await master.ping();
    seen.add(lastAdvertAtMs[PAIR] ?? Number.NaN);
    await delay(20);
  }
};

type Parameters = NonNullable<SetConfig['accept']>[number];
/** From one set to another in three steps (DESIGN.md, "Changed VRRP parameters go in three steps"), one end after the other, with adverts between. */
const changeInSteps = async (version: 2 | 3, from: Parameters, to: Parameters): Promise<void> => {
  const [a, b] = await startPair({ version, ...from, accept: [from] });
  const [sinceA, sinceB] = [a.events.length, b.events.length];
  const steps: Partial<SetConfig>[] = [
    { ...from, accept: [from, to] },
    { ...to, accept: [from, to] },
    { ...to, accept: [to] },
  ];
  for (const step of steps) {
    b.set({ version, ...step });
    await inForce(b);
    await adverts(a, 1);
    a.set({ version, ...step, priority: 200 });
    await inForce(a);
    await adverts(a, 1);
  }
  await adverts(a, 2);
  const told = (node: TestNode, since: number) =>
    node.events.slice(since).filter(({ type }) => type !== 'pong');
  assert.equal(told(a, sinceA), []);
  assert.equal(told(b, sinceB), [], 'no advert rejected, none missed for a master-down interval, no claim');
  a.send({ type: 'resign', pair: PAIR, reason: 'YieldOrdered' });
  await b.until({ type: 'state', reason: 'MasterResigned' });
};

inWorld('T6: a longer interval and another password in three steps, without a second Master', () =>
  changeInSteps(
    2,
    { advertisementIntervalMs: 1000, checksum: 'Pseudoheader', password: 's3cret' },
    { advertisementIntervalMs: 2000, checksum: 'Pseudoheader', password: 'fresh' },
  ),
);

inWorld('T6: a shorter interval and another checksum in three steps, without a second Master', () =>
  changeInSteps(
    3,
    { advertisementIntervalMs: 2000, checksum: 'Pseudoheader' },
    { advertisementIntervalMs: 500, checksum: 'MessageOnly' },
  ),
);

inWorld('T24: pinned elsewhere, a Master resigns, and the pinned node replaces it', async () => {
  const [a, b] = await startPair();
  b.set({ claim: 'Always', priority: 200 });
  a.set({ claim: 'Never', priority: 100 });
  await b.until({ type: 'settled' });
  await a.until({ type: 'state', state: 'Backup', reason: 'PinnedBySpec' });
  const since = a.events.length;
  await b.kill();
  await a.until({ type: 'peer', heard: false }, since);
  assert.equal(a.states().slice(-1), ['Backup PinnedBySpec']);
});

inWorld('a claim by hand is refused while a live Master is heard, and carried out when none is', async () => {
  const [a, b] = await startPair({ advertisementIntervalMs: 1000 });
  b.send({ type: 'claimByHand', pair: PAIR, id: 7 });
  const refusal = await b.until({ type: 'claimByHand', id: 7 });
  assert.match(refusal.type === 'claimByHand' ? (refusal.refused ?? '') : '', 'a live Master is heard');
  a.send({ type: 'fault', pair: PAIR, fault: 'ChecksFailed' });
  await b.until({ type: 'settled' });
  assert.equal(b.states(), ['Backup AgentStarted', 'Master MasterResigned']);
  b.send({ type: 'resign', pair: PAIR, reason: 'YieldOrdered' });
  await b.until({ type: 'state', reason: 'YieldOrdered' });
  b.send({ type: 'claimByHand', pair: PAIR, id: 8 });
  await b.until({ type: 'claimByHand', id: 8, refused: null });
  assert.is(b.states().at(-1), 'Master ClaimedByHand');
});

inWorld('a Master whose process is replaced in time goes on, and its Backup notices nothing', async () => {
  const [a, b] = await startPair({ advertisementIntervalMs: 2000 });
  const since = b.events.length;
  const { lastAdvertAtMs } = await a.ping();
  await a.kill();
  const successor = start('a');
  successor.set({ priority: 200, advertisementIntervalMs: 2000 }, PAIR, lastAdvertAtMs[PAIR]);
  await successor.until({ type: 'settled' });
  assert.equal(successor.states(), ['Master AgentReloaded']);
  await adverts(successor, 1);
  assert.equal(b.states(since), []);
});

inWorld('T22: the last resort claims out of Fault, and resigns into it', async () => {
  const [a, b] = await startPair();
  b.send({ type: 'fault', pair: PAIR, fault: 'ChecksFailed' });
  await b.until({ type: 'state', state: 'Fault' });
  b.send({ type: 'lastResort', pair: PAIR });
  await inForce(b);
  assert.is(b.states().at(-1), 'Fault ChecksFailed', 'a Master is heard');
  const since = b.events.length;
  await a.kill();
  await b.until({ type: 'peer', heard: false }, since);
  b.send({ type: 'lastResort', pair: PAIR });
  await b.until({ type: 'settled' });
  b.send({ type: 'resign', pair: PAIR, reason: 'ChecksFailed' });
  await b.until({ type: 'state', state: 'Fault' }, b.events.length);
  assert.equal(b.states(since), ['Master LastResort', 'Fault ChecksFailed']);
});

inWorld(
  'replaced at the other end: another peer address leaves a Master Master, and is the one that counts',
  async () => {
    const [a, b] = await startPair();
    await b.kill();
    const since = a.events.length;
    a.set({ priority: 200, peerAddress: ADDRESSES.c });
    const c = start('c');
    c.set({});
    await c.until({ type: 'peer', heard: true, priority: 200 });
    assert.equal(a.states(since), []);
    assert.equal(c.states(), ['Backup AgentStarted']);
  },
);

inWorld(
  'moved to another address of its own, a Master resigns at the old one and is Backup at the new one',
  async () => {
    const [a, b] = await startPair();
    ip('-n a addr add 10.77.0.21/24 dev eth0');
    a.send({ type: 'remove', pair: PAIR });
    a.set({ priority: 200, sourceAddress: '10.77.0.21' });
    await b.until({ type: 'state', reason: 'MasterResigned' });
    b.set({ peerAddress: '10.77.0.21' });
    await a.until({ type: 'peer', heard: true });
    assert.equal(a.states().slice(-2), ['Init Unconfigured', 'Backup AgentStarted']);
    assert.equal(b.states().slice(-1), ['Master MasterResigned']);
  },
);

runInWorld('VRRP workers behave on real packets, in a world of their own', import.meta.url, inWorld);
