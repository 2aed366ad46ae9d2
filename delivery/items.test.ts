/** Where EC2 has the addresses, and where it must have them after calls that are known to have worked. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2Call } from '../ec2/actions.ts';
import type { EC2View } from '../ec2/types.ts';
import { Cloud } from '../operator/testing/cloud.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, VIP } from '../operator/testing/fixtures.ts';
import { EIP, eipItem } from './eip.ts';
import { holderOf, itemsOf, rightness } from './items.ts';
import type { Item, Whereabouts } from './movable.ts';
import { VIP as VIPS, vipItem } from './vip.ts';

const ENI1 = NODE1.networkInterfaceID;
const ENI2 = NODE2.networkInterfaceID;
const vip = vipItem(VIP);
const eip = eipItem(ALLOCATION, VIP);
const bare = eipItem(ALLOCATION, undefined);

const whereabouts = (view: EC2View, item: Item): Whereabouts | undefined =>
  item.movable.whereabouts(view, item);

/** VIP and EIP at node1. */
const atNode1 = (): EC2View => {
  const cloud = new Cloud();
  cloud.put(VIP, ENI1);
  cloud.associate(ALLOCATION, ENI1, VIP);
  return cloud.view(5);
};

test('the items of a list: VIPs first, for an EIP can be associated only with a VIP that is there', () => {
  const addresses = [
    MAIN,
    { name: 'public', eipAllocationID: 'eipalloc-2' },
    { name: 'lan', vip: '10.10.10.20' },
  ];
  assert.equal(itemsOf(addresses), [
    { movable: VIPS, key: VIP, id: VIP },
    { movable: VIPS, key: '10.10.10.20', id: '10.10.10.20' },
    { movable: EIP, key: `${ALLOCATION} with ${VIP}`, id: ALLOCATION, on: VIP },
    { movable: EIP, key: 'eipalloc-2', id: 'eipalloc-2' },
  ]);
});

test('a VIP is right where its ENI has it', () => {
  assert.is(rightness(atNode1(), vip, NODE1), 'Right');
  assert.is(rightness(atNode1(), vip, NODE2), 'Wrong');
});

test('an EIP is right on the ENI, and with the private address, that it belongs to', () => {
  assert.is(rightness(atNode1(), eip, NODE1), 'Right');
  assert.is(rightness(atNode1(), eip, NODE2), 'Wrong');
  assert.is(rightness(atNode1(), bare, NODE1), 'Wrong', 'with the VIP, not with the primary address');
  const cloud = new Cloud();
  cloud.associate(ALLOCATION, ENI1, NODE1.address);
  assert.is(rightness(cloud.view(0), bare, NODE1), 'Right');
  assert.is(rightness(cloud.view(0), eip, NODE1), 'Wrong');
});

test('what was not read is not known, and what does not exist is missing', () => {
  const view = atNode1();
  assert.is(rightness(undefined, vip, NODE1), 'Unknown');
  assert.is(rightness({ ...view, networkInterfaces: {} }, vip, NODE1), 'Unknown');
  assert.is(rightness({ ...view, elasticIPs: {} }, eip, NODE1), 'Unknown');
  assert.is(rightness({ ...view, networkInterfaces: { [ENI1]: null } }, vip, NODE1), 'TargetMissing');
  assert.is(rightness({ ...view, elasticIPs: { [ALLOCATION]: null } }, eip, NODE1), 'Missing');
});

test('its holder is the node that has it, and nobody when neither does', () => {
  assert.is(holderOf(atNode1(), vip, [NODE2, NODE1]), 'node1');
  assert.is(holderOf(atNode1(), vip, [NODE2]), undefined);
  assert.is(holderOf(undefined, vip, [NODE1]), undefined);
});

test('whereabouts: of a VIP its ENI, of an EIP the private address too, and nothing of what is nowhere', () => {
  const moved = VIPS.after(atNode1(), {
    ...{ action: 'AssignPrivateIpAddresses', networkInterfaceID: ENI2, privateIPAddresses: [VIP] },
  });
  const nowhere = new Cloud().view(0);
  assert.equal(whereabouts(atNode1(), vip), { networkInterfaceID: ENI1 });
  assert.equal(whereabouts(moved, vip), { networkInterfaceID: ENI2 });
  assert.equal(whereabouts(nowhere, vip), {});
  assert.equal(whereabouts(atNode1(), eip), { networkInterfaceID: ENI1, privateIPAddress: VIP });
  assert.equal(whereabouts(nowhere, eip), {});
  assert.is(whereabouts({ ...nowhere, elasticIPs: {} }, eip), undefined, 'it was not read');
});

