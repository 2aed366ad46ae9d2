/**
 * The traces that broke earlier drafts of the rules, on the whole product: each by its number and sentence in TRACES.md. Every
 * invariant is checked after every step besides what a trace asserts itself.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairSpec } from '../crds/types.ts';
import { LEASES, type Lease } from '../kube/lease-types.ts';
import { HAPAIRS, VRRPINSTANCES } from '../operator/resources.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, VIP } from '../operator/testing/fixtures.ts';
import {
  endsWell,
  FAILBACK,
  failedOverToNode2,
  node2ForgetsTheChange,
  servedByNode2,
  slower,
} from './scenes.ts';
import { World } from './world.ts';

const ENI1 = NODE1.networkInterfaceID;
const ENI2 = NODE2.networkInterfaceID;
const OTHER_VIP = '10.10.10.20';
test('T1: n1 Master t1; link n1->n2 cut; n2 claims t2, EC2 moves to n2; n2 crashes. n1 is the sole live Master and has nothing new to report', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.cut(node1, node2);
  await world.until('EC2 moves to node2', () => world.holder === 'node2');
  assert.ok(node1.isMaster);
  node2.crash();
  const crashedAtMs = world.nowMs;
  await world.until('EC2 returns to node1', () => world.isServedBy('node1'), 90_000);
  assert.ok(world.nowMs - crashedAtMs >= 40_000, 'after 40 s without a sign of life, not before');
  assert.ok((world.pair.status?.term ?? 0) > 2, 'in a new term');
  world.heal();
  node2.boot();
  await endsWell(world, 'node1');
});

/** node1's agent is restarted and elected again in term 2, unseen by node2. */
const reelectNode1 = async (world: World): Promise<void> => {
  const { node1, node2 } = world;
  node2.stop();
  node1.kill();
  node1.start();
  await world.until('node1 is elected again', () => world.instance('node1').status?.term === 2);
  node2.resume();
  await world.pass(5_000);
  assert.is(world.master, 'node1');
};

test('T2: n1 restarts, is re-elected t2, crashes. n2, cut off from the API before it saw t2, becomes Master', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.cutAPI(node2);
  await reelectNode1(world);
  node1.crash();
  await world.until('node2 is Master', () => node2.isMaster);
  await world.pass(20_000);
  assert.is(world.holder, 'node1', 'ignorance moves nothing');
  world.healAPI(node2);
  await world.until('EC2 moves to node2', () => world.isServedBy('node2'));
  assert.ok((world.instance('node2').status?.term ?? 0) > 2, 'above t2');
  node1.boot();
  await endsWell(world, 'node2');
});

test('T2: the same with mere watch lag', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  node2.path.watchLagMs = 60_000;
  await reelectNode1(world);
  node1.crash();
  await world.until('EC2 moves to node2', () => world.holder === 'node2', 20_000);
  assert.ok((world.instance('node2').status?.term ?? 0) > 2, 'read by GET, above t2');
  node2.path.watchLagMs = 1;
  node1.boot();
  await endsWell(world, 'node2');
});

test("T2: the same with n2's disk lost", async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  await reelectNode1(world);
  node2.crash();
  node2.loseDisk();
  node2.boot();
  await world.until('node2 is Backup', () => node2.state === 'Backup');
  node2.path.watchLagMs = 30_000;
  node1.crash();
  await world.until('EC2 moves to node2', () => world.holder === 'node2', 20_000);
  assert.ok((world.instance('node2').status?.term ?? 0) > 2, 'above t2');
  node2.path.watchLagMs = 1;
  node1.boot();
  await endsWell(world, 'node2');
});

test("T3: two live Masters each see the other's newer term", async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.part();
  await world.until('two Masters', () => node1.isMaster && node2.isMaster);
  await world.until('node2 holds', () => world.holder === 'node2');
  const term = world.pair.status?.term;
  await world.pass(300_000);
  assert.ok(node1.isMaster && node2.isMaster);
  assert.is(world.pair.status?.term, term, 'a new report counts as sign of life: no out-claiming race');
  assert.is(world.holder, 'node2', 'nothing ping-pongs');
  assert.is(world.condition('SplitBrain'), 'True TwoMasters');
  world.heal();
  await endsWell(world, 'node2');
});

test('T4: order to n1; n2 yields; n1 is dead, its report still says Backup; n2 becomes Master again', async () => {
  const world = await servedByNode2();
  const { node1, node2 } = world;
  const before = world.yields;
  node1.crash();
  world.request('node1');
  await world.until('node2 yields', () => world.yields === before + 1);
  await world.until('node2 is Master again', () => node2.isMaster);
  await world.until(
    'the order is consumed',
    () => world.pair.status?.failback?.reason === 'SwitchoverFailed',
  );
  assert.is(world.pair.status?.failback?.yieldTerm, undefined);
  await world.pass(120_000);
  node1.boot();
  await endsWell(world, 'node2');
  assert.is(world.yields, before + 1, 'no second yield from that order');
});

for (let write = 0; write < 9; write += 1) {
  test(`T5: the operator dies between recording the yieldTerm and writing it, and between writing it and seeing the result: instead of its write ${write + 1}`, async () => {
    const world = await World.converged();
    const { operator } = world;
    operator.dieBeforeWrite = write;
    world.request('node2');
    await world.until('it has died', () => operator.process?.isDead === true, 120_000).catch(() => undefined);
    assert.ok(operator.process?.isDead || write > 6, 'this write is made');
    if (operator.process?.isDead) operator.start();
    operator.dieBeforeWrite = Number.POSITIVE_INFINITY;
    await endsWell(world, 'node2');
    assert.is(world.yields, 1, 'one yield at most');
    assert.is(world.pair.status?.failback?.reason, 'SwitchoverCompleted');
  });
}

