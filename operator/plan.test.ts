import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HAPAIR_CONDITIONS } from '../crds/conditions.ts';
import { vipsOf } from '../crds/types.ts';
import type { PlannedCall } from '../delivery/types.ts';
import { describeEC2Call } from '../ec2/actions.ts';
import { failureOf } from '../ec2/errors.ts';
import { instanceRefused } from './plan/memory.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, VIP } from './testing/fixtures.ts';
import { Rig } from './testing/rig.ts';

const ENI1 = NODE1.networkInterfaceID;
const ENI2 = NODE2.networkInterfaceID;

const actionOf = ({ call, node }: PlannedCall): string => {
  const { networkInterfaceID } = call;
  switch (call.action) {
    case 'AssignPrivateIpAddresses':
      return `assign ${call.privateIPAddresses.join(' ')} ${networkInterfaceID}`;
    case 'UnassignPrivateIpAddresses':
      return `unassign ${call.privateIPAddresses.join(' ')} ${networkInterfaceID}`;
    case 'AssociateAddress':
      return `associate ${call.privateIPAddress} ${networkInterfaceID}`;
    case 'DisassociateAddress':
      return `disassociate ${call.allocationID} ${networkInterfaceID}`;
    default:
      return describeEC2Call(call, node);
  }
};

const actions = (rig: Rig): string[] => rig.calls.map(actionOf);

test('the first visit sets every condition, the finalizer if EC2 is to be cleaned up, and asks for a reading before it creates anything', () => {
  const rig = new Rig();
  const first = rig.step();
  assert.equal(rig.pair.status?.conditions?.map(({ type }) => type).sort(), [...HAPAIR_CONDITIONS].sort());
  assert.is(first.finalizer, undefined, 'Retain needs none');
  assert.is(new Rig({ deletionPolicy: 'Unassign' }).step().finalizer, 'add');
  assert.is(first.instances.length, 0);
  assert.is(first.readSinceMs, 0);
  assert.is(rig.condition('Ready'), 'False WaitingForElection');
});

test('a pair whose EC2 could never be read says that, and does not blame the agents', () => {
  const rig = new Rig();
  rig.reading = { failure: { class: 'CredentialsInvalid', message: 'AuthFailure: no', atMs: rig.nowMs } };
  const { instances } = rig.step();
  assert.is(instances.length, 0);
  assert.is(rig.condition('Ready'), 'False EC2ReadFailed');
  const ready = rig.pair.status?.conditions?.find(({ type }) => type === 'Ready');
  assert.match(ready?.message ?? '', 'AuthFailure: no');
});

for (const [title, holder, preferredNode, expected] of [
  ["EC2's holder of the first VIP", ENI2, 'node1', 'node2'],
  ['the preferred node when EC2 has it on neither', undefined, 'node2', 'node2'],
  ['the first node without a preference', undefined, undefined, 'node1'],
] as const) {
  test(`before the first election ${title} has priority 200`, () => {
    const rig = new Rig(preferredNode ? { preferredNode } : {});
    rig.cloud.put(VIP, holder);
    rig.settle();
    const high = rig.instances.filter(({ spec }) => spec.priority === 200).map(({ spec }) => spec.nodeName);
    assert.equal(high, [expected]);
    assert.is(rig.instances.length, 2);
  });
}

test('instances carry the resolved defaults and belong to the HAPair', () => {
  const vrrp = {
    version: 2 as const,
    virtualRouterID: 10,
    advertisementIntervalMilliseconds: 1000,
    authentication: { secretRef: {} },
  };
  const rig = new Rig({ vrrp });
  rig.settle();
  const { spec, metadata } = rig.instance('node2');
  const parameters = {
    version: 2,
    virtualRouterID: 10,
    advertisementIntervalMilliseconds: 1000,
    authentication: { secretRef: { name: 'hapair-vrrp', key: 'web' } },
  };
  assert.equal(spec.vrrp, { send: parameters, accept: [parameters] });
  assert.is(spec.agentUsername, 'system:serviceaccount:hapair-system:hapair-agent-node2');
  assert.is(spec.sourceAddress, NODE2.address);
  assert.is(spec.peerAddress, NODE1.address);
  assert.is(metadata.ownerReferences?.[0]?.controller, true);
  assert.is(metadata.ownerReferences?.[0]?.blockOwnerDeletion, true, 'foreground deletion waits for them');
  assert.is(metadata.labels?.['hapair.io/pair'], 'web');
});

test('the first master gets VIP and EIP; the address is recorded before the first call', () => {
  const rig = new Rig();
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.equal(rig.pair.status?.addresses?.[0]?.networkInterfaceIDs, [ENI1, ENI2]);
  rig.report('node1', 'Master', 1);
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.equal(actions(rig), [`assign ${VIP} ${ENI1}`, `associate ${VIP} ${ENI1}`]);
  assert.equal(
    rig.calls.map(({ purpose }) => purpose),
    ['Place', 'Place'],
    'no failover waits for a new pair',
  );
  assert.is(rig.pair.status?.master, 'node1');
  assert.is(rig.pair.status?.holder, 'node1');
  assert.is(rig.pair.status?.standby, 'node2');
  assert.is(rig.pair.status?.term, 1);
  assert.is(rig.pair.status?.addresses?.[0]?.publicIP, '203.0.113.10');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.condition('Redundant'), 'True StandbyReady');
  assert.is(rig.pair.status?.history?.[0]?.reason, 'FirstElection');
  assert.ok(rig.reasons.includes('FirstElection'));
});

test('no call before finalizer and record are stored', () => {
  const rig = new Rig({ deletionPolicy: 'Unassign' });
  rig.read();
  rig.step({ writes: false });
  rig.settle();
  rig.pair = { ...rig.pair, status: { failback: {} }, metadata: { ...rig.pair.metadata, finalizers: [] } };
  rig.report('node1', 'Master', 1);
  assert.is(rig.step({ writes: false }).call, undefined);
  rig.step();
  rig.read();
  assert.is(rig.step().call, undefined);
  assert.equal(
    rig.pair.status?.addresses?.map(({ placing }) => placing),
    [ENI1],
    'what it never had is recorded as being placed',
  );
  assert.ok(rig.step().call);
});

