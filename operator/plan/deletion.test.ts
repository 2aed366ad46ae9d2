import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vipsOf } from '../../crds/types.ts';
import { failureOf } from '../../ec2/errors.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const MINUTE_MS = 60_000;

const denied = failureOf({ code: 'UnauthorizedOperation', message: 'not you', httpStatus: 403 });

/** A converged pair with `deletionPolicy: Unassign`, its deletion begun. */
const going = (change: Parameters<typeof Rig.converged>[0] = {}): Rig => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign', ...change });
  rig.delete();
  return rig;
};

/** Both agents have stopped serving. */
const stopped = (rig: Rig): void => {
  rig.settleOnce();
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Backup', 1);
  rig.acknowledge('node1');
  rig.acknowledge('node2');
};

/** Plans, calls and readings, with time passing, until the finalizer goes or `most` is over. */
const run = (rig: Rig, most = 10_000): void => {
  for (const endMs = rig.nowMs + most; rig.nowMs < endMs && !rig.deleted; ) {
    rig.pass(100);
    rig.settleOnce();
  }
};

test('Unassign: the agents stop, the VIP is unassigned and the EIP goes with it, two readings agree, the finalizer goes', () => {
  const rig = going();
  rig.step();
  assert.equal(
    rig.instances.map(({ spec }) => `${spec.claim} ${spec.onDelete}`),
    ['Never Remove', 'Never Remove'],
  );
  assert.is(rig.calls.length, 0, 'nobody may serve any more before an address goes');
  stopped(rig);
  run(rig);
  assert.ok(rig.deleted);
  assert.equal(
    rig.calls.map(({ call, purpose }) => `${call.action} ${purpose}`),
    ['UnassignPrivateIpAddresses Release'],
  );
  assert.is(rig.cloud.where(VIP), undefined);
  assert.is(rig.cloud.elasticIPs.get(ALLOCATION), undefined);
  assert.ok(rig.reasons.includes('Deleted'));
});

test('Unassign: a reading that was long under way agrees with none that begins before it was taken', () => {
  const rig = going();
  rig.step();
  stopped(rig);
  while (rig.calls.length === 0) {
    rig.pass(100);
    rig.settleOnce();
  }
  rig.pass(6_000);
  rig.read(rig.cloud.view(rig.nowMs - 5_000));
  const first = rig.step();
  assert.ok((first.requeueAfterMs ?? 0) >= 1_000);
  rig.pass(100);
  rig.read();
  rig.step();
  assert.not(rig.deleted);
  rig.pass(2_000);
  assert.ok((rig.step().requeueAfterMs ?? 0) >= 1_000, 'what it waits for tells of itself');
  rig.read();
  rig.step();
  assert.ok(rig.deleted);
});

test('Unassign: an EIP without a VIP is disassociated', () => {
  const rig = going({ addresses: [{ name: 'main', eipAllocationID: ALLOCATION }] });
  stopped(rig);
  run(rig);
  assert.ok(rig.deleted);
  assert.equal(
    rig.calls.map(({ call }) => call.action),
    ['DisassociateAddress'],
  );
});

test('Unassign: a dead agent delays the deletion by 30 s and no more', () => {
  const rig = going();
  rig.step();
  rig.report('node2', 'Backup', 1);
  rig.acknowledge('node2');
  run(rig, 29_000);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('Ready'), 'False Deleting');
  run(rig, 5_000);
  assert.ok(rig.deleted);
});

test('Unassign: instances that the garbage collector took first hold nothing up (T16)', () => {
  const rig = going();
  rig.instances = [];
  run(rig);
  assert.ok(rig.deleted);
  assert.equal(rig.instances, [], 'and they are never made anew');
});

test('Unassign: what another HAPair names stays, and is said', () => {
  const rig = going();
  rig.claimedElsewhere = [VIP, ALLOCATION];
  stopped(rig);
  run(rig);
  assert.ok(rig.deleted);
  assert.is(rig.calls.length, 0);
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
  assert.match(
    rig.events.find(({ reason }) => reason === 'Deleted')?.message ?? '',
    /but for 10\.10\.10\.10/,
  );
});

test('Unassign: only what is recorded goes, and a missing ENI counts as done', () => {
  const rig = going();
  rig.cloud.secondaries.get(NODE1.networkInterfaceID)?.add('10.10.10.99');
  rig.cloud.gone.add(NODE2.networkInterfaceID);
  stopped(rig);
  run(rig);
  assert.ok(rig.deleted);
  assert.is(rig.cloud.where('10.10.10.99'), NODE1.networkInterfaceID);
});

