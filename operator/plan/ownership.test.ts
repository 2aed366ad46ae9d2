/** Whose an address is: what the operator places, moves, leaves alone, puts back and takes off. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type AddressStatus, vipsOf } from '../../crds/types.ts';
import type { EC2Facts } from '../../ec2/types.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const ENI1 = NODE1.networkInterfaceID;
const ENI2 = NODE2.networkInterfaceID;
const STRANGER = 'eni-0dddddddddddddddd';
const OTHER_VIP = '10.10.10.20';
const EIP_ALONE = { addresses: [{ name: 'main', eipAllocationID: ALLOCATION }] };

const entryOf = ({ pair }: Rig, name = 'main'): AddressStatus | undefined =>
  pair.status?.addresses?.find((address) => address.name === name);

/** Time passes, calls work, readings are made as asked for, and one every two seconds besides. */
const passes = (rig: Rig, seconds: number): void => {
  for (let second = 0; second < seconds; second += 2) {
    rig.pass(2_000);
    rig.read();
    rig.settle();
  }
};

/** A pair of which nothing was placed: node1 is its master. */
const begun = (change: Parameters<typeof Rig.converged>[0], prepare: (rig: Rig) => void): Rig => {
  const rig = new Rig(change);
  prepare(rig);
  rig.settle();
  rig.report('node1', 'Backup', 0);
  rig.report('node2', 'Backup', 0);
  rig.pass(1_000);
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP, OTHER_VIP] });
  rig.report('node2', 'Backup', 1);
  return rig;
};

/** A live keepalived pair: its addresses lie on node1's ENI. */
const adopted = (change: Parameters<typeof Rig.converged>[0] = {}): Rig => {
  const rig = begun(change, ({ cloud }) => {
    cloud.put(VIP, ENI1);
    cloud.associate(ALLOCATION, ENI1, VIP);
  });
  rig.settle();
  return rig;
};

test('what is nowhere is placed after a reading, and only once it is recorded where', () => {
  const rig = begun({}, () => undefined);
  const { reading } = rig;
  while (rig.calls.length === 0) {
    const { readSinceMs } = rig.step();
    if (rig.calls.length > 0) break;
    rig.pass(1);
    if (readSinceMs !== undefined) rig.read();
  }
  assert.is.not(rig.reading, reading, 'EC2 was read since the report');
  assert.is(entryOf(rig)?.placing, ENI1);
  assert.is(entryOf(rig)?.placedTime, undefined, 'recorded is not placed');
  rig.pass(1);
  rig.answer();
  rig.step();
  assert.is(entryOf(rig)?.placedTime, undefined, 'an answer is no reading');
  rig.settle();
  const { placing, placedTime, eipPlacedTime } = entryOf(rig) ?? {};
  assert.ok(placedTime !== undefined && eipPlacedTime !== undefined);
  assert.is(placing, undefined);
});

test('a placing that an operator did not live to see is known by the next one', () => {
  const rig = begun({}, () => undefined);
  while (rig.calls.length === 0) rig.settleOnce();
  rig.restart();
  rig.settle();
  assert.ok(entryOf(rig)?.placedTime !== undefined);
});

test('a live pair is adopted: nothing is placed, and a failover is one call with no reading before it', () => {
  const rig = adopted();
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('Ready'), 'True Serving');
  assert.is(entryOf(rig)?.placedTime, undefined, 'keepalived had put it there');
  rig.report('node2', 'Master', 2);
  const { call, readSinceMs } = rig.step();
  assert.is(call?.call.networkInterfaceID, ENI2);
  assert.is(readSinceMs, undefined);
  rig.pass(1);
  rig.answer();
  rig.settle();
  assert.is(rig.calls.length, 1);
  const { placedTime, eipPlacedTime } = entryOf(rig) ?? {};
  assert.ok(placedTime !== undefined && eipPlacedTime !== undefined, 'now the operator has put it there');
});