const intervalsOf = ({ machines }: World): (number | undefined)[] =>
  machines.map(({ elections }) => elections.get('prod/web')?.config.advertisementIntervalMs);

test('T6: interval or password changes; n1 has loaded it, n2 is cut off from the API', async () => {
  const world = await World.converged();
  const { node2 } = world;
  world.cutAPI(node2);
  world.edit(slower(2_000));
  await world.pass(120_000);
  assert.is(world.master, 'node1');
  assert.equal(intervalsOf(world), [1_000, 1_000], 'nobody sends what n2 does not accept');
  world.healAPI(node2);
  await world.until(
    'both send the new interval',
    () => intervalsOf(world).every((ms) => ms === 2_000),
    120_000,
  );
  await endsWell(world, 'node1');
});

test('T6: n2 restarts from old disk, cut off from the API, in the middle of the change', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.cutAPI(node2);
  world.edit(slower(2_000));
  await world.pass(10_000);
  node2.crash();
  node2.boot();
  await world.pass(60_000);
  assert.is(world.master, 'node1');
  assert.is(node2.state, 'Backup');
  world.healAPI(node2);
  await world.until(
    'both send the new interval',
    () => intervalsOf(world).every((ms) => ms === 2_000),
    120_000,
  );
  node1.crash();
  await world.until('the new one is served', () => world.isServedBy('node2'));
  node1.boot();
  await endsWell(world, 'node2');
});

const secret = (key: string) => ({ authentication: { secretRef: { name: 'hapair-vrrp', key } } });

test('T6: a password rotates by naming another key, and n2 cannot read it yet', async () => {
  const world = new World({
    pair: {
      vrrp: { version: 2, virtualRouterID: 10, advertisementIntervalMilliseconds: 1000, ...secret('old') },
    },
  });
  world.createSecret('hapair-vrrp', { old: 'before', new: 'after' });
  world.operator.start();
  for (const machine of world.machines) machine.start();
  await world.until('served by node1', () => world.isServedBy('node1'));
  await world.pass(45_000);
  world.cutAPI(world.node2);
  world.edit({
    vrrp: { version: 2, virtualRouterID: 10, advertisementIntervalMilliseconds: 1000, ...secret('new') },
  });
  await world.pass(60_000);
  assert.is(world.master, 'node1');
  assert.is(world.node2.state, 'Backup');
  world.healAPI(world.node2);
  const passwords = () =>
    world.machines.map(({ elections }) =>
      Buffer.from(elections.get('prod/web')?.config.password ?? []).toString(),
    );
  await world.until(
    'both send the new password',
    () => passwords().every((word) => word === 'after'),
    120_000,
  );
  await endsWell(world, 'node1');
});

for (const outage of [false, true]) {
  const also = outage ? "; also during an outage of EC2's API" : '';
  test(`T7: n1 holds, crashes, restarts as Backup while EC2 still delivers to it; n2 then dies${also}`, async () => {
    const world = await World.converged();
    const { node1, node2, ec2 } = world;
    if (outage) ec2.isAway = true;
    else ec2.callMs = 9_000;
    node1.crash();
    await world.until('node2 is Master', () => node2.isMaster);
    node1.boot();
    await world.until('node1 is Backup', () => node1.state === 'Backup');
    await world.until('node1 has the VIP on its interface', () => node1.has(VIP), 3_000);
    assert.is(ec2.holderOf(VIP), ENI1, 'EC2 still delivers to node1');
    await world.pass(1_000);
    node2.crash();
    await world.pass(10_000);
    ec2.isAway = false;
    ec2.callMs = 100;
    await world.until('served by node1', () => world.isServedBy('node1'), 180_000);
    node2.boot();
    await endsWell(world, 'node1');
  });
}

test('T8: flapping pair under hold-down; the incumbent really crashes', async () => {
  const world = await failedOverToNode2();
  const { node1, node2 } = world;
  world.cut(node2, node1);
  await world.until('node1 claims too', () => node1.isMaster && node2.isMaster);
  await world.until(
    'the move is held back',
    () => world.condition('AddressesConverged') === 'False HeldDown',
  );
  await world.pass(20_000);
  assert.is(world.holder, 'node2', 'held while the incumbent proves itself alive');
  node2.crash();
  await world.until('the move is not held back', () => world.holder === 'node1', 5_000);
  world.heal();
  node2.boot();
  await endsWell(world, 'node1');
});

test('T9: n1 crashes; n2 takes over; n1 restarts from disk with its old high priority, before the API answers', async () => {
  const world = await World.converged();
  const { node1 } = world;
  node1.crash();
  await world.until('node2 takes over', () => world.isServedBy('node2'));
  world.ec2.calls.length = 0;
  world.cutAPI(node1);
  node1.boot();
  await world.pass(60_000);
  assert.is(world.master, 'node2', 'no preemption');
  world.healAPI(node1);
  await endsWell(world, 'node2');
  assert.equal(world.moves, [], 'EC2 does not move back');
});

test("T10: n2 (priority 200) loses link and API; n1 takes over and gets 200; the link heals before n2's API does", async () => {
  const world = await servedByNode2();
  const { node1, node2 } = world;
  world.part();
  world.cutAPI(node2);
  await world.until('EC2 follows node1', () => world.pair.status?.holder === 'node1');
  await world.pass(45_000);
  world.heal();
  await world.until('one Master', () => world.master === 'node1', 5_000);
  await world.pass(60_000);
  assert.is(world.master, 'node1', 'n2 advertised 100 by then');
  assert.is(world.holder, 'node1');
  world.healAPI(node2);
  await endsWell(world, 'node1');
  assert.not(world.moves.includes('node2'));
  assert.is(node1.failures + node2.failures, 0);
});

