/** Ends of a pair with something in the way: a dead agent, a pause, the wrong order. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FINALIZER } from '../crds/types.ts';
import { VRRPINSTANCES } from '../operator/resources.ts';
import { ALLOCATION, NODE1, VIP } from '../operator/testing/fixtures.ts';
import { World } from './world.ts';

const unassigning = (): Promise<World> => World.converged({ pair: { deletionPolicy: 'Unassign' } });

/** The pair, its instances, and all it had in EC2. */
const assertReleased = ({ api, ec2 }: World): void => {
  assert.equal(api.list(VRRPINSTANCES, {}), [], 'the instances go with it');
  assert.is(ec2.holderOf(VIP), undefined, 'the VIP is on no ENI');
  assert.is(ec2.cloud.elasticIPs.get(ALLOCATION)?.privateIPAddress, undefined, 'the EIP is not associated');
};

test('Unassign with a dead agent: waited for, and not for ever', async () => {
  const world = await unassigning();
  const { node1, node2 } = world;
  node2.crash();
  world.delete();
  const deletedAtMs = world.nowMs;
  await world.until(
    'it is waited for',
    () =>
      world.condition('AddressesConverged') === 'False Deleting' &&
      world.message('AddressesConverged').includes('Waiting for node2'),
    10_000,
  );
  await world.until('gone', () => world.isGone);
  assert.ok(world.nowMs - deletedAtMs >= 30_000, 'as long as it may take an agent to hear of it');
  await world.pass(30_000);
  assertReleased(world);
  assert.not(node1.has(VIP), 'the living one took it off its interface');
});

test('Unassign while paused: held back and said so; Retain frees it', async () => {
  const world = await unassigning();
  world.edit({ paused: true });
  await world.until('paused', () => world.condition('Paused') === 'True PausedBySpec');
  world.delete();
  await world.until(
    'it is held back',
    () => world.condition('AddressesConverged') === 'False PausedBySpec',
    5_000,
  );
  assert.match(world.message('AddressesConverged'), 'spec.paused holds the deletion back');
  assert.is(world.condition('Ready'), 'False Deleting');
  assert.match(world.message('Ready'), 'set spec.deletionPolicy to Retain');
  await world.pass(120_000);
  assert.ok(world.pair.metadata.finalizers?.includes(FINALIZER));
  world.edit({ deletionPolicy: 'Retain' });
  await world.until('gone', () => world.isGone);
  assert.is(world.ec2.holderOf(VIP), NODE1.networkInterfaceID);
  assert.equal(world.moves, [], 'EC2 is left as it is');
});

test('T16: foreground deletion takes the instances first, and still EC2 is released', async () => {
  const world = await unassigning();
  world.delete('Foreground');
  await world.until('gone', () => world.isGone);
  await world.pass(30_000);
  assertReleased(world);
});

test.run();