test('what a foreign ENI holds, and the pair never had, is left there, told of, and placed once it is free', () => {
  const rig = begun(EIP_ALONE, ({ cloud }) => cloud.associate(ALLOCATION, STRANGER, '10.10.10.99'));
  passes(rig, 20);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('Ready'), 'False AddressHeldElsewhere');
  assert.is(rig.condition('AddressesConverged'), 'False AddressHeldElsewhere');
  const message = rig.pair.status?.message ?? '';
  assert.match(message, `${ALLOCATION} is held by a network interface that is none of this pair's`);
  assert.not.match(message, STRANGER);
  assert.is(entryOf(rig)?.placing, undefined);
  rig.cloud.elasticIPs.set(ALLOCATION, undefined);
  passes(rig, 4);
  assert.is(rig.cloud.elasticIPs.get(ALLOCATION)?.networkInterfaceID, ENI1);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a VIP that a foreign ENI holds is not placed, no node is told of it, and its holder is told to the operator alone', () => {
  const rig = begun(
    {
      addresses: [
        { name: 'main', vip: VIP },
        { name: 'second', vip: OTHER_VIP },
      ],
    },
    ({ cloud }) => cloud.put(OTHER_VIP, STRANGER),
  );
  for (let round = 0; round < 20; round++) {
    rig.pass(1_000);
    rig.read();
    if (rig.step().call) rig.answer();
  }
  assert.is(rig.cloud.where(OTHER_VIP), STRANGER);
  assert.is(rig.cloud.where(VIP), ENI1, 'what is free is served');
  assert.is(rig.condition('Ready'), 'False AddressHeldElsewhere');
  assert.equal(
    rig.instances.map(({ spec }) => vipsOf(spec)),
    [[VIP], [VIP]],
  );
  assert.is(rig.condition('PreflightPassed'), 'False PreflightFailed');
  const messages = JSON.stringify([rig.pair.status, rig.events]);
  assert.match(messages, `VIP ${OTHER_VIP}: it is held by a network interface that is none of this pair's`);
  assert.not.match(messages, STRANGER);
  const told = rig.forOperator.map(({ message }) => message);
  assert.equal(told.length, 1, 'once');
  assert.match(
    told[0] ?? '',
    `HAPair prod/web names what an ENI has that is none of the pair's: ${OTHER_VIP} is on ${STRANGER}`,
  );
  rig.cloud.put(OTHER_VIP, undefined);
  passes(rig, 6);
  assert.is(rig.cloud.where(OTHER_VIP), ENI1, 'by itself, once it is free');
});

test('a VIP that was listed is delisted when a foreign ENI has it, or once it is known to lie outside the subnet', () => {
  const rig = Rig.converged();
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP] });
  rig.edit({ addresses: [MAIN, { name: 'second', vip: OTHER_VIP }] });
  rig.settle();
  const told = () => rig.instances.map(({ spec }) => vipsOf(spec).includes(OTHER_VIP));
  assert.equal(told(), [true, true], 'it is free, and waits for the agent');
  rig.cloud.put(OTHER_VIP, STRANGER);
  passes(rig, 2);
  assert.equal(told(), [false, false]);
  rig.cloud.put(OTHER_VIP, undefined);
  passes(rig, 2);
  assert.equal(told(), [true, true]);
  const facts: EC2Facts = {
    ...{ readAtMs: rig.nowMs, instances: {}, securityGroupRules: {}, addressesPerInterface: {} },
    subnets: { 'subnet-1': { subnetID: 'subnet-1', cidrBlock: '10.10.10.0/28', availabilityZone: 'a' } },
    mayAssociate: {},
  };
  rig.reading = { ...rig.reading, facts };
  rig.step();
  assert.equal(told(), [false, false]);
  assert.ok(
    rig.instances.every(({ spec }) => vipsOf(spec).includes(VIP)),
    'what is placed stays',
  );
});

test('a VIP that is placed stays up while it is put back', () => {
  const rig = Rig.converged();
  rig.cloud.put(VIP, STRANGER);
  rig.pass(2_000);
  rig.read();
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False AddressElsewhere');
  assert.not.match(JSON.stringify(rig.pair.status), STRANGER);
  assert.ok(rig.instances.every(({ spec }) => vipsOf(spec).includes(VIP)));
  passes(rig, 4);
  assert.is(rig.cloud.where(VIP), ENI1);
});

