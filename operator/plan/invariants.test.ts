/** Plans that no product makes: each is refused, by the name of the invariant that it breaks, and nothing is done. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PlannedCall } from '../../delivery/types.ts';
import { VIP as MOVABLE } from '../../delivery/vip.ts';
import type { EC2Call } from '../../ec2/actions.ts';
import { ALLOCATION, EPOCH_MS, NODE1, NODE2, SETTINGS, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';
import { type Report, reportsOf } from './elect.ts';
import { assertPlan } from './invariants.ts';
import type { Plan, PlanInput } from './types.ts';

/** A pair at rest whose Master is node1 in term 1, with its plan. */
const scene = (rig = Rig.converged()): { input: PlanInput; plan: Plan; elected: Report | undefined } => {
  const input: PlanInput = {
    ...{ nowMs: rig.nowMs, wallMs: EPOCH_MS + rig.nowMs },
    ...{ pair: rig.pair, instances: rig.instances, life: rig.life, ec2: rig.reading, memory: rig.memory },
    ...{ settings: SETTINGS, problems: [], claimedElsewhere: rig.claimedElsewhere },
  };
  const elected = reportsOf(rig.pair.spec.nodes, rig.instances).find(({ state }) => state === 'Master');
  return { input, plan: rig.step(), elected };
};

const assign = (networkInterfaceID = NODE1.networkInterfaceID, vip = VIP): EC2Call => ({
  ...{ action: 'AssignPrivateIpAddresses', networkInterfaceID, privateIPAddresses: [vip] },
});
const disassociate: EC2Call = {
  ...{ action: 'DisassociateAddress', allocationID: ALLOCATION, associationID: 'eipassoc-1' },
  networkInterfaceID: NODE1.networkInterfaceID,
};

const planned = (change: Partial<PlannedCall> = {}): PlannedCall => ({
  ...{
    call: assign(),
    movable: MOVABLE,
    items: [VIP],
    isBatch: false,
    node: 'node1',
    term: 1,
    purpose: 'Move',
  },
  ...change,
});

test('the call of the elected Master, on recorded addresses, is let through', () => {
  const { input, plan, elected } = scene();
  const next = { ...plan, call: planned() };
  assert.is(assertPlan(input, next, elected, undefined), next);
});