test('failover: the report alone justifies one call, with no read and no write before it', () => {
  const rig = Rig.converged();
  rig.pass(5000);
  rig.report('node2', 'Master', 2);
  const next = rig.step();
  assert.equal(next.call?.call, {
    action: 'AssignPrivateIpAddresses',
    networkInterfaceID: ENI2,
    privateIPAddresses: [VIP],
  });
  assert.is(next.call?.purpose, 'Move');
  assert.is(next.readSinceMs, undefined);
  assert.is(rig.condition('Ready'), 'False Moving');
  rig.pass(1500);
  rig.answer();
  rig.pass(1);
  assert.ok(rig.step().readSinceMs !== undefined, 'reads back');
  rig.pass(9);
  rig.read();
  rig.settle();
  assert.is(rig.calls.length, 1, 'the EIP followed its VIP: one mutating call');
  assert.is(rig.condition('Ready'), 'True Serving');
  const [entry] = rig.pair.status?.history ?? [];
  assert.is(entry?.from, 'node1');
  assert.is(entry?.to, 'node2');
  assert.is(entry?.reason, 'Failover');
  assert.is(entry?.reportMilliseconds, 0);
  assert.is(entry?.callMilliseconds, 1500);
  assert.is(entry?.confirmMilliseconds, 1511);
  assert.is(rig.instance('node2').spec.priority, 200);
  assert.is(rig.instance('node1').spec.priority, 100);
  assert.is(rig.instance('node1').spec.termFloor, 2);
});

test('the return of the old master as Backup moves nothing', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.report('node1', 'Backup', 2);
  rig.settle();
  assert.is(rig.calls.length, 1);
  assert.is(rig.pair.status?.standby, 'node1');
});

test('S6 quiet: a converged pair writes nothing, however often it is read', () => {
  const rig = Rig.converged();
  for (let round = 0; round < 20; round++) {
    rig.pass(10_000);
    rig.alive('node1');
    rig.alive('node2');
    rig.read();
    const next = rig.step();
    assert.is(next.call, undefined);
    assert.equal(next.events, []);
  }
  assert.is(rig.statusWrites, 0);
  assert.is(rig.instanceWrites, 0);
});

test('a restart of the operator moves nothing, writes nothing and reads EC2 once', () => {
  const rig = Rig.converged();
  rig.pass(1000);
  rig.restart();
  rig.settle();
  rig.pass(1000);
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.is(rig.statusWrites, 0);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('no Master report: the addresses stay where they are', () => {
  const rig = Rig.converged();
  rig.report('node1', 'Backup', 1);
  rig.cloud.put(VIP, ENI2);
  rig.pass(3000);
  rig.read();
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('MasterElected'), 'False NoMaster');
  assert.is(rig.condition('Ready'), 'False NoMaster');
  assert.is(rig.pair.status?.master, 'node1', 'the last elected master is kept');
});

test('drift is repaired after two agreeing readings at least 2 s apart, and says so', () => {
  const rig = Rig.converged();
  rig.pass(30_000);
  rig.alive('node1');
  rig.alive('node2');
  rig.cloud.put(VIP, undefined);
  rig.read();
  const seen = rig.step();
  assert.is(seen.call, undefined);
  assert.is(rig.condition('AddressesConverged'), 'False AddressUnassigned');
  assert.ok((seen.requeueAfterMs ?? 0) <= 2000);
  rig.pass(1000);
  rig.read();
  assert.is(rig.step().call, undefined, 'too early to agree');
  rig.pass(1000);
  rig.read();
  assert.is(rig.step().call?.purpose, 'Repair');
  rig.answer();
  rig.settle();
  assert.equal(actions(rig), [`assign ${VIP} ${ENI1}`, `associate ${VIP} ${ENI1}`]);
  assert.ok(rig.reasons.includes('DriftFound'));
  assert.ok(rig.reasons.includes('DriftRepaired'));
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a reading that was long under way agrees with none that begins before it was taken', () => {
  const rig = Rig.converged();
  rig.pass(30_000);
  rig.alive('node1');
  rig.alive('node2');
  rig.cloud.put(VIP, undefined);
  rig.read(rig.cloud.view(rig.nowMs - 14_000));
  assert.is(rig.step().call, undefined);
  assert.is(rig.condition('AddressesConverged'), 'False AddressUnassigned');
  rig.pass(100);
  rig.read();
  assert.is(rig.step().call, undefined);
  rig.pass(2_000);
  rig.read();
  assert.is(rig.step().call?.purpose, 'Repair');
});

test('a reading that omits the address once causes no call', () => {
  const rig = Rig.converged();
  rig.pass(30_000);
  rig.cloud.put(VIP, undefined);
  rig.read();
  rig.step();
  rig.cloud.put(VIP, ENI1);
  rig.cloud.associate(ALLOCATION, ENI1, VIP);
  rig.pass(2500);
  rig.read();
  rig.settle();
  assert.is(rig.calls.length, 0);
});

test('identical repairs back off', () => {
  const rig = Rig.converged();
  const times: number[] = [];
  for (let second = 0; second < 120; second++) {
    rig.pass(1000);
    rig.cloud.put(VIP, ENI2);
    rig.cloud.associate(ALLOCATION, ENI2, VIP);
    rig.read();
    const next = rig.step();
    if (!next.call) continue;
    times.push(rig.nowMs);
    rig.answer();
  }
  assert.is(times.length, 4, `after 2, 12, 32, 72 s: ${times}`);
});

/** Somebody moves the addresses away again and again; when each repair begins. */
const repairsWhileStolen = (rig: Rig, seconds: number): number[] => {
  const times: number[] = [];
  for (let second = 0; second < seconds; second++) {
    rig.pass(1_000);
    rig.alive('node1');
    rig.alive('node2');
    rig.cloud.put(VIP, ENI2);
    rig.cloud.associate(ALLOCATION, ENI2, VIP);
    rig.read();
    if (!rig.step().call) continue;
    times.push(rig.nowMs);
    rig.answer();
  }
  return times;
};

test('identical repairs come at most five minutes apart, and a series is over after ten quiet ones', () => {
  const rig = Rig.converged();
  const times = repairsWhileStolen(rig, 2_000);
  const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
  assert.equal(gaps, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000, 300_000, 300_000]);
  rig.cloud.put(VIP, ENI1);
  rig.cloud.associate(ALLOCATION, ENI1, VIP);
  rig.read();
  rig.settle();
  rig.pass(10 * 60_000);
  rig.alive('node1');
  rig.alive('node2');
  rig.read();
  rig.settle();
  const fromMs = rig.nowMs;
  const [first, second] = repairsWhileStolen(rig, 20);
  assert.ok((first ?? 0) - fromMs <= 4_000, 'at once, as soon as two readings agree');
  assert.is((second ?? 0) - (first ?? 0), 10_000);
});