test('Unassign under paused waits and says how to go on; Retain frees it', () => {
  const rig = going({ paused: true });
  run(rig);
  assert.not(rig.deleted);
  assert.is(rig.condition('AddressesConverged'), 'False PausedBySpec');
  rig.edit({ deletionPolicy: 'Retain' });
  run(rig);
  assert.ok(rig.deleted);
  assert.is(rig.calls.length, 0);
});

test('Unassign: the agents are told to stop, and waited for, however long spec.paused has held the deletion back', () => {
  const rig = going();
  rig.edit({ paused: true });
  rig.settleOnce();
  rig.pass(MINUTE_MS);
  rig.alive('node1');
  rig.edit({ paused: false });
  rig.step();
  assert.equal(
    rig.instances.map(({ spec }) => `${spec.claim} ${spec.onDelete}`),
    ['Never Remove', 'Never Remove'],
  );
  assert.is(rig.calls.length, 0);
});

test('Unassign without permission says why and keeps trying; Retain frees it', () => {
  const rig = going();
  stopped(rig);
  for (let attempt = 0; attempt < 3; attempt++) {
    for (let round = 0; round < 400 && !rig.memory.calls.unanswered; round++) {
      rig.pass(100);
      const next = rig.step();
      if (next.readSinceMs !== undefined) rig.read();
    }
    rig.answer(denied);
  }
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False EC2Unauthorized');
  assert.not(rig.deleted);
  rig.edit({ deletionPolicy: 'Retain' });
  run(rig);
  assert.ok(rig.deleted);
});

test('Unassign: what could not be read is not gone', () => {
  const rig = going();
  stopped(rig);
  for (let round = 0; round < 100; round++) {
    rig.pass(100);
    const next = rig.step();
    if (next.readSinceMs === undefined) continue;
    const view = rig.cloud.view(rig.nowMs);
    rig.read({ ...view, networkInterfaces: {} });
  }
  assert.not(rig.deleted);
  assert.is(rig.calls.length, 0);
});

test('Unassign: the operator may die at any point, and the deletion ends', () => {
  const rig = going();
  stopped(rig);
  for (let round = 0; round < 300 && !rig.deleted; round++) {
    rig.pass(500);
    rig.settleOnce();
    if (round % 7 === 6) rig.restart();
  }
  assert.ok(rig.deleted);
  assert.is(rig.cloud.where(VIP), undefined);
});

test('a dropped address under Unassign is served until the new one has arrived, and then taken off', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20', eipAllocationID: ALLOCATION }] });
  const order: string[] = [];
  for (let round = 0; round < 100; round++) {
    rig.pass(100);
    rig.settleOnce();
    order.push(`${rig.cloud.where(VIP)} ${rig.cloud.where('10.10.10.20')}`);
  }
  const eni = NODE1.networkInterfaceID;
  assert.equal([...new Set(order)], [`${eni} undefined`, `${eni} ${eni}`, `undefined ${eni}`]);
  assert.equal(
    rig.pair.status?.addresses?.map(({ vip }) => vip),
    ['10.10.10.20'],
  );
  assert.equal(vipsOf(rig.instance('node1').spec), ['10.10.10.20']);
  assert.is(rig.cloud.elasticIPs.get(ALLOCATION)?.privateIPAddress, '10.10.10.20');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.ok(rig.reasons.includes('AddressReleased'));
});

test('a dropped VIP stays until the master has its successor on the interface', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP] });
  // Somebody has assigned it already.
  rig.cloud.put('10.10.10.20', NODE1.networkInterfaceID);
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20' }] });
  const passes = (): void => {
    for (let round = 0; round < 100; round++) {
      rig.pass(100);
      rig.settleOnce();
    }
  };
  passes();
  assert.is(rig.cloud.where('10.10.10.20'), NODE1.networkInterfaceID);
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
  assert.equal(vipsOf(rig.instance('node1').spec), ['10.10.10.20', VIP]);
  rig.report('node1', 'Master', 1, { vipsOnInterface: ['10.10.10.20', VIP] });
  passes();
  assert.is(rig.cloud.where(VIP), undefined);
  assert.equal(vipsOf(rig.instance('node1').spec), ['10.10.10.20']);
});