test('T10: the link heals sooner: EC2 does not return to n2 on its stale report', async () => {
  const world = await servedByNode2();
  const { node2 } = world;
  world.part();
  world.cutAPI(node2);
  await world.until('EC2 follows node1', () => world.pair.status?.holder === 'node1');
  world.heal();
  await world.pass(120_000);
  assert.not(world.moves.includes('node2'));
  world.healAPI(node2);
  await world.until('one Master serves', () => world.isServedBy(world.master ?? ''), 60_000);
  await endsWell(world, world.master ?? '');
});

test('T11: a call times out, the read-back still shows the old holder, the effect lands later', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  ec2.fates.push({ effectAfterMs: 12_000, answer: 'Lost' });
  node1.crash();
  await world.until('served by node2', () => world.isServedBy('node2'));
  assert.equal(
    world.moves,
    ['node2', 'node2'],
    'a second call, after the first was given up and EC2 was read',
  );
  await world.pass(30_000);
  assert.is(world.holder, 'node2');
  node1.boot();
  await endsWell(world, 'node2');
});

test('T11: the effect lands after a further switch: the extra move is repaired', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  ec2.fates.push({ effectAfterMs: 100_000, answer: 'Lost' });
  node1.crash();
  await world.until('served by node2', () => world.isServedBy('node2'));
  node1.boot();
  await world.pass(45_000);
  world.request('node1');
  await world.until('served by node1', () => world.isServedBy('node1'));
  await world.until('the late effect', () => ec2.holderOf(VIP) === ENI2, 100_000);
  await world.until('repaired', () => world.holder === 'node1', 60_000);
  assert.is(world.moves.at(-1), 'node1');
  await endsWell(world, 'node1');
});

test('T12: a paused leader wakes after its lease ran out, and a call it had begun lands late', async () => {
  const world = await World.converged();
  const { node1, ec2, operator, standby } = world;
  standby.start();
  await world.pass(5_000);
  ec2.fates.push({ effectAfterMs: 90_000, answer: 'Ok' });
  node1.crash();
  await world.until('the leader begins a call', () => ec2.calls.length === 1);
  operator.stop();
  await world.until('the standby leads and moves', () => world.isServedBy('node2'), 60_000);
  node1.boot();
  await world.pass(45_000);
  world.request('node1');
  await world.until('served by node1', () => world.isServedBy('node1'));
  await world.until('the late effect', () => ec2.holderOf(VIP) === ENI2, 60_000);
  operator.resume();
  await world.until('the new leader repairs', () => world.holder === 'node1', 60_000);
  assert.is(ec2.calls.filter(({ by }) => by === 'operator#1').length, 1, 'the old leader starts no new call');
  await endsWell(world, 'node1');
});

test('T13: a restarted operator lists from an older API cache that shows n1 t1', async () => {
  const world = await World.converged();
  const { node1, operator, api } = world;
  const { revision } = api;
  node1.crash();
  await world.until('served by node2', () => world.isServedBy('node2'));
  operator.kill();
  world.ec2.calls.length = 0;
  operator.path.staleList = { plural: VRRPINSTANCES.plural, revision };
  operator.path.watchLagMs = 30_000;
  operator.start();
  await world.pass(40_000);
  assert.equal(world.moves, [], 'never below status.term');
  operator.path.staleList = undefined;
  operator.path.watchLagMs = 1;
  node1.boot();
  await endsWell(world, 'node2');
  assert.equal(world.moves, []);
});

test('T13: with the list as it is made, of the newest state, a lagging watch changes nothing', async () => {
  const world = await World.converged();
  const { node1, operator } = world;
  operator.kill();
  node1.crash();
  await world.until('node2 is Master', () => world.instance('node2').status?.state === 'Master');
  world.ec2.calls.length = 0;
  operator.path.watchLagMs = 30_000;
  operator.start();
  await world.until('EC2 follows', () => world.holder === 'node2', 25_000);
  assert.equal(world.moves, ['node2']);
  operator.path.watchLagMs = 1;
  node1.boot();
  await endsWell(world, 'node2');
});

const changedVIP = { addresses: [{ ...MAIN, vip: OTHER_VIP }] };

test('T14: the VIP in spec changes from .10 to .20 in the middle of a failover', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { node1, ec2 } = world;
  node1.crash();
  await world.until('the call is under way', () => ec2.calls.length === 1);
  world.edit(changedVIP);
  let cameBeforeGoing = false;
  await world.until('.10 is released', () => {
    cameBeforeGoing ||= ec2.holderOf(OTHER_VIP) === ENI2 && ec2.holderOf(VIP) !== undefined;
    return ec2.holderOf(VIP) === undefined;
  });
  assert.ok(cameBeforeGoing, '.20 comes up before .10 goes');
  assert.is(ec2.cloud.elasticIPs.get(ALLOCATION)?.privateIPAddress, OTHER_VIP);
  node1.boot();
  await world.until('rest', () => world.condition('Ready') === 'True Serving');
  await world.pass(150_000);
  assert.is(ec2.holderOf(OTHER_VIP), ENI2);
});

test('T14: the status is lost, and .10 is left alone', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { ec2, operator } = world;
  operator.kill();
  world.edit(changedVIP);
  world.loseStatus();
  operator.start();
  await world.until('.20 is served', () => ec2.holderOf(OTHER_VIP) === ENI1, 60_000);
  await world.until('Ready', () => world.condition('Ready') === 'True Serving');
  await world.pass(200_000);
  assert.is(ec2.holderOf(VIP), ENI1, 'only recorded addresses are released');
});