test('a failed read is never taken for absence', () => {
  const rig = Rig.converged();
  const { view } = rig.reading;
  rig.pass(60_000);
  if (view) rig.reading = { view, failure: { class: 'TimedOut', message: 'no answer', atMs: rig.nowMs } };
  assert.is(rig.step().call, undefined);
  rig.pass(120_000);
  rig.step();
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('AddressesConverged'), 'Unknown EC2ReadFailed');
  assert.is(rig.condition('Ready'), 'Unknown EC2ReadFailed');
});

test('throttle: the failover is tried again with growing delay until it works', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  const throttled = failureOf({ code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 });
  assert.ok(rig.step().call);
  for (const delayMs of [200, 400, 800]) {
    rig.answer(throttled);
    const waiting = rig.step();
    assert.is(waiting.call, undefined);
    assert.is(rig.condition('AddressesConverged'), 'False EC2Throttled');
    rig.pass(delayMs - 1);
    assert.is(rig.step().call, undefined);
    rig.pass(1);
    assert.ok(rig.step().call, `again after ${delayMs} ms`);
  }
  rig.answer();
  rig.settle();
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.reasons.filter((reason) => reason === 'EC2Throttled').length, 1, 'one Event per streak');
});

test('a permission error is kept trying, slower, and named', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.answer(failureOf({ code: 'UnauthorizedOperation', message: 'no', httpStatus: 403 }));
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False EC2Unauthorized');
  assert.is(rig.condition('Ready'), 'False NotConverged');
  rig.pass(30_000);
  assert.ok(rig.step().call);
});

test('a call that timed out but worked: EC2 is read first, and no second call is made', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.pass(10_000);
  rig.answer(failureOf({ code: 'TimeoutError', message: 'no answer' }), true);
  rig.pass(1);
  const next = rig.step();
  assert.is(next.call, undefined);
  assert.ok(next.readSinceMs !== undefined);
  rig.settle();
  assert.is(rig.calls.length, 1);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a successful call followed by a stale reading causes no second call', () => {
  const rig = Rig.converged();
  const old = rig.cloud.view(0);
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.pass(1500);
  rig.answer();
  rig.pass(10);
  rig.read({ ...old, readAtMs: rig.nowMs });
  assert.is(rig.step().call, undefined);
  rig.pass(2100);
  rig.read();
  rig.settle();
  assert.is(rig.calls.length, 1);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('several VIPs go in one call, only those not there yet', () => {
  const addresses = ['10.10.10.10', '10.10.10.20', '10.10.10.30'].map((vip, at) => ({ name: `a${at}`, vip }));
  const rig = new Rig({ addresses });
  rig.cloud.put('10.10.10.20', ENI1);
  rig.settle();
  rig.report('node1', 'Master', 1);
  rig.settle();
  assert.equal(actions(rig), [`assign 10.10.10.10 10.10.10.30 ${ENI1}`]);
});

test('a rejected call with several VIPs is followed by a reading, then one by one', () => {
  const addresses = ['10.10.10.10', '10.10.10.99'].map((vip, at) => ({ name: `a${at}`, vip }));
  const rig = new Rig({ addresses });
  rig.settle();
  rig.report('node1', 'Master', 1);
  while (rig.calls.length === 0) {
    const { readSinceMs } = rig.step();
    rig.pass(1);
    if (readSinceMs !== undefined) rig.read();
  }
  rig.pass(1);
  rig.answer(failureOf({ code: 'InvalidParameterValue', message: 'one is bad', httpStatus: 400 }));
  rig.pass(1);
  assert.ok(rig.step().readSinceMs !== undefined);
  const single: string[] = [];
  for (let second = 0; second < 10; second++) {
    rig.pass(1000);
    rig.read();
    const { call } = rig.step().call ?? {};
    if (call?.action !== 'AssignPrivateIpAddresses') continue;
    single.push(call.privateIPAddresses.join(' '));
    const bad = call.privateIPAddresses.includes('10.10.10.99');
    rig.answer(
      bad ? failureOf({ code: 'InvalidParameterValue', message: 'bad', httpStatus: 400 }) : { ok: true },
    );
  }
  assert.ok(single.every((vips) => !vips.includes(' ')));
  assert.is(rig.cloud.where('10.10.10.10'), ENI1, 'the good one is not held up by the bad one');
  assert.is(rig.condition('AddressesConverged'), 'False EC2Rejected');
});

for (const [title, vips, code] of [
  ['one VIP that EC2 rejects', [VIP], 'InvalidParameterValue'],
  ['several VIPs that may not be assigned', [VIP, '10.10.10.20'], 'UnauthorizedOperation'],
] as const) {
  test(`${title} keep no EIP from the primary address`, () => {
    const addresses = vips.map((vip, at) => ({ name: `a${at}`, vip }));
    const rig = new Rig({ addresses: [...addresses, { name: 'public', eipAllocationID: ALLOCATION }] });
    rig.settle();
    rig.report('node1', 'Master', 1);
    for (let second = 0; second < 20; second++) {
      const { call } = rig.step().call ?? {};
      if (call)
        rig.answer(
          call.action === 'AssignPrivateIpAddresses'
            ? failureOf({ code, message: 'no', httpStatus: 400 })
            : { ok: true },
        );
      rig.pass(1000);
      rig.read();
    }
    assert.is(rig.cloud.elasticIPs.get(ALLOCATION)?.networkInterfaceID, ENI1);
    const assigned = rig.calls.filter(({ call }) => call.action === 'AssignPrivateIpAddresses');
    assert.ok(assigned.length > 2, 'the VIPs are tried on');
  });
}

/** The first calls of a failover when EC2 says to each of them this. */
const failingFailover = (result: ReturnType<typeof failureOf>, calls: number): string[] => {
  const rig = new Rig({
    addresses: [
      { name: 'main', vip: VIP },
      { name: 'public', eipAllocationID: ALLOCATION },
    ],
  });
  rig.settle();
  rig.report('node1', 'Master', 1);
  return Array.from({ length: calls }, () => {
    const action = takeTurn(rig, result);
    assert.ok(action, 'tried again within half a minute');
    return action;
  });
};

/** Half a minute at most until the next call, which is answered. */
const takeTurn = (rig: Rig, result: ReturnType<typeof failureOf>): string | undefined => {
  for (let tenth = 0; tenth < 300; tenth++) {
    const { call } = rig.step().call ?? {};
    if (call) {
      rig.answer(result);
      return call.action;
    }
    rig.pass(100);
    rig.read();
  }
  return undefined;
};

test('what time heals gives no turn away: the VIPs are tried again first, but not for ever', () => {
  const throttled = failureOf({ code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 });
  const vip = 'AssignPrivateIpAddresses';
  assert.equal(failingFailover(throttled, 9), [
    ...[vip, vip, vip, vip],
    ...['AssociateAddress', 'AssociateAddress', 'AssociateAddress', 'AssociateAddress'],
    vip,
  ]);
});

test('several items that are taken away again and again are each put back ever more seldom', () => {
  const rig = Rig.converged({
    addresses: [
      { name: 'main', vip: VIP },
      { name: 'public', eipAllocationID: ALLOCATION },
    ],
  });
  for (let second = 0; second < 1_000; second++) {
    rig.cloud.put(VIP, ENI2);
    rig.cloud.associate(ALLOCATION, ENI2, NODE2.address);
    rig.pass(1_000);
    rig.read();
    if (rig.step().call) rig.answer();
  }
  const repairs = Map.groupBy(rig.calls, ({ call }) => call.action);
  assert.equal(
    [...repairs].map(([action, calls]) => [action, calls.length]),
    [
      ['AssignPrivateIpAddresses', 8],
      ['AssociateAddress', 8],
    ],
  );
});

test('a VIP that is taken away again and again, and must wait for its repair, holds up no new one', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  for (let second = 0; second < 60; second++) {
    rig.cloud.put(VIP, ENI2);
    rig.pass(1_000);
    rig.read();
    if (rig.step().call) rig.answer();
  }
  const repairs = rig.calls.length;
  assert.ok(repairs >= 3 && repairs < 10);
  rig.edit({
    addresses: [
      { name: 'main', vip: VIP },
      { name: 'next', vip: '10.10.10.20' },
    ],
  });
  rig.step();
  rig.read();
  assert.equal(rig.step().call?.call, {
    action: 'AssignPrivateIpAddresses',
    networkInterfaceID: ENI1,
    privateIPAddresses: ['10.10.10.20'],
  });
});

