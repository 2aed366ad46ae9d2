/** Planned switches: orders that wait for their time, that are too old, that a policy gives; and pairs that are new or were restored. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatTime } from '../runtime/time.ts';
import { endsWell, FAILBACK, servedByNode2 } from './scenes.ts';
import { wallAt } from './time.ts';
import { World } from './world.ts';

const wallMsOf = ({ nowMs }: World): number => wallAt(nowMs);
const failbackOf = ({ pair }: World) => pair.status?.failback;
const newest = ({ pair }: World) => pair.status?.history?.[0];

/** node2 has taken over some time ago, and node1, the preferred node, is its Backup. */
const awayFromPreferred = async (): Promise<World> => {
  const world = await World.converged({ pair: { preferredNode: 'node1' } });
  world.node1.crash();
  await world.until('node2 takes over', () => world.isServedBy('node2'));
  world.node1.boot();
  await world.pass(120_000);
  world.ec2.calls.length = 0;
  return world;
};

test('requestedAt in the future waits for its time', async () => {
  const world = await awayFromPreferred();
  const requestedMs = Math.ceil(wallMsOf(world) / 1000) * 1000 + 30_000;
  const requestedAt = formatTime(requestedMs);
  world.edit({ failback: { ...FAILBACK, requestedAt } });
  await world.pass(20_000);
  assert.is(world.master, 'node2');
  assert.is(world.yields, 0);
  await world.until('the switch to node1', () => world.isServedBy('node1'));
  assert.ok(Date.parse(newest(world)?.time ?? '') >= requestedMs, 'not before its time');
  assert.is(newest(world)?.reason, 'SwitchoverRequested');
  await world.until('consumed', () => failbackOf(world)?.reason === 'SwitchoverCompleted');
  assert.is(failbackOf(world)?.lastHandledRequestedAt, requestedAt);
  assert.equal(world.moves, ['node1'], 'one call');
  await endsWell(world, 'node1');
});

test('requestedAt older than the last one handled is ignored, and says so', async () => {
  const world = await servedByNode2();
  world.edit({ preferredNode: 'node2' });
  const last = failbackOf(world)?.lastHandledRequestedAt ?? '';
  const { yields } = world;
  world.edit({ failback: { ...FAILBACK, requestedAt: formatTime(Date.parse(last) - 1_000) } });
  await world.until('it is ignored', () => failbackOf(world)?.reason === 'OrderIgnored');
  assert.is(failbackOf(world)?.lastHandledRequestedAt, last);
  await world.until('it is told', () => world.told.includes('OrderIgnored'));
  await endsWell(world, 'node2');
  assert.equal(world.moves, []);
  assert.is(world.yields, yields);
});

test('an order whose target is away waits and says so, expires, and is not made up for', async () => {
  const world = await awayFromPreferred();
  const { node1 } = world;
  node1.crash();
  await world.pass(60_000);
  const requestedAt = formatTime(wallMsOf(world));
  world.edit({ failback: { ...FAILBACK, requestedAt, startingDeadlineSeconds: 50 } });
  await world.until('it waits', () => failbackOf(world)?.reason === 'WaitingForTarget');
  await world.until('it expires', () => failbackOf(world)?.reason === 'Expired');
  assert.is(failbackOf(world)?.lastHandledRequestedAt, requestedAt);
  assert.is(failbackOf(world)?.yieldTerm, undefined);
  await world.until('both are told', () =>
    ['WaitingForTarget', 'Expired'].every((reason) => world.told.includes(reason)),
  );
  node1.boot();
  await endsWell(world, 'node2');
  assert.is(failbackOf(world)?.reason, 'Expired');
  assert.equal(world.moves, []);
  assert.is(world.yields, 0);
});

test('T4: a target that died unnoticed: the old master serves on in a new term, and it is told', async () => {
  const world = await servedByNode2();
  const { node1 } = world;
  const term = world.pair.status?.term ?? 0;
  node1.crash();
  world.request('node1');
  await world.until('consumed', () => failbackOf(world)?.reason === 'SwitchoverFailed');
  await world.until('served by node2', () => world.isServedBy('node2'));
  assert.ok((world.pair.status?.term ?? 0) > term, 'it yielded, and was elected again');
  await world.until('it is told', () => world.told.includes('SwitchoverFailed'));
  assert.equal(world.moves, []);
  node1.boot();
  await endsWell(world, 'node2');
});

test('Automatic: the preferred node takes over by itself, a minute after the last switch at the earliest', async () => {
  const world = await World.converged({
    pair: { preferredNode: 'node1', failback: { ...FAILBACK, policy: 'Automatic', delaySeconds: 2 } },
  });
  const { node1 } = world;
  node1.crash();
  await world.until('node2 takes over', () => world.isServedBy('node2'));
  const switchedAtMs = world.nowMs;
  node1.boot();
  await world.until('it waits', () => failbackOf(world)?.reason === 'WaitingForDelay');
  await world.until('the switch to node1', () => world.isServedBy('node1'), 120_000);
  assert.ok(world.nowMs - switchedAtMs >= 60_000, 'within a minute EC2 takes long to move an address back');
  assert.is(newest(world)?.reason, 'AutomaticFailback');
  await world.until('consumed', () => failbackOf(world)?.reason === 'SwitchoverCompleted');
  await world.until('both are told', () =>
    ['AutomaticFailback', 'SwitchoverCompleted'].every((reason) => world.told.includes(reason)),
  );
  assert.equal(world.moves, ['node2', 'node1'], 'one call each');
  await endsWell(world, 'node1');
});

test('a status that was lost is made anew, and orders nothing', async () => {
  const world = await awayFromPreferred();
  const before = world.pair;
  world.loseStatus();
  await world.until('it is made anew', () => failbackOf(world)?.reason === 'Recorded');
  assert.is(failbackOf(world)?.observedPreferredNode, 'node1');
  await world.until('served by node2', () => world.isServedBy('node2'));
  assert.is(world.pair.status?.term, before.status?.term, 'the term is found again');
  const served = before.status?.addresses?.map(({ placedTime, eipPlacedTime, ...address }) => {
    assert.ok(placedTime !== undefined && eipPlacedTime !== undefined);
    return address;
  });
  assert.equal(world.pair.status?.addresses, served, 'what lies on the ENIs of the pair is served on');
  await endsWell(world, 'node2');
  assert.equal(world.moves, []);
  assert.is(world.yields, 0);
});

test('restored into a new cluster, old wishes order nothing', async () => {
  const world = await World.converged();
  world.delete();
  await world.until('gone', () => world.isGone);
  await world.pass(10_000);
  world.node2.kill();
  const requestedAt = formatTime(wallMsOf(world) - 3_600_000);
  world.createPair('web', { preferredNode: 'node2', failback: { ...FAILBACK, requestedAt } });
  await world.until('served by node1', () => world.isServedBy('node1'));
  world.node2.start();
  await endsWell(world, 'node1');
  assert.is(failbackOf(world)?.reason, 'Recorded');
  assert.is(failbackOf(world)?.lastHandledRequestedAt, requestedAt);
  assert.is(failbackOf(world)?.observedPreferredNode, 'node2');
  assert.equal(world.moves, []);
});

test.run();