const RIVALS: Record<string, Partial<HAPairSpec>> = {
  'one VIP': { addresses: [{ name: 'main', vip: VIP }], vrrp: { ...slower(1000).vrrp, virtualRouterID: 11 } },
  'one EIP': {
    addresses: [{ name: 'main', vip: OTHER_VIP, eipAllocationID: ALLOCATION }],
    vrrp: { ...slower(1000).vrrp, virtualRouterID: 11 },
  },
  'one VRID on the same nodes': { addresses: [{ name: 'main', vip: OTHER_VIP }] },
};
for (const [what, change] of Object.entries(RIVALS)) {
  test(`T15: two HAPairs name ${what}`, async () => {
    const world = await World.converged();
    world.createPair('rival', change);
    await world.pass(30_000);
    const rival = world.pairs.find(({ metadata }) => metadata.name === 'rival');
    const accepted = rival?.status?.conditions?.find(({ type }) => type === 'Accepted');
    assert.is(`${accepted?.status} ${accepted?.reason}`, 'False AddressConflict', 'the other says so');
    assert.equal(world.moves, [], 'the other writes nothing');
    assert.is(world.api.list(VRRPINSTANCES, {}).length, 2);
    world.api.delete(HAPAIRS, 'prod/rival');
    await endsWell(world, 'node1');
  });
}

test('T16: foreground deletion takes the VRRPInstances first', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  world.delete('Foreground');
  await world.until('gone', () => world.isGone, 60_000);
  await world.pass(30_000);
  assert.is(world.api.list(VRRPINSTANCES, {}).length, 0, 'never made anew');
  assert.is(ec2.holderOf(VIP), ENI1, 'Retain');
  assert.ok(node1.has(VIP), 'and the interface as it is: nothing black-holes');
});

test('T16: foreground deletion with Unassign', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { node1, node2, ec2 } = world;
  world.delete('Foreground');
  await world.until('gone', () => world.isGone, 60_000);
  assert.is(ec2.holderOf(VIP), undefined);
  await world.until('off the interfaces', () => !node1.has(VIP) && !node2.has(VIP), 30_000);
});

test('T16: foreground deletion with Unassign, and an agent that never heard of onDelete finds its instance gone', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { node1, ec2 } = world;
  world.cutAPI(node1);
  world.delete('Foreground');
  await world.until('gone', () => world.isGone, 60_000);
  assert.is(ec2.holderOf(VIP), undefined);
  assert.ok(node1.has(VIP), 'for all it knows it still serves');
  // Its watch would tell the order on its way to the end; a new one begins after it.
  node1.kill();
  node1.start();
  world.healAPI(node1);
  await world.until('off its interface', () => !node1.has(VIP), 60_000);
});

test('T16: foreground deletion with Retain, and an agent that never heard of it: nothing leaves', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  world.cutAPI(node1);
  world.delete('Foreground');
  await world.until('gone', () => world.isGone, 60_000);
  world.healAPI(node1);
  await world.pass(120_000);
  assert.is(ec2.holderOf(VIP), ENI1);
  assert.ok(node1.has(VIP));
});

test('T16: an agent is away', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { node1, ec2 } = world;
  node1.crash();
  world.delete();
  const deletedAtMs = world.nowMs;
  await world.until('gone', () => world.isGone, 60_000);
  assert.ok(world.nowMs - deletedAtMs < 45_000, 'the agents are waited for no longer than 30 s');
  assert.is(ec2.holderOf(VIP), undefined);
  node1.boot();
  await world.pass(30_000);
  assert.not(node1.has(VIP));
});

test('T16: Unassign while paused', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { ec2 } = world;
  world.edit({ paused: true });
  world.delete();
  await world.pass(200_000);
  assert.not(world.isGone, 'paused blocks it');
  assert.is(world.condition('AddressesConverged'), 'False PausedBySpec', 'visibly');
  assert.is(ec2.holderOf(VIP), ENI1);
  world.edit({ deletionPolicy: 'Retain' });
  await world.until('Retain frees it', () => world.isGone);
  assert.is(ec2.holderOf(VIP), ENI1);
});

test('T16: Unassign without permission', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { ec2 } = world;
  const denied = { code: 'UnauthorizedOperation', message: 'not allowed', httpStatus: 403 };
  for (let count = 0; count < 100; count += 1) ec2.fates.push({ answer: denied });
  world.delete();
  await world.pass(120_000);
  assert.not(world.isGone);
  assert.is(world.condition('AddressesConverged'), 'False EC2Unauthorized', 'it says why not');
  ec2.fates.length = 0;
  await world.until('gone', () => world.isGone, 90_000);
  assert.is(ec2.holderOf(VIP), undefined);
});

test('T17: a late call of a dead operator moved the VIP; the cached view says "already right"; now the master changes', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  ec2.steal(VIP, ENI2);
  await world.until('the operator has read it there', () =>
    world.condition('AddressesConverged').startsWith('False'),
  );
  ec2.steal(VIP, ENI1);
  node1.end();
  await world.until('node2 is master', () => world.pair.status?.master === 'node2', 1_500);
  await world.until('it reads before it skips', () => world.holder === 'node2', 5_000);
  await world.until('the agent has ended', () => !node1.has(VIP), 60_000);
  node1.kill();
  node1.start();
  await endsWell(world, 'node2');
});