test('a dropped VIP that another HAPair names is not brought back while its successor is on the way', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  rig.rival = 'HAPair older is older and names it too.';
  rig.claimedElsewhere = [VIP];
  rig.cloud.put(VIP, 'eni-0dddddddddddddddd');
  rig.read();
  rig.settle();
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.rival = undefined;
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20' }] });
  rig.settle();
  assert.equal(actions(rig), [`assign 10.10.10.20 ${ENI2}`]);
  assert.is(rig.cloud.where(VIP), 'eni-0dddddddddddddddd');
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('where the ENI has no room for every VIP, the first in spec takes what there is', () => {
  const addresses = ['10.10.10.10', '10.10.10.20'].map((vip, at) => ({ name: `a${at}`, vip }));
  const rig = new Rig({ addresses });
  rig.settle();
  rig.report('node1', 'Master', 1);
  const full = failureOf({ code: 'PrivateIpAddressLimitExceeded', message: 'no room', httpStatus: 400 });
  const tried: string[] = [];
  for (let second = 0; second < 10; second++) {
    const { call } = rig.step().call ?? {};
    if (call?.action === 'AssignPrivateIpAddresses') {
      tried.push(call.privateIPAddresses.join(' '));
      rig.answer(call.privateIPAddresses.join() === '10.10.10.10' ? { ok: true } : full);
    }
    rig.pass(1000);
    rig.read();
  }
  assert.equal(tried.slice(0, 3), ['10.10.10.10 10.10.10.20', '10.10.10.10', '10.10.10.20']);
  assert.is(rig.cloud.where('10.10.10.10'), ENI1);
  assert.is(rig.condition('AddressesConverged'), 'False EC2QuotaExceeded');
});

test('VIP only: one call', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.equal(actions(rig), [`assign ${VIP} ${ENI2}`]);
});

test("EIP only: one call, to the holder's primary address", () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', eipAllocationID: ALLOCATION }] });
  rig.report('node2', 'Master', 2);
  const next = rig.step();
  assert.is(next.readSinceMs, undefined);
  rig.answer();
  rig.settle();
  assert.equal(actions(rig), [`associate ${NODE2.address} ${ENI2}`]);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a missing ENI or EIP is named, and is no reason to call', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.answer(failureOf({ code: 'InvalidNetworkInterfaceID.NotFound', message: 'gone', httpStatus: 400 }));
  rig.pass(10);
  const view = rig.cloud.view(rig.nowMs);
  rig.read({ ...view, networkInterfaces: { ...view.networkInterfaces, [ENI2]: null } });
  rig.pass(60_000);
  assert.is(rig.step().call, undefined);
  assert.is(rig.condition('AddressesConverged'), 'False EC2TargetMissing');
});

test('two masters on equal terms: the tie rule names one, and nothing ping-pongs', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 1);
  rig.settle();
  assert.is(rig.pair.status?.master, 'node1');
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('SplitBrain'), 'False OneMaster');
});

test('SplitBrain: a superseded Master that lives a full sign of life past the newer report', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.pass(5000);
  rig.alive('node1');
  rig.step();
  assert.is(rig.condition('SplitBrain'), 'False OneMaster', 'a Lease renewed before it died may arrive late');
  rig.pass(10_000);
  rig.alive('node1');
  rig.step();
  assert.is(rig.condition('SplitBrain'), 'True TwoMasters');
  assert.is(rig.calls.length, 1);
  rig.report('node1', 'Backup', 2);
  rig.step();
  assert.is(rig.condition('SplitBrain'), 'False OneMaster');
});

test('conditions follow the agents: missing, silent, back again', () => {
  const rig = Rig.converged();
  rig.pass(41_000);
  rig.alive('node1');
  rig.step();
  assert.is(rig.condition('AgentsReady'), 'False AgentSilent');
  assert.is(rig.condition('Redundant'), 'False StandbySilent');
  assert.is(rig.condition('Ready'), 'True Serving');
  rig.alive('node2');
  rig.step();
  assert.is(rig.condition('AgentsReady'), 'True AgentsReporting');
  assert.is(rig.condition('Redundant'), 'True StandbyReady');
});

