import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPair } from '../../../crds/types.ts';
import { validateHAPair } from '../../../crds/validate.ts';
import { place } from '../../lab/ec2/placement.ts';
import { holderOf, initialState } from '../../lab/ec2/state.ts';
import { fleetOf, manifestOf } from './fleet.ts';

const test = suite('bench fleet');
const COUNT = 450;
/** As many as fit on 200 instances: a couple has 255 VRIDs. */
const MOST_PAIRS = 25_500;
const fleet = fleetOf(COUNT);

const distinct = (values: readonly unknown[]): number => new Set(values).size;

test('450 pairs lie on 200 instances, and no two share a VIP, an EIP or a VRID on an ENI', () => {
  assert.is(fleet.vpc.instances.length, 200);
  assert.is(distinct(fleet.pairs.map(({ vip }) => vip)), COUNT);
  assert.is(distinct(fleet.pairs.map(({ allocationID }) => allocationID)), COUNT);
  assert.is(distinct(fleet.vpc.elasticIPs.map(({ publicIP }) => publicIP)), COUNT);
  const routers = fleet.pairs.flatMap(({ nodes, virtualRouterID }) =>
    nodes.map((node) => `${node}/${virtualRouterID}`),
  );
  assert.is(distinct(routers), 2 * COUNT);
});

test('instances have distinct names, ids and addresses', () => {
  const { instances } = fleet.vpc;
  for (const field of ['name', 'instanceID', 'networkInterfaceID', 'address'] as const)
    assert.is(distinct(instances.map((instance) => instance[field])), 200, field);
});

test('every HAPair is valid', () => {
  for (const pair of fleetOf(MOST_PAIRS).pairs.filter((_, index) => index % 997 === 0)) {
    const verdict = validateHAPair(manifestOf(fleet, pair) as HAPair);
    assert.ok(verdict.ok, JSON.stringify(verdict));
  }
});

test("EC2 accepts all placements, and each VIP then lies on its holder's ENI", () => {
  const state = place(initialState(fleet.vpc), fleet.initial);
  for (const { vip, nodes } of fleet.pairs) {
    const expected = fleet.vpc.instances[nodes[0]]?.networkInterfaceID;
    assert.is(holderOf(state, vip)?.networkInterfaceID, expected);
  }
  assert.is(state.elasticIPs.filter(({ association }) => association === null).length, 0);
});

test('both instances of a couple hold about half of its VIPs', () => {
  const evens = fleet.pairs.filter(({ nodes }) => nodes[0] % 2 === 0).length;
  assert.ok(Math.abs(evens - COUNT / 2) <= COUNT / 8, `${evens} of ${COUNT}`);
});

test('on fewer instances each holds more', () => {
  const small = fleetOf(COUNT, 10);
  assert.is(small.vpc.instances.length, 10);
  assert.is(Math.max(...small.pairs.map(({ virtualRouterID }) => virtualRouterID)), 90);
});

test('a fleet that does not fit is refused', () => {
  for (const count of [0, 1.5, MOST_PAIRS + 1]) assert.throws(() => fleetOf(count), /1 to/);
  assert.throws(() => fleetOf(511, 4), /1 to 510 pairs, not 511/);
});

test.run();