test("T18: n2 hears nothing for a moment, claims, and n1's advert arrives 3 ms later", async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.cut(node1, node2);
  await world.until('node2 claims', () => node2.isMaster);
  world.heal();
  world.link(node1, node2).delayMs = 2.5;
  await world.until('node2 is Backup again', () => node2.state === 'Backup', 10);
  await world.pass(30_000);
  assert.is(
    world.logged('node2', ({ message, fields }) => message === 'report sent' && fields.state === 'Master')
      .length,
    0,
  );
  assert.equal(world.moves, [], 'no EC2 call');
  await endsWell(world, 'node1');
});

test("T19: an agent's pair worker hangs while its main thread renews the Lease", async () => {
  const world = await World.converged();
  const { node1 } = world;
  const renewedAt = (): string | undefined =>
    (world.api.get(LEASES, 'hapair-system/hapair-agent-node1') as Lease).spec?.renewTime;
  node1.thread?.stop();
  const last = renewedAt();
  await world.until('node2 takes over', () => world.isServedBy('node2'));
  await world.until('the agent ends', () => node1.failures === 1, 20_000);
  assert.is(renewedAt(), last, 'the Lease was not renewed while the worker did not answer');
  await endsWell(world, 'node2');
  assert.is.not(renewedAt(), last);
});

test('T20: VIP and EIP are found on different nodes; equal terms', async () => {
  const world = new World();
  const { node1, node2, ec2 } = world;
  ec2.steal(VIP, ENI2);
  ec2.cloud.associate(ALLOCATION, ENI1, NODE1.address);
  world.part();
  for (const machine of world.machines) machine.path.delayMs = 500;
  world.operator.start();
  for (const machine of world.machines) machine.start();
  await world.until('both agents have reported', () =>
    ['node1', 'node2'].every(
      (node) => world.api.find(VRRPINSTANCES, `prod/web.${node}`)?.status !== undefined,
    ),
  );
  assert.is(world.pair.status?.holder, undefined, 'holder is absent');
  const isMaster = (node: string) => world.instance(node).status?.state === 'Master';
  await world.until('both report Master', () => isMaster('node1') && isMaster('node2'));
  assert.equal(
    [node1, node2].map(({ name }) => world.instance(name).status?.term),
    [1, 1],
    'equal terms',
  );
  await world.pass(20_000);
  assert.is(world.pair.status?.master, 'node2', "EC2's holder of the first VIP");
  assert.is(world.pair.status?.holder, 'node2');
  assert.equal(
    ec2.calls.map(({ call }) => call.action),
    ['AssociateAddress'],
    'one convergence',
  );
  for (const machine of world.machines) machine.path.delayMs = 1;
  world.heal();
  await endsWell(world, 'node2');
});

test('T21: n1 Master t1; one-way cut; n2 claims and reports t2, EC2 moves; the link heals before priorities change, n2 demotes and reports Backup t2', async () => {
  const world = await World.converged();
  const { node1, node2, ec2 } = world;
  ec2.readMs = 3_000;
  world.cut(node1, node2);
  await world.until('EC2 moves', () => world.holder === 'node2');
  world.heal();
  await world.until('node2 demotes', () => node2.state === 'Backup', 2_000);
  await world.until(
    'node1 takes a new term at once',
    () => (world.instance('node1').status?.term ?? 0) > 2,
    1_000,
  );
  assert.ok(node1.isMaster);
  ec2.readMs = 40;
  await world.until('EC2 returns to node1', () => world.isServedBy('node1'), 10_000);
  await endsWell(world, 'node1');
});

/** node1 has crashed while node2's health check fails, and node2 serves as the last resort. */
const servedAtLast = async (): Promise<World> => {
  const world = await World.converged();
  const { node1, node2 } = world;
  node2.isHealthy = false;
  await world.until('node2 is in Fault', () => node2.state === 'Fault');
  node1.crash();
  const crashedAtMs = world.nowMs;
  await world.until('EC2 moves to node2', () => world.pair.status?.holder === 'node2', 90_000);
  assert.ok(world.nowMs - crashedAtMs >= 40_000, 'after 40 s, not before');
  const healthy = world.instance('node2').status?.conditions?.find(({ type }) => type === 'Healthy');
  assert.is(`${healthy?.status} ${healthy?.reason}`, 'False ChecksFailed', 'unhealthy and shown so');
  return world;
};

test("T22: n1 crashes while n2's health check fails; n2 resigns to a healthy n1 that returns", async () => {
  const world = await servedAtLast();
  world.node1.boot();
  await world.until('EC2 returns to node1', () => world.isServedBy('node1'), 60_000);
  assert.is(world.node2.state, 'Fault');
  world.node2.isHealthy = true;
  await endsWell(world, 'node1');
});

test("T22: n1 crashes while n2's health check fails; its recovered check makes it an ordinary Master", async () => {
  const world = await servedAtLast();
  world.node2.isHealthy = true;
  await world.pass(10_000);
  world.node1.boot();
  await endsWell(world, 'node2');
});

test('health fails open: both checks fail, and the addresses stay; the first node that is well again serves', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  node1.isHealthy = false;
  node2.isHealthy = false;
  await world.until('both are in Fault', () => node1.state === 'Fault' && node2.state === 'Fault');
  await world.until('it is said', () => world.condition('Ready') === 'False NoMaster');
  await world.pass(120_000);
  assert.is(world.holder, 'node1');
  assert.ok(node1.has(VIP), 'on the interface too');
  assert.equal(world.ec2.calls, [], 'no EC2 write');
  node2.isHealthy = true;
  await world.until('EC2 moves to node2', () => world.isServedBy('node2'));
  node1.isHealthy = true;
  await endsWell(world, 'node2');
});

