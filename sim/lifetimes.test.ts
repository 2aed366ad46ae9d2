/** Lifetimes: what goes on when leadership, a write or the whole API server is away for a while. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FINALIZER } from '../crds/types.ts';
import type { Operator } from './operator.ts';
import { World } from './world.ts';

/** A pair at rest, and a second replica that stands by. */
const withStandby = async (): Promise<World> => {
  const world = await World.converged();
  world.standby.start();
  await world.pass(5_000);
  return world;
};

const replicasOf = ({ operator, standby }: World): readonly Operator[] => [operator, standby];

const leadersOf = (world: World): Operator[] => replicasOf(world).filter((replica) => replica.isLeader());

/** Nobody reaches the API server. */
const cutAll = (world: World): void => {
  for (const who of [...world.machines, ...replicasOf(world)]) world.cutAPI(who);
};

const healAll = (world: World): void => {
  for (const who of [...world.machines, ...replicasOf(world)]) world.healAPI(who);
};

test('O18: after ten outages of the API server, one replica leads within 15 s of its return, and no process has ended', async () => {
  const world = await withStandby();
  const processes = replicasOf(world).map(({ process }) => process);
  for (let outage = 0; outage < 10; outage++) {
    cutAll(world);
    await world.pass(20_000);
    assert.equal(leadersOf(world), [], 'the lease is over');
    healAll(world);
    await world.until('one replica leads', () => leadersOf(world).length === 1, 15_000);
    await world.pass(20_000 - 15_000);
  }
  assert.equal(
    replicasOf(world).map(({ process, runs }) => [process?.name, runs]),
    processes.map((process) => [process?.name, true]),
  );
  await world.pass(45_000);
  world.node1.crash();
  await world.until('served by node2', () => world.isServedBy('node2'), 10_000);
});

test('O18: who leads again waits for the call that EC2 has not answered since it led before (S5)', async () => {
  const world = await World.converged();
  const { ec2, node1, operator } = world;
  ec2.callMs = 30_000;
  ec2.fates.push({ answer: 'Ok', effectAfterMs: 40_000 });
  node1.crash();
  await world.until('a call is begun', () => ec2.calls.length === 1);
  const begunAtMs = world.nowMs;
  world.cutAPI(operator);
  await world.until('leadership is lost', () => !operator.isLeader(), 11_000);
  world.healAPI(operator);
  await world.until('it leads again', () => operator.isLeader(), 5_000);
  await world.pass(begunAtMs + 29_900 - world.nowMs);
  assert.is(ec2.calls.length, 1, 'EC2 has not answered yet');
  await world.until('served by node2', () => world.isServedBy('node2'));
});

/** Every write takes so long, whoever makes it. */
const slowWrites = (world: World, writeMs: number): void => {
  for (const { path } of [...world.machines, ...replicasOf(world)]) path.writeMs = writeMs;
};

test('O8: while every write takes five seconds, one operator leads without a break, and a failover is followed within three write times', async () => {
  const world = await withStandby();
  slowWrites(world, 5_000);
  for (let second = 0; second < 120; second++) {
    await world.pass(1_000);
    assert.equal(leadersOf(world), [world.operator]);
  }
  world.node1.crash();
  await world.until('node2 claims', () => world.master === 'node2');
  await world.until('EC2 delivers to node2', () => world.holder === 'node2', 15_000);
  assert.equal(leadersOf(world), [world.operator]);
  assert.equal(
    world.logged('operator', ({ message }) => message.includes('leadership lost')),
    [],
  );
  assert.ok(world.logged('operator', ({ fields: { reason } }) => reason === 'SlowWrites').length > 0);
  slowWrites(world, 0);
});

test('O8: while no write of the Lease comes in time, the pair says within two minutes that nobody follows; then all is as it was', async () => {
  const world = await withStandby();
  slowWrites(world, 10_000);
  await world.until('it says so', () => world.condition('Ready') === 'Unknown NotFollowed', 120_000);
  assert.equal(leadersOf(world), []);
  assert.is(world.pair.status?.reason, 'NotFollowed');
  assert.is(world.pair.status?.holder, 'node1', 'the rest of the status stands');
  assert.equal(world.moves, [], 'EC2 is the leader’s');
  slowWrites(world, 0);
  await world.until('served by node1', () => world.isServedBy('node1'));
  await world.pass(30_000);
  await world.staysQuiet();
});

test('O8: a replica without the API server says nothing of the pair while another leads', async () => {
  const world = await withStandby();
  world.cutAPI(world.standby);
  await world.pass(180_000);
  assert.is(world.condition('Ready'), 'True Serving');
  world.healAPI(world.standby);
  await world.pass(60_000);
  assert.is(world.condition('Ready'), 'True Serving');
});

test('O15: with Retain, a HAPair is deleted at once although no operator runs; with Unassign it waits for one', async () => {
  for (const [deletionPolicy, isGone] of [
    ['Retain', true],
    ['Unassign', false],
  ] as const) {
    const world = await World.converged({ pair: { deletionPolicy } });
    world.operator.kill();
    world.delete();
    assert.is(world.isGone, isGone, deletionPolicy);
    await world.pass(30_000);
    assert.is(world.holder, 'node1', 'EC2 is left as it is');
    assert.is(world.isGone, isGone, deletionPolicy);
  }
});

test('O15: the finalizer comes with Unassign, and goes with Retain', async () => {
  const world = await World.converged();
  const finalizers = (): readonly string[] => world.pair.metadata.finalizers ?? [];
  assert.equal(finalizers(), []);
  world.edit({ deletionPolicy: 'Unassign' });
  await world.until('it is held', () => finalizers().includes(FINALIZER), 5_000);
  world.edit({ deletionPolicy: 'Retain' });
  await world.until('it is free', () => finalizers().length === 0, 5_000);
  await world.pass(5_000);
  await world.staysQuiet();
});

test.run();
