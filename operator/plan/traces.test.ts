/** The operator's side of the traces that broke earlier drafts of the rules, by their names in TRACES.md. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vipsOf } from '../../crds/types.ts';
import { failureOf } from '../../ec2/errors.ts';
import { ALLOCATION, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const ENI1 = NODE1.networkInterfaceID;
const ENI2 = NODE2.networkInterfaceID;
const NO_ANSWER = failureOf({ code: 'TimeoutError', message: 'no answer' });

test('T1: the sole live Master takes a new term, and EC2 returns to it', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.pass(40_000);
  rig.report('node1', 'Master', 3);
  rig.settle();
  rig.pass(1_000);
  rig.settle();
  assert.is(
    rig.cloud.where(VIP),
    ENI1,
    'the pair has just switched, and a dead holder is asked for a second',
  );
  assert.is(rig.calls.length, 2);
});

test('T11: a call times out, the read-back shows the old holder, the effect lands later', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  const late = rig.step().call;
  rig.pass(10_000);
  rig.answer(NO_ANSWER, false);
  rig.pass(1);
  assert.is(rig.step().call, undefined, 'read first');
  rig.read();
  rig.pass(1000);
  assert.ok(rig.step().call, 'not there: again');
  rig.answer();
  rig.settle();
  assert.is(rig.condition('Ready'), 'True Serving');

  rig.report('node1', 'Master', 3);
  rig.settle();
  if (late) rig.cloud.apply(late.call);
  for (let second = 0; second < 4; second++) {
    rig.pass(1000);
    rig.read();
    if (rig.step().call) rig.answer();
  }
  rig.settle();
  assert.is(rig.cloud.where(VIP), ENI1, 'the extra move is repaired');
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('T13: reports of an older API cache, below status.term, move nothing', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  const [before] = rig.calls.splice(0);
  assert.is(before?.node, 'node2');
  rig.restart();
  rig.report('node1', 'Master', 1);
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('MasterElected'), 'False NoMaster');
  assert.is(rig.pair.status?.term, 2);
});

test('T13: neither does a term below one that this process has read', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step({ writes: false });
  rig.answer();
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.is(rig.calls.length, 1);
  assert.is(rig.cloud.where(VIP), ENI2);
});

test('T14: the VIP changes in the middle of a failover: the new one comes up before the old one goes', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.step();
  rig.edit({ addresses: [{ name: 'main', vip: '10.10.10.20', eipAllocationID: ALLOCATION }] });
  rig.answer();
  rig.settle();
  assert.is(rig.cloud.where('10.10.10.20'), ENI2);
  assert.is(rig.cloud.where(VIP), ENI2, 'released from the interface last, and left in EC2 (Retain)');
  assert.equal(rig.cloud.elasticIPs.get(ALLOCATION), {
    networkInterfaceID: ENI2,
    privateIPAddress: '10.10.10.20',
  });
  assert.equal(vipsOf(rig.instance('node2').spec), ['10.10.10.20']);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('T14: with the status lost, an address that spec no longer names is left alone', () => {
  const rig = Rig.converged();
  const { status: _lost, ...restored } = rig.pair;
  rig.pair = { ...restored, spec: { ...restored.spec, addresses: [{ name: 'main', vip: '10.10.10.20' }] } };
  rig.restart();
  rig.settle();
  assert.ok(rig.calls.every(({ items }) => !items.includes(VIP)));
  assert.is(rig.cloud.where(VIP), ENI1);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('T17: a late call of a dead operator moved the VIP; a change of master reads before it skips', () => {
  const rig = Rig.converged();
  rig.pass(10_000);
  rig.cloud.apply({
    action: 'AssignPrivateIpAddresses',
    networkInterfaceID: ENI2,
    privateIPAddresses: [VIP],
  });
  rig.read();
  rig.step();
  rig.cloud.apply({
    action: 'AssignPrivateIpAddresses',
    networkInterfaceID: ENI1,
    privateIPAddresses: [VIP],
  });
  rig.pass(100);
  rig.report('node2', 'Master', 2);
  const next = rig.step();
  assert.is(next.call, undefined, 'the cached view says: already right');
  assert.ok(next.readSinceMs !== undefined, 'but it is not believed');
  assert.is(rig.condition('Ready').startsWith('True'), false);
  rig.settle();
  assert.is(rig.cloud.where(VIP), ENI2);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('T20: VIP and EIP on different nodes, equal terms: holder is absent, the tie rule names one, one convergence', () => {
  const rig = new Rig();
  rig.cloud.put(VIP, ENI2);
  rig.cloud.associate(ALLOCATION, ENI1, NODE1.address);
  rig.settle();
  assert.is(rig.pair.status?.holder, undefined);
  rig.report('node1', 'Master', 1);
  rig.report('node2', 'Master', 1);
  rig.settle();
  assert.is(rig.pair.status?.master, 'node2', "EC2's holder of the first VIP");
  assert.is(rig.calls.length, 1, 'the EIP follows by AssociateAddress');
  assert.is(rig.pair.status?.holder, 'node2');
  rig.settle();
  assert.is(rig.calls.length, 1);
});

test('T21: a Master below the floor is not followed until it takes a new term', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.report('node2', 'Backup', 2);
  rig.settle();
  assert.is(rig.condition('MasterElected'), 'False NoMaster');
  assert.is(rig.instance('node1').spec.termFloor, 2);
  rig.report('node1', 'Master', 3);
  rig.settle();
  assert.is(rig.cloud.where(VIP), ENI1);
  assert.is(rig.calls.length, 2);
});

test.run();