test("a restart of the standby's agent makes no Fault of a check that fails, until the check has failed again", async () => {
  const world = await World.converged();
  const { node2 } = world;
  node2.kill();
  node2.isHealthy = false;
  node2.start();
  await world.until('node2 is Backup', () => node2.state === 'Backup');
  await world.until('node2 is in Fault', () => node2.state === 'Fault');
  assert.is(world.master, 'node1');
  node2.isHealthy = true;
  await endsWell(world, 'node1');
});

test('an edit of the checks moves nothing, and mends what was wrong in them at once', async () => {
  const world = await World.converged();
  const [check] = world.pair.spec.healthChecks ?? [];
  if (check === undefined) throw new Error('the pair has no check');
  for (const change of [
    { periodSeconds: 3 },
    { httpGet: { port: 81, path: '/', scheme: 'HTTP' as const } },
  ]) {
    world.edit({ healthChecks: [{ ...check, ...change }] });
    await world.pass(30_000);
    assert.is(world.master, 'node1');
  }
  assert.equal(world.ec2.calls, []);
  assert.is(world.pair.status?.term, 1);
  await endsWell(world, 'node1');
});

for (const cut of ['node1', 'node2'] as const) {
  test(`T23: pin n2, then remove the pin while ${cut} is cut from the API`, async () => {
    const world = await World.converged();
    world.edit({ pinnedNode: 'node2' });
    await world.until('served by node2', () => world.isServedBy('node2'));
    world.cutAPI(world[cut]);
    world.unset('pinnedNode');
    await world.pass(120_000);
    assert.is(world.master, 'node2', 'one Master');
    world.healAPI(world[cut]);
    await endsWell(world, 'node2');
  });

  test(`T23: pin n2, then move the pin to n1 while ${cut} is cut from the API`, async () => {
    const world = await World.converged();
    world.edit({ pinnedNode: 'node2' });
    await world.until('served by node2', () => world.isServedBy('node2'));
    await world.pass(60_000);
    world.cutAPI(world[cut]);
    world.edit({ pinnedNode: 'node1' });
    await world.pass(120_000);
    assert.ok(
      world.machines.filter(({ isMaster }) => isMaster).length <= 1,
      'no pair of Masters on healthy links',
    );
    world.healAPI(world[cut]);
    await endsWell(world, 'node1');
  });
}

test('T24: pin n2 while n1 is Master; then n2 crashes', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.edit({ pinnedNode: 'node2' });
  await world.until('node1 resigned at the pin', () => node1.state === 'Backup', 5_000);
  await world.until('served by node2', () => world.isServedBy('node2'));
  node2.crash();
  await world.until('it is said loudly', () => world.condition('Ready') === 'False PinnedNodeDead', 120_000);
  await world.pass(120_000);
  assert.is(world.holder, 'node2', 'the addresses stay with n2');
  assert.is(node1.state, 'Backup');
  node2.boot();
  await endsWell(world, 'node2');
});

test('T25: order pending, then a pin', async () => {
  const world = await World.converged();
  const { node2 } = world;
  node2.crash();
  await world.pass(60_000);
  world.request('node2');
  await world.until('it waits', () => world.pair.status?.failback?.reason === 'WaitingForTarget');
  world.edit({ pinnedNode: 'node1' });
  await world.until('consumed', () => world.pair.status?.failback?.reason === 'Pinned');
  node2.boot();
  await world.pass(60_000);
  world.unset('pinnedNode');
  await endsWell(world, 'node1');
  assert.is(world.yields, 0, 'no yield later');
});

test('T25: order recorded, then a pin', async () => {
  const world = await World.converged();
  const { node1 } = world;
  world.cutAPI(node1);
  world.request('node2');
  await world.until('it is recorded', () => (world.pair.status?.failback?.yieldTerm ?? 0) > 0);
  await world.pass(1_000);
  world.edit({ pinnedNode: 'node1' });
  await world.until('consumed', () => world.pair.status?.failback?.reason === 'Pinned');
  await world.until('and taken back', () => world.instance('node1').spec.yieldTerm === 0);
  world.healAPI(node1);
  await world.pass(60_000);
  world.unset('pinnedNode');
  await endsWell(world, 'node1');
  assert.is(world.yields, 0, 'no yield later');
});

test('T25: order recorded, then its deadline passes', async () => {
  const world = await World.converged({ pair: { failback: { ...FAILBACK, startingDeadlineSeconds: 60 } } });
  const { node1 } = world;
  world.cutAPI(node1);
  world.request('node2');
  await world.until('it is recorded', () => (world.pair.status?.failback?.yieldTerm ?? 0) > 0);
  await world.until('consumed', () => world.pair.status?.failback?.reason === 'Expired', 90_000);
  assert.is(world.pair.status?.failback?.yieldTerm, undefined);
  await world.pass(10_000);
  world.healAPI(node1);
  await endsWell(world, 'node1');
  assert.is(world.yields, 0, 'no yield hours later');
});

for (let delayMs = 0; delayMs <= 10; delayMs += 1) {
  test(`T26: n1 acknowledges "accept both", crashes, restarts from the disk of before: ${delayMs} ms after it was told`, async () => {
    const world = await World.converged();
    const { node1 } = world;
    world.edit(slower(2_000));
    await node2ForgetsTheChange(world, delayMs);
    await world.until('the change ends', () => intervalsOf(world).every((ms) => ms === 2_000), 120_000);
    assert.is(node1.failures, 0);
    await endsWell(world, 'node1');
  });
}

