/** What a single reading of EC2 is worth. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NODE1, NODE2, VIP } from '../operator/testing/fixtures.ts';
import { World } from './world.ts';

test('one reading that leaves the addresses out moves nothing: a repair waits for a second that agrees', async () => {
  const world = await World.converged();
  const { ec2 } = world;
  ec2.omitted.add(NODE1.networkInterfaceID);
  await world.until('the operator has read it', () =>
    world.condition('AddressesConverged').startsWith('False'),
  );
  ec2.omitted.clear();
  await world.pass(90_000);
  assert.equal(ec2.calls, []);
  assert.is(world.condition('Ready'), 'True Serving');
});

test('T17: the cached view says "already right" as the master changes: a reading before the skip shows that it is not', async () => {
  const world = await World.converged();
  const { node1, node2, ec2 } = world;
  ec2.steal(VIP, NODE2.networkInterfaceID);
  await world.until('the operator has read it there', () =>
    world.condition('AddressesConverged').startsWith('False'),
  );
  node1.end();
  await world.until('node2 is Master', () => node2.isMaster, 1_500);
  ec2.steal(VIP, NODE1.networkInterfaceID);
  await world.until('node2 is elected', () => world.pair.status?.master === 'node2', 500);
  await world.until('node2 holds', () => world.holder === 'node2', 500);
});

test.run();