test('the EIPs on a VIP follow it, and nothing else does', () => {
  assert.equal(VIPS.followersOf(atNode1(), [vip]), [`${ALLOCATION} with ${VIP}`]);
  assert.equal(VIPS.followersOf(atNode1(), [vipItem('10.10.10.20')]), []);
  assert.equal(EIP.followersOf(atNode1(), [eip]), []);
});

test('after a move the VIP is on the one ENI and on no other, its EIP has come along, and all else is as it was read', () => {
  const cloud = new Cloud();
  cloud.put(VIP, ENI1);
  cloud.put('10.10.10.20', ENI1);
  cloud.associate(ALLOCATION, ENI1, VIP);
  cloud.elasticIPs.set('eipalloc-2', { networkInterfaceID: ENI1, privateIPAddress: NODE1.address });
  const view: EC2View = {
    ...cloud.view(5),
    networkInterfaces: { ...cloud.view(5).networkInterfaces, gone: null },
  };
  const after = VIPS.after(view, {
    action: 'AssignPrivateIpAddresses',
    networkInterfaceID: ENI2,
    privateIPAddresses: [VIP, '10.10.10.30'],
  });
  const addressesOf = (id: string): string[] | undefined =>
    after.networkInterfaces[id]?.privateIPAddresses.map(({ privateIPAddress }) => privateIPAddress);
  assert.equal(addressesOf(ENI1), [NODE1.address, '10.10.10.20']);
  assert.equal(addressesOf(ENI2), [NODE2.address, VIP, '10.10.10.30']);
  assert.is(after.networkInterfaces.gone, null);
  assert.is(after.elasticIPs[ALLOCATION]?.networkInterfaceID, ENI2);
  assert.is(after.elasticIPs[ALLOCATION]?.privateIPAddress, VIP);
  assert.is(after.elasticIPs['eipalloc-2']?.networkInterfaceID, ENI1);
  assert.is(after.readAtMs, 5, 'a belief is no reading');
  assert.is(rightness(view, vip, NODE1), 'Right', 'what was read stays what it was');
});

test('after an association the EIP is where it was put; one that was not read is not invented', () => {
  const call: EC2Call = {
    ...{ action: 'AssociateAddress', networkInterfaceID: ENI2 },
    ...{ allocationID: ALLOCATION, privateIPAddress: VIP },
  };
  assert.is(rightness(EIP.after(atNode1(), call), eip, NODE2), 'Right');
  const unread = { ...atNode1(), elasticIPs: {} };
  assert.equal(EIP.after(unread, call), unread);
});

test('a release is no reason to believe anything', () => {
  const view = atNode1();
  const [step] = VIPS.release(view, [{ item: vip, networkInterfaceIDs: [ENI1, ENI2] }]);
  assert.equal(step, {
    call: { action: 'UnassignPrivateIpAddresses', networkInterfaceID: ENI1, privateIPAddresses: [VIP] },
    items: [vip],
  });
  assert.is(step && VIPS.after(view, step.call), view);
  const released: EC2Call = {
    ...{ action: 'DisassociateAddress', allocationID: ALLOCATION, associationID: 'eipassoc-1' },
    networkInterfaceID: ENI1,
  };
  assert.is(EIP.after(view, released), view);
});

test('nothing is released from an ENI on which the pair has not put it', () => {
  const view = atNode1();
  const known = view.elasticIPs[ALLOCATION];
  assert.ok(known);
  const read = { ...view, elasticIPs: { [ALLOCATION]: { ...known, associationID: 'eipassoc-1' } } };
  assert.equal(VIPS.release(read, [{ item: vip, networkInterfaceIDs: [ENI2] }]), []);
  assert.equal(EIP.release(read, [{ item: eip, networkInterfaceIDs: [ENI2] }]), []);
  assert.is(EIP.release(read, [{ item: eip, networkInterfaceIDs: [ENI1] }]).length, 1);
});

test('nothing cannot be moved', () => {
  assert.throws(() => EIP.bring([], NODE1), /nothing is to be associated/);
});

test.run();