for (const waitMs of [0, 3, 5, 8, 12, 20, 40]) {
  test(`T26: A->B->C: a second change while the first is half done, ${waitMs} ms after its beginning`, async () => {
    const world = await World.converged();
    const { node2 } = world;
    world.edit(slower(2_000));
    await world.pass(waitMs);
    world.cutAPI(node2);
    world.edit(slower(500));
    await world.pass(60_000);
    assert.is(world.master, 'node1', 'no second Master');
    world.healAPI(node2);
    await world.until('C is in force', () => intervalsOf(world).every((ms) => ms === 500), 180_000);
    await endsWell(world, 'node1');
  });
}

test("the watch lags behind the operator's own status by more than half a minute: what it wrote itself is not forgotten", async () => {
  const world = await World.converged();
  const { node1, ec2, operator } = world;
  ec2.callMs = 3_000;
  node1.crash();
  await world.until('the call is under way', () => ec2.calls.length === 1);
  operator.path.watchLagMs = 38_000;
  await world.until('node2 serves', () => world.isServedBy('node2'));
  // S7 is checked meanwhile: Ready became True once, at one time.
  await world.pass(37_000);
  operator.path.watchLagMs = 1;
  node1.boot();
  await endsWell(world, 'node2');
});

test("T58: n1, the Master, is cut off from the API; the VIP in spec changes from .10 to .20, and the operator waits for n1's agent; then pin n2", async () => {
  const world = await World.converged();
  const { node1, node2, ec2 } = world;
  world.cutAPI(node1);
  world.edit(changedVIP);
  await world.until('the operator waits', () => world.condition('Ready') === 'False WaitingForAgent');
  world.edit({ pinnedNode: 'node2' });
  let wasUp = false;
  await world.until('.20 arrives', () => {
    wasUp ||= node2.has(OTHER_VIP);
    return ec2.holderOf(OTHER_VIP) !== undefined;
  });
  assert.ok(wasUp, '.20 comes up on n2 first');
  const places = ec2.calls.flatMap(({ call }) =>
    call.action === 'AssignPrivateIpAddresses' && call.privateIPAddresses.includes(OTHER_VIP)
      ? [call.networkInterfaceID]
      : [],
  );
  assert.equal(places, [ENI2], 'and goes there alone');
  world.healAPI(node1);
  await world.until('rest', () => world.condition('Redundant') === 'True StandbyReady', 120_000);
  await world.pass(60_000);
  await world.staysQuiet();
});

test('T58: n2 is cut off from the API; the VIP in spec changes from .10 to .20, and n2 is pinned', async () => {
  const world = await World.converged();
  const { node2, ec2 } = world;
  world.cutAPI(node2);
  world.edit({ ...changedVIP, pinnedNode: 'node2' });
  await world.pass(60_000);
  assert.is(ec2.holderOf(OTHER_VIP), undefined, 'a pin waits as well for what the pair never had');
  world.healAPI(node2);
  await world.until('.20 arrives', () => ec2.holderOf(OTHER_VIP) === ENI2, 60_000);
  assert.ok(node2.has(OTHER_VIP));
});

test("T60: n2's report of a claim is stored and its answer lost; the claim ends unseen; n2 claims again before a watch has told it", async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.edit({ paused: true });
  await world.pass(5_000);
  world.cut(node1, node2);
  await world.until('the claim is stored', () => world.instance('node2').status?.state === 'Master');
  world.cutAPI(node2);
  world.heal();
  await world.until('node2 gives way', () => node2.state === 'Backup', 5_000);
  await world.pass(15_000);
  node2.path.watchLagMs = 30_000;
  world.cut(node1, node2);
  await world.pass(3_000);
  const timeOf = () =>
    world.instance('node2').status?.conditions?.find(({ type }) => type === 'PeerHeard')?.lastTransitionTime;
  const before = timeOf();
  world.healAPI(node2);
  await world.until('it claims again', () => world.instance('node2').status?.term === 3, 5_000);
  assert.is(timeOf(), before, 'Unknown before, Unknown now');
  node2.path.watchLagMs = 1;
  world.heal();
  world.edit({ paused: false });
  await world.until('one Master', () => world.master !== undefined, 10_000);
  await endsWell(world, world.master ?? 'nobody');
});

test('O23: an agent that is asked to end takes its time, and no other of its node is started beside it', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.edit({ paused: true });
  world.cutAPI(node1);
  node1.end();
  await world.until('node2 takes over', () => node2.isMaster, 5_000);
  await world.pass(15_000);
  assert.is(node1.failures, 0, 'its worker has ended, and that is no failure');
  assert.throws(() => node1.start(), 'cannot be started');
  await world.until('it has ended', () => !node1.lives, 30_000);
  assert.not(node1.has(VIP), 'its addresses have left');
  world.healAPI(node1);
  world.edit({ paused: false });
  node1.start();
  await endsWell(world, 'node2');
});

test('T61: n1 resigns for the pin on n2, which n2 has loaded; the pin is taken back while the resignation is on its way', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  node1.path.watchLagMs = 50;
  world.edit({ pinnedNode: 'node2' });
  await world.until('node1 resigns', () => node1.state === 'Backup', 1_000);
  node1.path.watchLagMs = 1;
  world.unset('pinnedNode');
  // V3 is checked meanwhile: the priority that goes with the pin goes, the skew of the resignation stays.
  await world.until('node2 is Master', () => node2.isMaster, 300);
  await endsWell(world, 'node2');
});