test('S1: nobody is elected, or another node, or one of an older term', () => {
  const { input, plan, elected } = scene();
  const next = { ...plan, call: planned() };
  assert.throws(
    () => assertPlan(input, next, undefined, undefined),
    /^S1 authority: .* without its Master's/,
  );
  const other = { ...plan, call: planned({ call: assign(NODE2.networkInterfaceID), node: 'node2' }) };
  assert.throws(() => assertPlan(input, other, elected, undefined), /^S1 authority: .* without its Master's/);
  const newer = {
    ...next,
    memory: { ...plan.memory, authority: { ...plan.memory.authority, highestTerm: 2 } },
  };
  assert.throws(() => assertPlan(input, newer, elected, undefined), /^S1 authority: .* on a term below 2/);
  const pair = { ...input.pair, status: { ...input.pair.status, term: 2 } };
  assert.throws(
    () => assertPlan({ ...input, pair }, next, elected, undefined),
    /^S1 authority: .* below status\.term/,
  );
});

test('S1: a pin is authority enough, and nothing is while the pair is paused', () => {
  const { input, plan } = scene();
  const next = { ...plan, call: planned() };
  assert.is(assertPlan(input, next, undefined, 'node1'), next);
  assert.throws(() => assertPlan(input, next, undefined, 'node2'), /^S1/);
  const pair = { ...input.pair, spec: { ...input.pair.spec, paused: true } };
  assert.throws(() => assertPlan({ ...input, pair }, next, undefined, 'node1'), /^S1 .* spec\.paused is set/);
});

test('S1: what the spec names is not released, unless the pair goes; what another HAPair names never is', () => {
  for (const call of [{ ...assign(), action: 'UnassignPrivateIpAddresses' } as EC2Call, disassociate]) {
    const rig = Rig.converged();
    const { input, plan } = scene(rig);
    const next = { ...plan, call: planned({ call, purpose: 'Release' }) };
    assert.throws(() => assertPlan(input, next, undefined, undefined), /^S1 authority: .* it is in spec/);
    const metadata = { ...input.pair.metadata, deletionTimestamp: '2026-11-22T11:00:00Z' };
    const going = { ...input, pair: { ...input.pair, metadata } };
    assert.is(assertPlan(going, next, undefined, undefined), next);
    const claimed = { ...going, claimedElsewhere: [VIP, ALLOCATION] };
    assert.throws(() => assertPlan(claimed, next, undefined, undefined), /^S1/);
    const addresses = [{ name: 'main', vip: '10.10.10.20' }];
    const edited = { ...input, pair: { ...input.pair, spec: { ...input.pair.spec, addresses } } };
    assert.is(assertPlan(edited, next, undefined, undefined), next);
  }
});

test('S2: an address or an ENI that is not recorded is not touched', () => {
  const { input, plan, elected } = scene();
  for (const call of [assign(NODE1.networkInterfaceID, '10.10.10.99'), assign('eni-0eeeeeeeeeeeeeeee')]) {
    const next = { ...plan, call: planned({ call }) };
    assert.throws(() => assertPlan(input, next, elected, undefined), /^S2 blast radius: .* not recorded/);
  }
  const both: EC2Call = { ...assign(), privateIPAddresses: [VIP, '10.10.10.99'] } as EC2Call;
  const next = { ...plan, call: planned({ call: both }) };
  assert.throws(() => assertPlan(input, next, elected, undefined), /^S2/, 'one of two is one too many');
});

test('S5: no call while another is unanswered', () => {
  const { input, plan, elected } = scene();
  const calls = { ...input.memory.calls, unanswered: { ...planned(), startedAtMs: 0 } };
  const memory = { ...input.memory, calls };
  const next = { ...plan, call: planned() };
  assert.throws(() => assertPlan({ ...input, memory }, next, elected, undefined), /^S5 single step/);
});

test('S7: Ready does not become True while nothing that was read matched', () => {
  const { input, plan, elected } = scene();
  const { status } = input.pair;
  const unconfirmed: Plan = {
    ...plan,
    memory: { ...plan.memory, delivery: { ...plan.memory.delivery, converged: false } },
    ...(status && { status }),
  };
  const conditions = (status?.conditions ?? []).map((each) =>
    each.type === 'Ready' ? { ...each, status: 'False' as const } : each,
  );
  const before = { ...input, pair: { ...input.pair, status: { ...status, conditions } } };
  assert.throws(() => assertPlan(before, unconfirmed, elected, undefined), /^S7 truth/);
  assert.is(assertPlan(input, unconfirmed, elected, undefined), unconfirmed, 'it may stay True');
  const confirmed = { ...unconfirmed, memory: plan.memory };
  assert.is(assertPlan(before, confirmed, elected, undefined), confirmed);
});

test('S9: nobody is asked to yield a term that is not recorded', () => {
  const { input, plan, elected } = scene();
  const [instance] = input.instances;
  if (!instance) throw new Error('the pair has no instance');
  const asks = (yieldTerm: number): Plan => ({
    ...plan,
    instances: [{ ...instance, spec: { ...instance.spec, yieldTerm } }],
  });
  assert.throws(() => assertPlan(input, asks(1), elected, undefined), /^S9 orders: yieldTerm 1/);
  const stored = { ...input.pair.status, failback: { yieldTerm: 1 } };
  const recorded = { ...input, pair: { ...input.pair, status: stored } };
  const given = asks(1);
  assert.is(assertPlan(recorded, given, elected, undefined), given);
  assert.throws(() => assertPlan(recorded, asks(2), elected, undefined), /^S9/);
  const taken = asks(0);
  assert.is(assertPlan(recorded, taken, elected, undefined), taken);
});

test('S1: of several addresses that go together none may be named by another HAPair', () => {
  const { input, plan } = scene();
  const second = '10.10.10.20';
  const recorded = (input.pair.status?.addresses ?? []).map((each) => ({
    ...each,
    name: 'second',
    vip: second,
  }));
  const status = { ...input.pair.status, addresses: [...(input.pair.status?.addresses ?? []), ...recorded] };
  const metadata = { ...input.pair.metadata, deletionTimestamp: '2026-11-22T11:00:00Z' };
  const going = { ...input, pair: { ...input.pair, metadata, status } };
  const call = {
    ...assign(),
    action: 'UnassignPrivateIpAddresses',
    privateIPAddresses: [VIP, second],
  } as EC2Call;
  const next = { ...plan, call: planned({ call, purpose: 'Release' }) };
  assert.is(assertPlan(going, next, undefined, undefined), next);
  assert.throws(
    () => assertPlan({ ...going, claimedElsewhere: [second] }, next, undefined, undefined),
    /^S1/,
  );
});

test.run();
