/** EC2 delivers where the interface has the VIP, from the first packet on (V5). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MAIN, VIP } from '../operator/testing/fixtures.ts';
import { World } from './world.ts';

const OTHER_VIP = '10.10.10.20';

test('EC2 follows a report that has been taken back meanwhile: the door is open as the VIP arrives', async () => {
  const world = await World.converged();
  const { node1, node2, ec2 } = world;
  ec2.callMs = 9_000;
  world.cut(node1, node2);
  await world.until('the call is under way', () => ec2.calls.length === 1);
  world.heal();
  await world.until('node2 demotes', () => node2.state === 'Backup', 2_000);
  let isOpen = true;
  await world.until('EC2 delivers to node2', () => {
    isOpen &&= node2.has(VIP);
    return ec2.holderOf(VIP) === node2.node.networkInterfaceID;
  });
  assert.ok(isOpen, 'without a moment in between');
  ec2.callMs = 100;
  await world.until('and back to node1', () => world.isServedBy('node1'), 60_000);
  await world.until('it leaves when IMDS says so', () => !node2.has(VIP), 30_000);
  assert.ok(node1.has(VIP));
});

test('the VIP changes while the Master is cut off from the API: the old one stays until the new one has come up', async () => {
  const world = await World.converged({ pair: { deletionPolicy: 'Unassign' } });
  const { node1, ec2 } = world;
  world.cutAPI(node1);
  world.edit({ addresses: [{ ...MAIN, vip: OTHER_VIP }] });
  await world.pass(30_000);
  assert.ok(node1.isMaster);
  assert.is(world.condition('AddressesConverged'), 'False WaitingForAgent');
  assert.is(ec2.holderOf(OTHER_VIP), undefined, 'EC2 delivers nothing to a closed door');
  assert.is(ec2.holderOf(VIP), node1.node.networkInterfaceID, 'and goes on with what there is');
  world.healAPI(node1);
  await world.until(
    'the new one has come up',
    () => ec2.holderOf(OTHER_VIP) === node1.node.networkInterfaceID,
  );
  await world.until('and the old one goes', () => ec2.holderOf(VIP) === undefined && !node1.has(VIP));
  assert.ok(node1.has(OTHER_VIP));
});

test.run();