test('T61: n2 is told Never as it hears n1 resign, and is free again a moment later', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  world.cutAPI(node2);
  world.edit({ pinnedNode: 'node1' });
  await world.pass(5_000);
  world.healAPI(node2);
  await world.until(
    'node2 has loaded Never',
    () => node2.elections.get('prod/web')?.config.claim === 'Never',
    1_000,
  );
  node2.path.watchLagMs = 2_000;
  world.edit({ pinnedNode: 'node2' });
  await world.until('node1 resigns', () => node1.state === 'Backup', 1_000);
  await world.until(
    'node2 has loaded Always',
    () => node2.elections.get('prod/web')?.config.claim === 'Always',
    3_000,
  );
  node2.path.watchLagMs = 1;
  await world.until('node2 is Master', () => node2.isMaster, 300);
  await endsWell(world, 'node2');
});

const HIGHEST = Number.MAX_SAFE_INTEGER;

/** Somebody with a node's identity writes this term into its report. */
const forge = (world: World, node: string, term: number): void => {
  const { status, ...instance } = world.instance(node);
  const forged = { ...instance, status: { ...status, state: 'Master', term } };
  world.api.apply(VRRPINSTANCES, forged as never, { fieldManager: 'forger', subresource: 'status' });
};

/** What is on a node's disk says the highest term there is. */
const poison = (machine: World['node1']): void =>
  machine.restoreDisk(
    new Map([...machine.copyDisk()].map(([key, record]) => [key, { ...record, highestTerm: HIGHEST }])),
  );

test("T62: n1's identity reports the highest term there is; n1 crashes", async () => {
  const world = await World.converged();
  const { node1 } = world;
  const term = world.instance('node1').status?.term ?? 0;
  assert.throws(() => forge(world, 'node1', HIGHEST), 'Invalid', 'refused');
  assert.throws(() => forge(world, 'node1', term + 1_000_001), 'Invalid', 'refused');
  await world.pass(1_000);
  node1.crash();
  await world.until('node2 is elected and followed', () => world.isServedBy('node2'));
  assert.is(world.pair.status?.term, term + 1);
  node1.boot();
  await endsWell(world, 'node2');
});

test("T62: the highest term that is let in is reported in n1's name; n1 crashes", async () => {
  const world = await World.converged();
  const { node1 } = world;
  const term = (world.instance('node1').status?.term ?? 0) + 1_000_000;
  forge(world, 'node1', term);
  node1.crash();
  await world.until('node2 is elected and followed', () => world.isServedBy('node2'));
  assert.is(world.pair.status?.term, term + 1);
  node1.boot();
  await endsWell(world, 'node2');
});

for (const which of ['n1', 'n2', 'both'] as const) {
  test(`T62: the disk of ${which} says the highest term there is; the pair is served on, and made anew`, async () => {
    const world = await World.converged();
    const { node1, node2 } = world;
    const machines = which === 'both' ? [node1, node2] : [which === 'n1' ? node1 : node2];
    for (const machine of machines) {
      machine.kill();
      poison(machine);
      machine.start();
      await world.pass(10_000);
    }
    await world.until('one Master', () => world.master !== undefined);
    for (const survivor of ['node1', 'node2'] as const) {
      const victim = survivor === 'node1' ? node2 : node1;
      victim.crash();
      await world.until(`${survivor} is followed`, () => world.isServedBy(survivor), 120_000);
      victim.boot();
      await world.until(
        'the standby is ready',
        () => world.condition('Redundant').startsWith('True'),
        120_000,
      );
      await world.pass(120_000);
    }
    assert.ok((world.pair.status?.term ?? HIGHEST) < 10, 'counted on from what is stored');
    await endsWell(world, world.master ?? '');

    const anew = new World();
    for (const [index, machine] of anew.machines.entries()) {
      const before = world.machines[index];
      if (before !== undefined && machines.includes(before)) machine.restoreDisk(before.copyDisk());
      if (machines.some(({ name }) => name === machine.name)) poison(machine);
      machine.start();
    }
    anew.operator.start();
    await anew.until('served', () => anew.isServedBy(anew.master ?? ''), 120_000);
    assert.ok((anew.pair.status?.term ?? HIGHEST) < 10, 'a term that can grow');
    await endsWell(anew, anew.master ?? '');
  });
}

for (const [awayMs, everyMs] of [
  [200, 5_000],
  [2_200, 7_300],
] as const) {
  test(`T63: n1's own address is away for ${awayMs} ms again and again: less than master-down less one interval`, async () => {
    const world = await World.converged();
    const { node1 } = world;
    const term = world.pair.status?.term;
    for (let blip = 0; blip < 8; blip += 1) {
      // At another moment between two adverts each time.
      await world.pass(everyMs + 130 * blip);
      const before = [...node1.addresses];
      node1.setAddresses(before.filter((address) => address !== NODE1.address));
      await world.pass(awayMs);
      node1.setAddresses(before);
      world.disturb('its own address was away');
      assert.ok(node1.isMaster);
    }
    await world.pass(10_000);
    assert.is(world.master, 'node1');
    assert.is(world.instance('node1').status?.term, term, 'in its term');
    assert.equal(world.moves, [], 'and EC2 is not called');
    await endsWell(world, 'node1');
  });
}

test("T63: n1's own address stays away: its Backup takes over after master-down", async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  node1.setAddresses(node1.addresses.filter((address) => address !== NODE1.address));
  await world.until('node2 is Master', () => node2.isMaster, 3_700);
  assert.is(node1.state, 'Fault', 'before that');
  await world.until('EC2 follows', () => world.isServedBy('node2'));
  node1.setAddresses([...node1.addresses, NODE1.address]);
  world.disturb('its own address is back');
  await endsWell(world, 'node2');
});

test.run();
