import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const claims = (rig: Rig): string[] =>
  ['node1', 'node2'].map((node) => `${rig.instance(node).spec.claim} ${rig.instance(node).spec.priority}`);

/** A converged pair on node1 that was pinned to node2 and has moved there. */
const pinned = (): Rig => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  rig.acknowledge('node1');
  rig.acknowledge('node2');
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Master', 2);
  rig.settle();
  return rig;
};

test('a pin is told to both agents, and the addresses follow once its node has had its chance to put them up', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  assert.equal(claims(rig), ['Never 100', 'Always 200']);
  assert.is(rig.calls.length, 0, 'no door is closed for want of a moment');
  rig.acknowledge('node2');
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID, 'whatever the election says');
  assert.is(rig.condition('Pinned'), 'True PinnedBySpec');
  assert.is(rig.condition('Ready'), 'False NoMaster');
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.pair.status?.history?.[0]?.reason, 'PinnedBySpec');
  assert.is(rig.calls.length, 1);
});

test('a pinned node that never answers gets the addresses all the same: that is what a pin means', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  const askedAtMs = rig.memory.authority.pin?.sinceMs ?? 0;
  rig.nowMs = askedAtMs + 4_999;
  assert.is(rig.step().call, undefined);
  rig.nowMs = askedAtMs + 5_000;
  assert.ok(rig.step().call);
  rig.answer();
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID);
});

test('T24: pinned node dead: the addresses stay, loudly, and it is never unpinned by itself', () => {
  const rig = pinned();
  rig.pass(41_000);
  rig.alive('node1');
  rig.settle();
  assert.is(rig.condition('Ready'), 'False PinnedNodeDead');
  assert.ok(rig.events.some(({ type, reason }) => type === 'Warning' && reason === 'PinnedNodeDead'));
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID);
  rig.report('node1', 'Master', 3);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID, 'even another Master moves nothing');
  assert.is(rig.calls.length, 1);
});

test('T23: an unpinned pair goes on with whoever is master, and nothing moves', () => {
  const rig = pinned();
  rig.unpin();
  rig.settle();
  assert.equal(claims(rig), ['Normal 100', 'Normal 200']);
  assert.is(rig.condition('Pinned'), 'False NotPinned');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.calls.length, 1);
});

test('T23: a pin that moves takes the addresses along', () => {
  const rig = pinned();
  rig.edit({ pinnedNode: 'node1' });
  rig.settle();
  assert.equal(claims(rig), ['Always 200', 'Never 100']);
  rig.acknowledge('node1');
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
});

for (const [title, prepare] of [
  ['pending', (rig: Rig) => rig.report('node2', 'Fault', 1)],
  ['recorded', () => undefined],
] as const) {
  test(`T25: an order that is ${title} is consumed by a pin, and nobody yields hours later`, () => {
    const rig = Rig.converged();
    prepare(rig);
    rig.edit({ preferredNode: 'node2' });
    rig.settle();
    rig.edit({ pinnedNode: 'node1' });
    rig.settle();
    assert.equal(rig.pair.status?.failback, { observedPreferredNode: 'node2', reason: 'Pinned' });
    assert.is(rig.instance('node1').spec.yieldTerm, 0);
    rig.pass(7_200_000);
    rig.report('node2', 'Backup', 1);
    rig.unpin();
    rig.settle();
    assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
    assert.is(rig.instance('node1').spec.yieldTerm, 0);
  });
}

test('paused holds a pin back and says so', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2', paused: true });
  rig.settle();
  assert.equal(claims(rig), ['Normal 200', 'Normal 100']);
  assert.is(rig.condition('Pinned'), 'False PinWithheld');
  rig.pass(10_000);
  rig.settle();
  assert.is(rig.calls.length, 0);
});

test('drift away from a pinned node is repaired', () => {
  const rig = pinned();
  rig.cloud.put(VIP, NODE1.networkInterfaceID);
  rig.read();
  rig.settle();
  rig.pass(2_000);
  rig.read();
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID);
  assert.ok(rig.reasons.includes('DriftRepaired'));
});

test('while a pinned node is not Master, Ready says what it reports instead, and who still reports Master', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  const messageOf = (): string =>
    rig.pair.status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '';
  assert.is(messageOf(), 'node2 is pinned and reports Backup, not Master yet. node1 still reports Master.');
  rig.report('node1', 'Backup', 1);
  rig.settle();
  assert.is(messageOf(), 'node2 is pinned and reports Backup, not Master yet.');
  rig.instances = rig.instances.map(({ status, ...each }) =>
    each.spec.nodeName === 'node1' && status ? { ...each, status } : each,
  );
  rig.settle();
  assert.is(messageOf(), 'node2 is pinned and reports nothing, not Master yet.');
});

test('a VIP that was dropped under a pin stays until the pinned node has its successor on the interface', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign', pinnedNode: 'node1' });
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP] });
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20' }] });
  const passes = (): void => {
    for (let round = 0; round < 100; round++) {
      rig.pass(100);
      rig.settleOnce();
    }
  };
  passes();
  assert.is(rig.cloud.where('10.10.10.20'), undefined, 'what is new waits for the interface');
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
  rig.report('node1', 'Master', 1, { vipsOnInterface: ['10.10.10.20', VIP] });
  passes();
  assert.is(rig.cloud.where('10.10.10.20'), NODE1.networkInterfaceID);
  assert.is(rig.cloud.where(VIP), undefined);
});

test('a pin where nothing was ordered tells of no order', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2' });
  rig.step();
  assert.not(rig.events.some(({ message }) => message.includes('the order is consumed')));
  assert.is.not(rig.pair.status?.failback?.reason, 'Pinned');
});

test.run();