test('lastTransitionTime moves only with status', () => {
  const rig = Rig.converged();
  const before = rig.pair.status?.conditions ?? [];
  rig.pass(10_000);
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node1' });
  rig.step();
  for (const after of rig.pair.status?.conditions ?? []) {
    const old = before.find(({ type }) => type === after.type);
    if (old?.status === after.status) assert.is(after.lastTransitionTime, old.lastTransitionTime, after.type);
    else assert.is.not(after.lastTransitionTime, old?.lastTransitionTime, after.type);
    assert.is(after.observedGeneration, 2);
  }
});

test('paused: no EC2 write, no order, no priority change, and it says what would be done', () => {
  const rig = Rig.converged();
  rig.edit({ paused: true });
  rig.settle();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.edit({ preferredNode: 'node1' });
  rig.report('node1', 'Backup', 2);
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  assert.is(rig.instance('node1').spec.priority, 200);
  assert.is(rig.condition('Paused'), 'True PausedBySpec');
  assert.is(rig.condition('AddressesConverged'), 'False PausedBySpec', 'nothing is on its way');
  assert.is(rig.condition('Ready'), 'False NotConverged');
  const paused = rig.pair.status?.conditions?.find(({ type }) => type === 'Paused');
  assert.match(paused?.message ?? '', /Would call AssignPrivateIpAddresses/);
  rig.edit({ paused: false });
  rig.settle();
  assert.equal(actions(rig), [`assign ${VIP} ${ENI2}`]);
});

test('with Retain a finalizer of an earlier version goes', () => {
  const rig = Rig.converged();
  rig.hold();
  assert.is(rig.step().finalizer, 'remove');
  assert.is(rig.deleted, false);
  assert.is(rig.step().finalizer, undefined);
});

test('deletion with Retain: a finalizer goes, nothing is moved or recreated', () => {
  const rig = Rig.converged();
  rig.hold();
  rig.instances = [];
  rig.delete();
  const next = rig.step();
  assert.is(next.finalizer, 'remove');
  assert.equal(next.instances, []);
  assert.is(rig.deleted, true);
  assert.is(rig.calls.length, 0);
});

test('deletion waits for the answer to a call that is under way', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.hold();
  rig.delete();
  assert.is(rig.step().finalizer, undefined);
  rig.answer();
  assert.is(rig.step().finalizer, 'remove');
});

const CHECK = {
  name: 'app',
  tcpSocket: { port: 80 },
  periodSeconds: 10,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
};

test("healthChecks are the agents': they are told of every edit, and nothing moves", () => {
  const rig = Rig.converged({ healthChecks: [CHECK] });
  for (const healthChecks of [[{ ...CHECK, periodSeconds: 2 }], []]) {
    rig.edit({ healthChecks });
    rig.settle();
    assert.is(rig.condition('Accepted'), 'True Accepted');
    for (const node of ['node1', 'node2']) assert.equal(rig.instance(node).spec.healthChecks, healthChecks);
  }
  assert.equal(actions(rig), []);
});

const reported = (status: 'False' | 'Unknown', message: string) => ({
  type: 'Healthy',
  status,
  reason: status === 'False' ? 'ChecksFailed' : 'Unobserved',
  message,
  lastTransitionTime: '2026-11-22T10:00:00Z',
});

test("O10: however long an agent's messages, and whatever is in them, the status can be written and read", () => {
  const rig = Rig.converged();
  const message = `\u001b[2J${'x'.repeat(32_700)}`;
  const conditions = ['Ready', 'Healthy'].map((type) => ({
    ...{ type, status: 'False' as const, reason: 'CheckFailed', message },
    lastTransitionTime: '2026-11-22T10:00:00Z',
  }));
  rig.report('node2', 'Fault', 1, { conditions, agentVersion: '\u001b[2J1.0' });
  rig.settle();
  const { message: first, conditions: told = [], nodes = [] } = rig.pair.status ?? {};
  const texts = [
    first ?? '',
    ...told.map((each) => each.message),
    ...nodes.map((node) => node.agentVersion ?? ''),
  ];
  assert.ok(texts.some((text) => text.includes('xxxx')));
  for (const text of texts) {
    assert.ok(text.length <= 8_192);
    assert.not.match(text.replaceAll('\n', ''), /\p{Cc}/u);
  }
});

test('O10: edits of which nothing arrives never make the status too long to be written', () => {
  const rig = Rig.converged();
  rig.reading = {};
  const edit = (round: number): void => {
    const addresses = Array.from({ length: 16 }, (_, at) => ({
      name: `a${round}x${at}`,
      vip: `10.10.${round}.${at}`,
    }));
    rig.edit({ addresses });
    for (let step = 0; step < 3; step++) rig.step();
  };
  for (const round of [20, 21, 22]) {
    edit(round);
    assert.is(rig.condition('Accepted'), 'True Accepted');
  }
  for (const round of [23, 24]) {
    edit(round);
    assert.is(rig.condition('Accepted'), 'False Invalid');
    assert.is(rig.pair.status?.addresses?.length, 49);
  }
  edit(22);
  assert.is(rig.condition('Accepted'), 'True Accepted', 'what was there before is there again');
});

test('both nodes fail their checks: the addresses stay, and it is said why', () => {
  const rig = Rig.converged();
  for (const node of ['node1', 'node2'])
    rig.report(node, 'Fault', 1, { conditions: [reported('False', `The check app fails on ${node}.`)] });
  rig.settle();
  assert.is(rig.condition('Ready'), 'False NoMaster');
  const message = rig.pair.status?.conditions?.find(({ type }) => type === 'Ready')?.message;
  assert.is(
    message,
    'No agent reports Master; the addresses stay where they are: EC2 delivers them to node1. node1 is in Fault. The check app fails on node1. node2 is in Fault. The check app fails on node2.',
  );
  assert.is(rig.pair.status?.holder, 'node1');
  assert.equal(actions(rig), []);
});

test('Redundant: a standby whose check fails, or has no verdict yet, says so', () => {
  const rig = Rig.converged();
  assert.is(rig.condition('Redundant'), 'True StandbyReady');
  const open = reported('Unknown', 'No verdict yet: app.');
  rig.report('node2', 'Backup', 1, { conditions: [open] });
  rig.settle();
  assert.is(rig.condition('Redundant'), 'False StandbyNotBackup');
  rig.report('node2', 'Fault', 1, { conditions: [reported('False', 'The check app fails.')] });
  rig.settle();
  const message = rig.pair.status?.conditions?.find(({ type }) => type === 'Redundant')?.message;
  assert.is(message, 'node2 is in Fault. The check app fails.');
});

