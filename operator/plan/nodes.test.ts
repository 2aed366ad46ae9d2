import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NODE1, NODE2, NODE3, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const NEW_ENI = { ...NODE3, name: 'node2' };
const names = (rig: Rig): string[] => rig.instances.map(({ spec }) => spec.nodeName).sort();

test("the standby's instance is replaced at once: the Master is told its new peer and nothing else", () => {
  const rig = Rig.converged();
  const before = rig.instance('node1').spec;
  rig.edit({ nodes: [NODE1, NEW_ENI] });
  rig.settle();
  assert.is(rig.instance('node2').spec.networkInterfaceID, NODE3.networkInterfaceID);
  assert.is(rig.instance('node2').spec.sourceAddress, NODE3.address);
  assert.equal(rig.instance('node1').spec, { ...before, peerAddress: NODE3.address });
  assert.is(rig.condition('Accepted'), 'True Accepted');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.calls.length, 0);
});

for (const [what, change] of [
  ['address', { address: '10.10.10.99' }],
  ['ENI', { networkInterfaceID: NODE3.networkInterfaceID }],
  ['interface', { interface: 'ens6' }],
] as const) {
  test(`another ${what} alone makes the standby another: it is replaced at once`, () => {
    const rig = Rig.converged();
    const changed = { ...NODE2, ...change };
    rig.edit({ nodes: [NODE1, changed] });
    rig.settle();
    const { sourceAddress, networkInterfaceID, interface: name } = rig.instance('node2').spec;
    assert.equal([sourceAddress, networkInterfaceID], [changed.address, changed.networkInterfaceID]);
    assert.is(name, 'interface' in change ? change.interface : undefined);
    assert.is(rig.instance('node1').spec.peerAddress, changed.address);
  });

  test(`another ${what} alone makes the holder another: its change waits`, () => {
    const rig = Rig.converged();
    rig.edit({ nodes: [{ ...NODE1, ...change }, NODE2] });
    rig.settle();
    assert.is(rig.condition('Accepted'), 'True NodeChangeWaits');
    assert.is(rig.instance('node1').spec.sourceAddress, NODE1.address);
    assert.is(rig.instance('node1').spec.networkInterfaceID, NODE1.networkInterfaceID);
    assert.is(rig.instance('node1').spec.interface, undefined);
  });
}

test('a standby under another name: the new instance is made, the old one goes', () => {
  const rig = Rig.converged();
  rig.edit({ nodes: [NODE1, NODE3] });
  rig.settle();
  assert.equal(names(rig), ['node1', 'node3']);
  rig.report('node3', 'Backup', 1);
  rig.settle();
  assert.is(rig.condition('Redundant'), 'True StandbyReady');
  rig.report('node1', 'Init', 1);
  rig.report('node3', 'Master', 2);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE3.networkInterfaceID);
});

test("the holder's change waits until the other node holds, and says so", () => {
  const rig = Rig.converged();
  const changed = { ...NODE3, name: 'node1' };
  rig.edit({ nodes: [changed, NODE2] });
  rig.settle();
  assert.is(rig.instance('node1').spec.networkInterfaceID, NODE1.networkInterfaceID);
  assert.is(rig.instance('node2').spec.peerAddress, NODE1.address);
  assert.is(rig.condition('Accepted'), 'True NodeChangeWaits');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.ok(rig.reasons.includes('NodeChangeWaits'));

  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  rig.report('node1', 'Backup', 1);
  rig.settle();
  assert.is(
    rig.instance('node1').spec.networkInterfaceID,
    NODE1.networkInterfaceID,
    'EC2 still delivers to it',
  );
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID);
  assert.is(rig.instance('node1').spec.networkInterfaceID, NODE3.networkInterfaceID);
  assert.is(rig.instance('node2').spec.peerAddress, NODE3.address);
  assert.is(rig.condition('Accepted'), 'True Accepted');
});

