/** Lifetimes: what goes on when leadership, a write or the whole API server is away for a while. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test.run();