test('what was placed and taken away is put back, also after a failover, once two readings agree', () => {
  const rig = Rig.converged(EIP_ALONE);
  rig.cloud.associate(ALLOCATION, STRANGER, '10.10.10.99');
  rig.pass(2_000);
  rig.read();
  rig.report('node2', 'Master', 2);
  assert.is(rig.step().call, undefined, 'the cached view alone takes nothing from a foreign ENI');
  passes(rig, 8);
  assert.is(rig.cloud.elasticIPs.get(ALLOCATION)?.networkInterfaceID, ENI2);
  assert.equal(
    rig.calls.map(({ purpose }) => purpose),
    ['Repair'],
  );
});

const TAG = { hapair: 'yes' };

/** A converged pair of which everything is tagged, under an operator that asks for that. */
const tagged = (): Rig => {
  const rig = Rig.converged();
  for (const id of [ENI1, ENI2, ALLOCATION]) rig.cloud.tags[id] = TAG;
  rig.requireTag = { key: 'hapair', value: 'yes' };
  passes(rig, 2);
  return rig;
};

test('with requireTag an untagged ENI loses no address, not even one that was placed', () => {
  const rig = tagged();
  rig.cloud.put(VIP, STRANGER);
  passes(rig, 10);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('AddressesConverged'), 'False NotPermitted');
  assert.is(rig.condition('Ready'), 'False NotPermitted');
  assert.match(rig.pair.status?.message ?? '', VIP);
  rig.cloud.tags[STRANGER] = TAG;
  passes(rig, 6);
  assert.is(rig.cloud.where(VIP), ENI1);
});

test('with requireTag an untagged EIP keeps its association, and its tag is read', () => {
  const other = 'eipalloc-0ddddddddddddddd4';
  const rig = tagged();
  rig.edit({
    addresses: [MAIN, { name: 'second', vip: OTHER_VIP, eipAllocationID: 'eipalloc-0eeeeeeeeeeeeeee5' }],
  });
  rig.cloud.put(OTHER_VIP, ENI1);
  rig.cloud.tags['eipalloc-0eeeeeeeeeeeeeee5'] = TAG;
  rig.cloud.elasticIPs.set('eipalloc-0eeeeeeeeeeeeeee5', undefined);
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP, OTHER_VIP] });
  const read = (tags: Record<string, string>): void => {
    const view = rig.cloud.view(rig.nowMs);
    const eni = view.networkInterfaces[ENI1];
    const association = { allocationID: other, publicIP: '203.0.113.99' };
    const privateIPAddresses = (eni?.privateIPAddresses ?? []).map((each) =>
      each.privateIPAddress === OTHER_VIP ? { ...each, association } : each,
    );
    const networkInterfaces = {
      ...view.networkInterfaces,
      ...(eni && { [ENI1]: { ...eni, privateIPAddresses } }),
    };
    const elasticIPs = {
      ...view.elasticIPs,
      [other]: { allocationID: other, publicIP: '203.0.113.99', tags },
    };
    rig.read({ ...view, networkInterfaces, elasticIPs });
  };
  const looks = (tags: Record<string, string>): void => {
    for (let second = 0; second < 6; second++) {
      rig.pass(1_000);
      read(tags);
      const { scope } = rig.step();
      assert.ok(scope.allocationIDs.includes(other), 'its tags are read');
      if (rig.memory.calls.unanswered) rig.answer();
    }
  };
  looks({});
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('AddressesConverged'), 'False NotPermitted');
  looks(TAG);
  assert.ok(rig.calls.length > 0, 'what is tagged may be displaced');
});

test('while the pair is paused, what two readings show on a foreign ENI is given up', () => {
  const rig = Rig.converged(EIP_ALONE);
  rig.edit({ paused: true });
  rig.settle();
  rig.cloud.associate(ALLOCATION, STRANGER, '10.10.10.99');
  rig.pass(2_000);
  rig.read();
  rig.step();
  assert.ok(entryOf(rig)?.placedTime !== undefined, 'one reading gives nothing up');
  passes(rig, 6);
  assert.is(entryOf(rig)?.placedTime, undefined);
  rig.edit({ paused: false });
  passes(rig, 20);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('Ready'), 'False AddressHeldElsewhere');
});