test('both replaced at once: the standby first, the holder when it no longer holds', () => {
  const rig = Rig.converged();
  const other = { name: 'node4', address: '10.10.10.14', networkInterfaceID: 'eni-0dddddddddddddddd' };
  rig.edit({ nodes: [other, NODE3] });
  rig.settle();
  assert.equal(names(rig), ['node1', 'node3']);
  rig.report('node3', 'Backup', 1);
  rig.report('node1', 'Backup', 1);
  rig.report('node3', 'Master', 2);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE3.networkInterfaceID);
  assert.equal(names(rig), ['node3', 'node4']);
});

test('a holder whose ENI is gone and whose peer has taken over is replaced at once', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.cloud.gone.add(NODE1.networkInterfaceID);
  rig.settle();
  rig.edit({ nodes: [NODE3, NODE2] });
  rig.settle();
  assert.equal(names(rig), ['node2', 'node3']);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('an order to a node that does not take part yet waits and says why', () => {
  const rig = Rig.converged();
  rig.edit({ nodes: [NODE3, NODE2], preferredNode: 'node3' });
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForTarget');
  const event = rig.events.find(({ reason }) => reason === 'WaitingForTarget');
  assert.match(event?.message ?? '', /node3 takes part once the other node holds/);
});

test('the ENI of a replaced node is forgotten once the addresses were read elsewhere', () => {
  const rig = Rig.converged();
  rig.edit({ nodes: [NODE1, NODE3] });
  rig.settle();
  rig.pass(30_000);
  rig.read();
  rig.settle();
  assert.equal(rig.pair.status?.addresses?.[0]?.networkInterfaceIDs, [
    NODE1.networkInterfaceID,
    NODE3.networkInterfaceID,
  ]);
});

test('a restart of the operator in the middle of a replacement changes nothing', () => {
  const rig = Rig.converged();
  rig.edit({ nodes: [{ ...NODE3, name: 'node1' }, NODE2] });
  rig.settle();
  rig.restart();
  rig.settle();
  assert.is(rig.instance('node1').spec.networkInterfaceID, NODE1.networkInterfaceID);
  assert.is(rig.calls.length, 0);
});

test('two nodes never share an ENI: a standby that is to take the ENI of the holder waits for it', () => {
  const rig = Rig.converged();
  const swapped = [
    { ...NODE2, name: 'node1' },
    { ...NODE1, name: 'node2' },
  ];
  rig.edit({ nodes: swapped });
  rig.settle();
  assert.is(rig.instance('node1').spec.networkInterfaceID, NODE1.networkInterfaceID);
  assert.is(rig.instance('node2').spec.networkInterfaceID, NODE2.networkInterfaceID);
  const accepted = rig.pair.status?.conditions?.find(({ type }) => type === 'Accepted');
  assert.is(accepted?.reason, 'NodeChangeWaits');
  assert.match(accepted?.message ?? '', /change node1 first, to others/);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a pinned node that is to be replaced: what is advised does not go in a circle', () => {
  const rig = Rig.converged({ pinnedNode: 'node1' });
  rig.edit({ nodes: [{ ...NODE3, name: 'node1' }, NODE2] });
  rig.settle();
  const accepted = rig.pair.status?.conditions?.find(({ type }) => type === 'Accepted');
  assert.match(accepted?.message ?? '', /pin that one, or remove spec\.pinnedNode/);
});

for (const [what, taken] of [
  ['ENI', { networkInterfaceID: NODE1.networkInterfaceID, address: '10.10.10.99' }],
  ['address', { networkInterfaceID: NODE3.networkInterfaceID, address: NODE1.address }],
] as const)
  test(`no node gets the ${what} of one that is in use still, not for the time being either`, () => {
    const rig = Rig.converged();
    rig.edit({
      nodes: [
        { ...NODE3, name: 'node1' },
        { ...NODE2, ...taken },
      ],
    });
    rig.settle();
    const { sourceAddress, networkInterfaceID } = rig.instance('node2').spec;
    assert.equal([sourceAddress, networkInterfaceID], [NODE2.address, NODE2.networkInterfaceID]);
  });

test.run();