test('an EIP that is dropped while its VIP stays is disassociated alone', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'main', vip: VIP }] });
  for (let round = 0; round < 100; round++) {
    rig.pass(100);
    rig.settleOnce();
  }
  assert.equal(
    rig.calls.map(({ call }) => call.action),
    ['DisassociateAddress'],
  );
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('what was gone and came back late is released again, and two readings after that must agree', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20', eipAllocationID: ALLOCATION }] });
  for (let round = 0; round < 100 && rig.cloud.where(VIP) !== undefined; round++) {
    rig.pass(10);
    rig.settleOnce();
  }
  rig.pass(1);
  rig.settleOnce();
  rig.step();
  // The first reading has shown it gone. Now a call of a dead operator takes effect.
  rig.cloud.put(VIP, NODE1.networkInterfaceID);
  rig.pass(3_000);
  rig.read();
  rig.settleOnce();
  assert.is(rig.cloud.where(VIP), undefined, 'released again');
  rig.pass(1);
  rig.settleOnce();
  rig.pass(1);
  rig.settleOnce();
  const recorded = () => rig.pair.status?.addresses?.map(({ vip }) => vip);
  assert.equal(recorded(), ['10.10.10.20', VIP], 'recorded until a second reading agrees');
  for (let round = 0; round < 4; round++) {
    rig.pass(1_000);
    rig.settleOnce();
  }
  assert.equal(recorded(), ['10.10.10.20']);
});

test('a failover in the middle of a release serves the new master first', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'other', vip: '10.10.10.20' }] });
  for (let round = 0; round < 400 && rig.memory.calls.unanswered?.purpose !== 'Release'; round++) {
    rig.pass(10);
    const next = rig.step();
    if (next.call?.purpose === 'Release') break;
    if (next.call) rig.answer();
    else if (next.readSinceMs !== undefined) rig.read();
  }
  assert.is(rig.memory.calls.unanswered?.purpose, 'Release');
  rig.report('node2', 'Master', 2);
  rig.answer();
  for (let round = 0; round < 6 * (MINUTE_MS / 10_000); round++) {
    rig.pass(1_000);
    rig.settleOnce();
  }
  assert.is(rig.cloud.where('10.10.10.20'), NODE2.networkInterfaceID);
  assert.is(rig.cloud.where(VIP), undefined);
  assert.is(rig.condition('Ready'), 'True Serving');
});

for (const [code, httpStatus] of [
  ['UnauthorizedOperation', 403],
  ['RequestLimitExceeded', 503],
  ['InvalidParameterValue', 400],
] as const) {
  test(`a dropped address that cannot be taken off its ENI (${code}) is tried ever slower, and the status says so`, () => {
    const second = { name: 'second', vip: '10.10.10.20' };
    const rig = Rig.converged({ deletionPolicy: 'Unassign', addresses: [MAIN, second] });
    rig.edit({ addresses: [MAIN] });
    const failure = failureOf({ code, message: 'no', httpStatus });
    for (const endMs = rig.nowMs + MINUTE_MS; rig.nowMs < endMs; rig.pass(10)) {
      for (const node of ['node1', 'node2']) rig.alive(node);
      const next = rig.step();
      if (next.call) rig.answer(failure, false);
      else if (next.readSinceMs !== undefined) rig.read();
    }
    assert.ok(rig.calls.length >= 3 && rig.calls.length <= 15, `${rig.calls.length} calls in a minute`);
    const accepted = rig.pair.status?.conditions?.find(({ type }) => type === 'Accepted');
    assert.match(accepted?.message ?? '', /second \(10\.10\.10\.20\).*Retain/);
    assert.is(rig.condition('Ready'), 'True Serving');
    assert.ok(rig.reasons.filter((reason) => reason.startsWith('EC2')).length <= 2, rig.reasons.join());

    rig.pass(MINUTE_MS);
    run(rig);
    assert.is(rig.cloud.where('10.10.10.20'), undefined);
    assert.is(rig.condition('Accepted'), 'True Accepted');
  });
}

test('Unassign: what AWS has not tagged is not touched, and the deletion says which tag is missing', () => {
  const rig = going();
  rig.requireTag = { key: 'hapair', value: 'yes' };
  rig.cloud.tags[NODE2.networkInterfaceID] = { hapair: 'yes' };
  stopped(rig);
  run(rig);
  assert.not(rig.deleted);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('AddressesConverged'), 'False NotPermitted');
  rig.cloud.tags[NODE1.networkInterfaceID] = { hapair: 'yes' };
  rig.read();
  run(rig);
  assert.ok(rig.deleted);
  assert.is(rig.cloud.where(VIP), undefined);
});