test('Invalid: an edit that is not accepted leaves the running pair on its last accepted spec', () => {
  const rig = Rig.converged({ healthChecks: [CHECK] });
  rig.problems = ['spec.healthChecks: wrong'];
  const addresses = [{ name: 'other', vip: '10.10.10.77' }];
  rig.edit({ addresses, healthChecks: [], preferredNode: 'node2' });
  rig.settle();
  assert.is(rig.condition('Accepted'), 'False Invalid');
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined, 'no order');
  rig.restart();
  rig.settle();
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.equal(actions(rig), [`assign ${VIP} ${ENI2}`], 'failovers go on');
  assert.equal(vipsOf(rig.instance('node1').spec), [VIP]);
  assert.equal(rig.instance('node1').spec.healthChecks, [CHECK]);
  assert.is(rig.condition('Ready'), 'True Serving');
  rig.delete();
  assert.ok(rig.deleted, 'deletion ends');
});

test('before the first election nodes and parameters simply change', () => {
  const vrrp = { version: 3 as const, virtualRouterID: 10, advertisementIntervalMilliseconds: 500 };
  const starting = new Rig();
  starting.settle();
  starting.edit({ vrrp, nodes: [NODE1, { ...NODE2, name: 'node3' }] });
  starting.settle();
  assert.is(starting.condition('Accepted'), 'True Accepted');
  assert.equal(starting.instances.map(({ spec }) => spec.nodeName).sort(), ['node1', 'node3']);
  assert.is(starting.instance('node1').spec.vrrp.send.advertisementIntervalMilliseconds, 500);
});

test('NotPermitted: what AWS has not tagged is not touched, and the tag that is missing is named', () => {
  const rig = new Rig();
  rig.requireTag = { key: 'hapair', value: 'yes' };
  rig.cloud.tags[NODE1.networkInterfaceID] = { hapair: 'yes' };
  rig.settle();
  assert.is(rig.condition('Accepted'), 'False NotPermitted');
  const message = rig.pair.status?.conditions?.find(({ type }) => type === 'Accepted')?.message ?? '';
  assert.match(message, `has tagged hapair=yes: tag ${NODE2.networkInterfaceID}, ${ALLOCATION}.`);
  assert.is(rig.instances.length, 0);
  rig.cloud.tags[NODE2.networkInterfaceID] = { hapair: 'yes' };
  rig.cloud.tags[ALLOCATION] = { hapair: 'yes' };
  rig.read();
  rig.settle();
  assert.is(rig.condition('Accepted'), 'True Accepted');
  assert.is(rig.instances.length, 2);
});

test('a stored spec that breaks a rule of the API is Invalid and starts nothing', () => {
  const rig = new Rig();
  rig.problems = ['spec.nodes: wrong'];
  rig.settle();
  assert.is(rig.condition('Accepted'), 'False Invalid');
  assert.is(rig.condition('Ready'), 'False NotAccepted');
  assert.is(rig.instances.length, 0);
});

test('AddressConflict: the loser writes nothing and says so', () => {
  const rig = Rig.converged();
  rig.rival = 'Another HAPair owns VIP 10.10.10.10.';
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.is(rig.instanceWrites, 0);
  assert.is(rig.condition('Accepted'), 'False AddressConflict');
  assert.is(rig.condition('Ready'), 'False NotAccepted');
  assert.is(rig.condition('AddressesConverged'), 'Unknown AddressConflict', 'nothing is on its way');
});

test('an address that is added is recorded, put up and moved; one that is removed is given up afterwards', () => {
  const rig = Rig.converged();
  rig.edit({ addresses: [{ name: 'extra', vip: '10.10.10.20' }] });
  rig.read();
  rig.step();
  assert.equal(
    vipsOf(rig.instance('node1').spec),
    ['10.10.10.20', VIP],
    'the old one stays until the other is there',
  );
  rig.settle();
  assert.equal(actions(rig), [`assign 10.10.10.20 ${ENI1}`]);
  assert.equal(vipsOf(rig.instance('node1').spec), ['10.10.10.20']);
  assert.equal(
    rig.pair.status?.addresses?.map(({ vip }) => vip),
    ['10.10.10.20'],
  );
  assert.is(rig.cloud.where(VIP), ENI1, 'Retain leaves it where it is');
  assert.ok(rig.reasons.includes('AddressReleased'));
});

test('an agent is told of a replaced VIP with its successor, of a dropped address until the others have arrived, and of its public address', () => {
  const rig = Rig.converged();
  assert.equal(rig.instance('node1').spec.addresses, [{ ...MAIN, publicIP: '203.0.113.10' }]);
  rig.edit({ addresses: [{ ...MAIN, vip: '10.10.10.20' }] });
  rig.step();
  const changed = { ...MAIN, vip: '10.10.10.20', publicIP: '203.0.113.10' };
  assert.equal(rig.instance('node2').spec.addresses, [{ ...changed, replacedVIPs: [VIP] }]);
  rig.settle();
  assert.equal(rig.instance('node2').spec.addresses, [changed], 'the successor has arrived');
  const other = { name: 'other', vip: '10.10.10.30' };
  rig.edit({ addresses: [other] });
  rig.step();
  assert.equal(rig.instance('node1').spec.addresses, [other, changed]);
  rig.settle();
  assert.equal(rig.instance('node1').spec.addresses, [other], 'the dropped address is given up');
});

test('V5: a VIP that is added goes to EC2 only once the master has it on its interface', () => {
  const rig = Rig.converged();
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP] });
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20', eipAllocationID: ALLOCATION }] });
  rig.settle();
  rig.pass(3_600_000);
  rig.alive('node1');
  rig.alive('node2');
  rig.settle();
  assert.equal(actions(rig), [], 'an agent that is cut off has no door for it, and what works goes on');
  assert.is(rig.condition('AddressesConverged'), 'False WaitingForAgent');
  assert.is(rig.condition('Ready'), 'False WaitingForAgent');
  rig.report('node1', 'Master', 1, { vipsOnInterface: ['10.10.10.20', VIP] });
  rig.settle();
  assert.equal(actions(rig), [`assign 10.10.10.20 ${ENI1}`, `associate 10.10.10.20 ${ENI1}`]);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('an EIP that is added to a VIP is associated with it', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  rig.edit({ addresses: [MAIN] });
  rig.settle();
  assert.equal(actions(rig), [`associate ${VIP} ${ENI1}`]);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a change of what arrives at a node asks for a reading at once', () => {
  const rig = Rig.converged();
  rig.pass(10_000);
  rig.report('node1', 'Master', 1, { vipsDelivered: [] });
  assert.is(rig.step().readSinceMs, rig.nowMs);
});

