/** The checker itself: a deliberately broken rule is caught, and the invariant that it breaks is named. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VRRPInstance } from '../crds/types.ts';
import type { EC2Call } from '../ec2/actions.ts';
import type { KubeObject } from '../kube/types.ts';
import { VIP } from '../operator/testing/fixtures.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

/** @throws Error when nothing is broken, or something else is. */
const breaks = async (invariant: RegExp, life: Promise<unknown>): Promise<void> => {
  const error = await life.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, Error);
  assert.match((error as Error).message.split('\n')[0] ?? '', invariant);
};

const instanceIn = (object: KubeObject): VRRPInstance | undefined =>
  object.kind === 'VRRPInstance' ? (object as unknown as VRRPInstance) : undefined;

test('L1: an agent that skips termFloor and the terms of others', async () => {
  const world = await World.converged();
  const { node1, node2, ec2 } = world;
  node1.path.tamper = (object) => {
    const instance = instanceIn(object);
    if (instance === undefined) return;
    instance.spec.termFloor = 0;
    if (instance.spec.nodeName === 'node2' && instance.status) instance.status.term = 0;
  };
  ec2.readMs = 3_000;
  world.cut(node1, node2);
  await world.until('EC2 moves', () => world.holder === 'node2');
  world.heal();
  await world.until('node2 demotes', () => node2.state === 'Backup', 2_000);
  ec2.readMs = 40;
  await breaks(
    /^L1 converge: 10\.10\.10\.10 is on eni-0bbbbbbbbbbbbbbb2, and node1 is Master$/,
    world.pass(300_000),
  );
});

test('S1: an operator that believes a stale report above a newer one', async () => {
  const world = await World.converged();
  const { operator } = world;
  world.part();
  await world.until(
    'EC2 moves to node2',
    () => world.isServedBy('node2') || world.pair.status?.holder === 'node2',
  );
  operator.path.tamper = (object) => {
    const instance = instanceIn(object);
    if (instance?.spec.nodeName === 'node1' && instance.status) instance.status.term = 9;
  };
  // With the API in reach both agents would take terms above the invented one: the rules heal even this.
  for (const machine of world.machines) world.cutAPI(machine);
  operator.kill();
  operator.start();
  await breaks(/^S1 authority: operator#2: .*Masters read with term 2 are node2$/, world.pass(120_000));
});

/** A call of the operator's process that moves `vip` to a machine. */
const call = (machine: Machine, vip = VIP): EC2Call => ({
  action: 'AssignPrivateIpAddresses',
  networkInterfaceID: machine.node.networkInterfaceID,
  privateIPAddresses: [vip],
});

test('S1, S2, S4, S5: calls that no product makes', async () => {
  const world = await World.converged();
  const { node1, node2, operator } = world;
  assert.throws(() => world.pretendCalled(call(node2)), /^S1 authority: operator#1: .* are node1$/);
  assert.throws(() => world.pretendCalled(call(node1, '10.10.10.99')), /^S2 blast radius/);
  world.pretendCalled(call(node1));
  assert.throws(() => world.pretendCalled(call(node1)), /^S5 single step/);
  operator.stop();
  await world.pass(16_000);
  assert.throws(() => world.pretendCalled(call(node1)), /^S4 lease/);
});

test('V5: an interface that does not keep the VIP', async () => {
  const world = await World.converged();
  const { node1, node2 } = world;
  node1.keepsAddresses = false;
  node1.setAddresses(node1.addresses.filter((address) => address !== VIP));
  assert.ok(node2.isSound);
  await breaks(
    /^V5 door: EC2 delivers 10\.10\.10\.10 to node1, whose interface lacks it$/,
    world.pass(10_000),
  );
});

test('V2: two Masters on sound links', async () => {
  const world = await World.converged();
  const { node2 } = world;
  node2.hear({ type: 'state', pair: 'prod/web', state: 'Master', reason: 'AgentStarted', atMs: 0 });
  await breaks(/^V2 no false master: node1 and node2 are Master on sound links$/, world.pass(20_000));
});

test('S7: a status that says Ready before EC2 was read', async () => {
  const world = await World.converged();
  const { ec2, node1, node2 } = world;
  ec2.omitted.add(node2.node.networkInterfaceID);
  node1.crash();
  await world.until('node2 is master', () => world.pair.status?.master === 'node2');
  const { conditions = [], ...status } = world.pair.status ?? {};
  const lie = conditions.map((condition) =>
    condition.type === 'Ready' ? { ...condition, status: 'True' as const } : condition,
  );
  assert.throws(
    () => world.pretendWritten({ ...world.pair, status: { ...status, conditions: lie } }),
    /^S7 truth: Ready became True/,
  );
});

test('S6: a write at rest', async () => {
  const world = await World.converged();
  world.node2.path.tamper = () => undefined;
  world.timeline.after(5_000, () => world.edit({ preferredNode: 'node1' }));
  await breaks(/^S6 quiet: /, world.staysQuiet());
});

test.run();