test('a release, also one that fails, leaves Ready as it is: what is wanted is not concerned', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'other', vip: '10.10.10.20' }] });
  for (let round = 0; round < 600 && rig.calls.every(({ purpose }) => purpose !== 'Release'); round++) {
    rig.pass(10);
    const next = rig.step();
    if (next.call?.purpose === 'Release') break;
    if (next.call) rig.answer();
    else if (next.readSinceMs !== undefined) rig.read();
  }
  assert.is(rig.condition('Ready'), 'True Serving');
  rig.step();
  assert.is(rig.condition('Ready'), 'True Serving', 'while it is under way');
  rig.pass(10);
  rig.answer(failureOf({ code: 'InternalError', message: 'try later', httpStatus: 500 }));
  rig.step();
  assert.is(rig.condition('Ready'), 'True Serving', 'when it has failed');
});

test('a renamed address is not told to be given up', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'renamed', vip: VIP, eipAllocationID: ALLOCATION }] });
  run(rig);
  assert.not(rig.reasons.includes('AddressReleased'));
  assert.is(rig.calls.length, 0);
  assert.equal(
    rig.pair.status?.addresses?.map(({ name }) => name),
    ['renamed'],
  );
});

test('while the pair goes, its conditions turn False once, and the wait ends after just 30 s', () => {
  const rig = going();
  const timeOf = (type: string): string | undefined =>
    rig.pair.status?.conditions?.find((condition) => condition.type === type)?.lastTransitionTime;
  const before = ['Ready', 'AddressesConverged'].map(timeOf);
  rig.pass(5_000);
  assert.is(rig.step().requeueAfterMs, 30_000);
  const ready = rig.pair.status?.conditions?.find(({ type }) => type === 'Ready');
  assert.is(ready?.message, 'Waiting for node1 and node2 to stop serving, 30 s at most.');
  assert.equal(
    [rig.condition('Ready'), rig.condition('AddressesConverged')],
    ['False Deleting', 'False Deleting'],
  );
  const turned = ['Ready', 'AddressesConverged'].map(timeOf);
  assert.is.not(turned[0], before[0]);
  rig.pass(10_000);
  assert.is(rig.step().requeueAfterMs, 20_000);
  rig.pass(20_000);
  rig.settleOnce();
  assert.is(rig.condition('AddressesConverged'), 'False Releasing');
  assert.equal(['Ready', 'AddressesConverged'].map(timeOf), turned);
});

test('Unassign: one agent that was not told yet is told, and waited for', () => {
  const rig = going();
  rig.step();
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Backup', 1);
  rig.acknowledge('node1');
  rig.acknowledge('node2');
  // As if the write to node2 had failed, and it had acknowledged what it was told before.
  rig.instances = rig.instances.map((each) =>
    each.spec.nodeName === 'node2' ? { ...each, spec: { ...each.spec, claim: 'Normal' } } : each,
  );
  const next = rig.step();
  assert.equal(
    next.instances.map(({ spec }) => spec.nodeName),
    ['node2'],
  );
  assert.is(next.call, undefined);
  assert.is(rig.condition('AddressesConverged'), 'False Deleting');
});

test('Unassign: EC2 that cannot be read is named, and Retain as the way out', () => {
  const rig = going();
  stopped(rig);
  rig.reading = { failure: { class: 'Unavailable', message: 'no answer', atMs: rig.nowMs } };
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False EC2ReadFailed');
  const { message } = rig.pair.status?.conditions?.find(({ type }) => type === 'Ready') ?? {};
  assert.match(message ?? '', /^EC2 cannot be read: no answer\. .*spec\.deletionPolicy to Retain/);
});

test('a release is made in the term that was acted upon last', () => {
  const rig = going();
  rig.pair = { ...rig.pair, status: { ...rig.pair.status, term: 7 } };
  stopped(rig);
  run(rig);
  assert.equal(
    rig.calls.map(({ term }) => term),
    [7],
  );
});

test('told to stop, each VRRPInstance stays that very object: its UID, labels and owner', () => {
  const rig = going();
  rig.instances = rig.instances.map((each) => ({
    ...each,
    metadata: { ...each.metadata, uid: `uid-${each.metadata.name}` },
  }));
  const before = rig.instances.map(({ metadata: { name, uid, labels, ownerReferences } }) => ({
    ...{ name, uid, labels, ownerReferences },
  }));
  const { instances } = rig.step();
  assert.equal(
    instances.map(({ metadata: { name, uid, labels, ownerReferences } }) => ({
      ...{ name, uid, labels, ownerReferences },
    })),
    before,
  );
});

test('without its finalizer a pair that is being deleted is left alone', () => {
  const rig = going();
  rig.pair = { ...rig.pair, metadata: { ...rig.pair.metadata, finalizers: [] } };
  const next = rig.step();
  assert.equal(next.instances, []);
  assert.is(next.finalizer, undefined);
  assert.is(next.call, undefined);
});

test.run();