test('S5: an answer is awaited although the master changed meanwhile, then the new master is served', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.report('node1', 'Master', 3);
  assert.is(rig.step().call, undefined);
  rig.pass(1500);
  rig.answer();
  rig.settle();
  assert.equal(actions(rig), [`assign ${VIP} ${ENI2}`, `assign ${VIP} ${ENI1}`]);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('NotPermitted outlives a restart of the operator: nothing is written, nothing told anew', () => {
  const rig = new Rig();
  rig.requireTag = { key: 'hapair', value: 'yes' };
  rig.settle();
  rig.statusWrites = 0;
  rig.events.length = 0;
  rig.restart();
  rig.pass(5_000);
  rig.settle();
  assert.is(rig.condition('Accepted'), 'False NotPermitted');
  assert.is(rig.statusWrites, 0);
  assert.equal(rig.reasons, []);
});

test('what may not be released bars no pair, not even after a restart of the operator', () => {
  const rig = new Rig({ deletionPolicy: 'Unassign' });
  const tags = { hapair: 'yes' };
  rig.requireTag = { key: 'hapair', value: 'yes' };
  for (const id of [ENI1, ENI2, ALLOCATION]) rig.cloud.tags[id] = tags;
  rig.settle();
  rig.report('node1', 'Master', 1);
  rig.settle();
  rig.cloud.tags[ALLOCATION] = {};
  rig.edit({ addresses: [{ name: 'main', vip: VIP }] });
  rig.read();
  rig.settle();
  assert.is(rig.condition('Accepted'), 'True NotPermitted');
  assert.is(rig.condition('Ready'), 'True Serving');
  rig.restart();
  rig.pass(5_000);
  rig.step();
  assert.is(rig.condition('Accepted').split(' ')[0], 'True');
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a call on what was read before this process led waits for a reading, and everything else with it', () => {
  const rig = Rig.converged();
  const { memory } = rig;
  rig.ledSinceMs = rig.nowMs + 1;
  rig.pass(2);
  rig.report('node2', 'Master', 2);
  const next = rig.step();
  assert.is(next.call, undefined);
  assert.is(next.readSinceMs, rig.ledSinceMs);
  assert.equal(
    [next.status, next.instances, next.events, next.requeueAfterMs],
    [undefined, [], [], undefined],
  );
  assert.is(next.memory, memory, 'nothing is learnt yet');
  rig.read();
  assert.is(rig.step().call?.node, 'node2');
});

test('if EC2 cannot be read, all but such a call is done', () => {
  const rig = Rig.converged();
  rig.ledSinceMs = rig.nowMs + 1;
  rig.pass(2);
  rig.reading = { ...rig.reading, failure: { class: 'Unreachable', message: 'no route', atMs: rig.nowMs } };
  rig.report('node2', 'Master', 2);
  const next = rig.step();
  assert.is(next.call, undefined);
  assert.is(next.readSinceMs, rig.ledSinceMs);
  assert.is(next.status?.master, 'node2');
});

test('a call that must wait for its turn is looked at again when the wait is worth telling', () => {
  const rig = Rig.converged();
  rig.pass(1);
  rig.report('node2', 'Master', 2);
  const next = rig.step({ writes: false });
  assert.is(next.call?.node, 'node2');
  assert.ok((next.requeueAfterMs ?? 0) > 2_000);
  assert.is(next.requeueWhenDeferredMs, 2_000);
});

test('a field conflict is told as long as there is something to write, and not a plan longer', () => {
  const rig = Rig.converged();
  const conflict = 'others own .spec.priority';
  rig.edit({ addresses: [MAIN, { name: 'more', vip: '10.10.10.20' }] });
  rig.memory = instanceRefused(rig.memory, conflict);
  rig.step({ writes: false });
  assert.is(rig.memory.instances.conflict, conflict);
  rig.edit({ addresses: [MAIN] });
  const next = rig.step();
  assert.is(next.memory.instances.conflict, undefined);
  assert.is(rig.condition('AgentsReady').includes('FieldConflict'), false);
});

test('a quiet pair is looked at again when a sign of life would have been missed, and often while one is', () => {
  const rig = Rig.converged();
  rig.pass(10_000);
  rig.alive('node1');
  rig.pass(5_000);
  rig.alive('node2');
  assert.is(rig.step().requeueAfterMs, 35_000, 'as node1 would have been silent for 40 s');
  rig.pass(36_000);
  rig.alive('node2');
  rig.settle();
  assert.is(rig.step().requeueAfterMs, 5_000);
});

test('both VRRPInstances were deleted by hand: they are made anew, with 200 for the holder, else for the master', () => {
  for (const holder of ['node2', undefined]) {
    const rig = Rig.converged();
    rig.report('node1', 'Backup', 1);
    rig.report('node2', 'Master', 2);
    rig.settle();
    const { holder: _known, ...status } = rig.pair.status ?? {};
    rig.pair = { ...rig.pair, status: { ...status, ...(holder && { holder }) } };
    rig.instances = [];
    rig.reading = {};
    rig.step();
    assert.is(rig.instance('node2').spec.priority, 200);
    assert.is(rig.instance('node1').spec.priority, 100);
    assert.is(rig.instance('node1').spec.termFloor, 2);
  }
});

test('SplitBrain says so when the two have read their password from different versions of the Secret', () => {
  for (const [version, hint] of [
    ['4712', /different versions of the Secret/],
    ['4711', /in both directions\. The addresses stay with node2\./],
  ] as const) {
    const rig = Rig.converged();
    rig.report('node1', 'Master', 1, { secretResourceVersion: '4711' });
    rig.report('node2', 'Master', 2, { secretResourceVersion: version });
    rig.settle();
    for (const ms of [5_000, 10_000]) {
      rig.pass(ms);
      rig.alive('node1');
      rig.settle();
    }
    assert.is(rig.condition('SplitBrain'), 'True TwoMasters');
    const message = rig.pair.status?.conditions?.find(({ type }) => type === 'SplitBrain')?.message;
    assert.match(message ?? '', hint);
  }
});

test('EC2 that cannot be read proves nothing any more after two minutes, and not before', () => {
  const rig = Rig.converged();
  const readAtMs = rig.reading.view?.readAtMs ?? 0;
  rig.reading = { ...rig.reading, failure: { class: 'Unavailable', message: 'no answer', atMs: rig.nowMs } };
  const at = (ms: number): string => {
    rig.nowMs = readAtMs + ms;
    rig.alive('node1');
    rig.alive('node2');
    rig.step();
    return `${rig.condition('AddressesConverged')}, ${rig.condition('Ready')}`;
  };
  assert.is(at(120_000), 'True Converged, True Serving');
  assert.is(at(120_001), 'Unknown EC2ReadFailed, Unknown EC2ReadFailed');
  rig.read();
  rig.settle();
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('EC2 is read in the Region of the spec, else in the operator’s', () => {
  assert.is(Rig.converged().step().scope.region, 'ap-northeast-1');
  assert.is(Rig.converged({ region: 'eu-central-1' }).step().scope.region, 'eu-central-1');
  const rig = Rig.converged({ region: 'eu-central-1' });
  rig.delete();
  assert.is(rig.step().scope.region, 'eu-central-1');
});

test('a pair without history waits until both ENIs were read: either may have its address', () => {
  const rig = new Rig();
  rig.step();
  const { networkInterfaces, ...rest } = rig.cloud.view(0);
  const { [ENI2]: _unread, ...one } = networkInterfaces;
  rig.read({ ...rest, networkInterfaces: one });
  rig.step();
  assert.is(rig.instances.length, 0);
  rig.read();
  rig.step();
  assert.is(rig.instances.length, 2);
});

test('one by one each VIP gets its turn, the first in spec first, also when one after the other is refused', () => {
  const vips = ['10.10.10.10', '10.10.10.20', '10.10.10.30'];
  const rig = new Rig({ addresses: vips.map((vip, at) => ({ name: `a${at}`, vip })) });
  rig.settle();
  rig.report('node1', 'Master', 1);
  const refused = failureOf({ code: 'InvalidParameterValue', message: 'no', httpStatus: 400 });
  const tried: string[] = [];
  for (let round = 0; round < 600 && tried.length < 6; round += 1) {
    rig.pass(500);
    const next = rig.step();
    if (next.readSinceMs !== undefined) rig.read();
    if (!next.call) continue;
    tried.push('privateIPAddresses' in next.call.call ? next.call.call.privateIPAddresses.join(' ') : '');
    rig.answer(refused);
  }
  assert.equal(tried, [vips.join(' '), ...vips, ...vips.slice(0, 2)]);
});

test('just elected, and the cached view says that all is right: that is not known before EC2 is read', () => {
  const rig = Rig.converged();
  rig.cloud.put(VIP, ENI2);
  rig.cloud.associate(ALLOCATION, ENI2, VIP);
  rig.pass(100);
  rig.read();
  rig.pass(100);
  rig.report('node2', 'Master', 2);
  const next = rig.step();
  assert.is(next.call, undefined);
  assert.ok(next.readSinceMs !== undefined);
  assert.is(rig.condition('AddressesConverged'), 'Unknown WaitingForRead');
  rig.read();
  rig.settle();
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(rig.calls.length, 0);
});

test('neither holder nor master is known any more: the first node of the spec has 200', () => {
  const rig = Rig.converged();
  const { holder: _holder, master: _master, ...status } = rig.pair.status ?? {};
  rig.pair = { ...rig.pair, status };
  rig.instances = [];
  rig.reading = {};
  rig.step();
  assert.is(rig.instance('node1').spec.priority, 200);
  assert.is(rig.instance('node2').spec.priority, 100);
});

test('an instance that somebody else owns besides is left as it is', () => {
  const rig = Rig.converged();
  const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'other', uid: 'uid-other' };
  rig.instances = rig.instances.map((each) => ({
    ...each,
    metadata: { ...each.metadata, ownerReferences: [other, ...(each.metadata.ownerReferences ?? [])] },
  }));
  rig.settle();
  assert.is(rig.instanceWrites, 0);
});

test('a single VIP on its way is told as moving; without its ENI that is told', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  rig.report('node2', 'Master', 2);
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False Moving');
  rig.answer(failureOf({ code: 'InvalidNetworkInterfaceID.NotFound', message: 'gone', httpStatus: 400 }));
  rig.pass(10);
  const view = rig.cloud.view(rig.nowMs);
  rig.read({ ...view, networkInterfaces: { ...view.networkInterfaces, [ENI2]: null } });
  rig.pass(60_000);
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False EC2TargetMissing');
});

test('a dropped address stays until every VIP of the spec has come up on the master', () => {
  const [second, third] = [
    { name: 'second', vip: '10.10.10.20' },
    { name: 'third', vip: '10.10.10.30' },
  ];
  const rig = Rig.converged({ addresses: [MAIN, second, third] });
  const recorded = (): string[] => rig.pair.status?.addresses?.map(({ name }) => name) ?? [];
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP, third.vip] });
  rig.edit({ addresses: [MAIN, second] });
  rig.settle();
  assert.equal(recorded(), ['main', 'second', 'third']);
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP, second.vip, third.vip] });
  rig.settle();
  assert.equal(recorded(), ['main', 'second']);
});

test('while the pair is paused nothing that was dropped is taken off', () => {
  const second = { name: 'second', vip: '10.10.10.20' };
  const rig = Rig.converged({ addresses: [MAIN, second], deletionPolicy: 'Unassign' });
  rig.edit({ paused: true, addresses: [MAIN] });
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.equal(
    rig.pair.status?.addresses?.map(({ name }) => name),
    ['main', 'second'],
  );
});

test('an ENI that EC2 does not know is told before any call has failed', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  const view = rig.cloud.view(rig.nowMs);
  rig.report('node2', 'Master', 2);
  rig.read({ ...view, networkInterfaces: { ...view.networkInterfaces, [ENI2]: null } });
  assert.is(rig.step().call, undefined);
  assert.is(rig.condition('AddressesConverged'), 'False EC2TargetMissing');
});

test('what the status says of a new master is no reason to doubt what EC2 was read to have', () => {
  const rig = Rig.converged();
  const addresses = rig.pair.status?.addresses?.map((each) => ({ ...each, holder: 'node2' })) ?? [];
  rig.pair = { ...rig.pair, status: { ...rig.pair.status, addresses } };
  rig.report('node2', 'Master', 2);
  assert.is(rig.step().call?.purpose, 'Move');
});

test.run();