test('with the status lost nothing is placed, and what lies on the ENIs of the pair is served on', () => {
  const rig = Rig.converged();
  const { status: _lost, ...pair } = rig.pair;
  rig.pair = pair;
  rig.restart();
  rig.read();
  rig.settle();
  assert.is(entryOf(rig)?.placedTime, undefined);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('an EIP that is added to a placed VIP is not placed with it', () => {
  const rig = Rig.converged({ addresses: [{ name: 'main', vip: VIP }] });
  rig.cloud.associate(ALLOCATION, STRANGER, '10.10.10.99');
  rig.edit({ addresses: [MAIN] });
  passes(rig, 20);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('Ready'), 'False AddressHeldElsewhere');
  rig.report('node2', 'Master', 2);
  passes(rig, 2);
  assert.is(rig.cloud.where(VIP), ENI2, 'the VIP fails over all the same');
});

test('an entry that is renamed stays placed', () => {
  const rig = Rig.converged();
  rig.edit({ addresses: [{ ...MAIN, name: 'renamed' }] });
  rig.settle();
  assert.ok(entryOf(rig, 'renamed')?.placedTime !== undefined);
});

test('an address dropped before it was ever on an ENI of the pair is never placed', () => {
  const rig = Rig.converged();
  rig.edit({ paused: true, addresses: [MAIN, { name: 'second', vip: OTHER_VIP }] });
  rig.settle();
  assert.ok(entryOf(rig, 'second') !== undefined, 'it is recorded');
  rig.edit({ paused: false, addresses: [MAIN, { name: 'second', vip: '10.10.10.30' }] });
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP, OTHER_VIP, '10.10.10.30'] });
  passes(rig, 10);
  assert.is(rig.cloud.where(OTHER_VIP), undefined);
  assert.is(rig.cloud.where('10.10.10.30'), ENI1);
  assert.not(rig.calls.some(({ items }) => items.includes(OTHER_VIP)));
  assert.is(
    rig.instance('node1').spec.addresses?.some(({ replacedVIPs }) => replacedVIPs?.includes(OTHER_VIP)),
    false,
    'no agent is told of it',
  );
});

test('Unassign takes off only what this pair has placed', () => {
  const rig = adopted({ deletionPolicy: 'Unassign' });
  rig.delete();
  for (let round = 0; round < 600 && !rig.deleted; round++) {
    rig.pass(100);
    rig.settleOnce();
  }
  assert.ok(rig.deleted);
  assert.is(rig.calls.length, 0);
  assert.is(rig.cloud.where(VIP), ENI1);
  assert.not(
    rig.instances.some(({ spec }) => spec.onDelete === 'Remove'),
    'what EC2 goes on delivering stays on the interface',
  );
  const { message } = rig.events.find(({ reason }) => reason === 'Deleted') ?? {};
  assert.match(message ?? '', `${VIP}, ${ALLOCATION}`);
});

test('a VIP that is dropped and was never placed is left where it is, also with Unassign', () => {
  const rig = adopted({ deletionPolicy: 'Unassign', addresses: [MAIN, { name: 'second', vip: OTHER_VIP }] });
  rig.edit({ addresses: [{ name: 'second', vip: OTHER_VIP }] });
  passes(rig, 20);
  assert.is(rig.cloud.where(VIP), ENI1);
  assert.is(entryOf(rig), undefined, 'and it is forgotten');
});

test('a pin never places a new address on a node that has not put it up', () => {
  const rig = Rig.converged();
  rig.report('node1', 'Master', 1, { vipsOnInterface: [VIP] });
  rig.report('node2', 'Backup', 1, { vipsOnInterface: [] });
  rig.edit({ addresses: [{ name: 'main', vip: OTHER_VIP }] });
  rig.settle();
  assert.is(rig.condition('AddressesConverged'), 'False WaitingForAgent');
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  assert.is(rig.cloud.where(OTHER_VIP), undefined, 'not on the old holder while the pin waits for its node');
  rig.report('node1', 'Backup', 1, { vipsOnInterface: [VIP] });
  passes(rig, 10);
  assert.is(rig.cloud.where(OTHER_VIP), undefined, 'nor on the pinned node that lacks it');
  assert.is(rig.cloud.where(VIP), ENI2, 'what the pair has goes there without waiting');
  rig.report('node2', 'Master', 2, { vipsOnInterface: [VIP, OTHER_VIP] });
  passes(rig, 4);
  assert.is(rig.cloud.where(OTHER_VIP), ENI2);
});

test.run();
