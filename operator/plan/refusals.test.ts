import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../ec2/errors.ts';
import { NODE1, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const DENIED = failureOf({
  code: 'UnauthorizedOperation',
  message: 'You are not authorized to perform this operation.',
  httpStatus: 403,
});
const LINE =
  /^FAIL {2}permission for AssignPrivateIpAddresses: EC2 has refused it since \S+Z; allow ec2:AssignPrivateIpAddresses /m;

const messageOf = (rig: Rig, type: string): string =>
  rig.pair.status?.conditions?.find((condition) => condition.type === type)?.message ?? '';

/** The failover to node2 was refused, and node1 is back as master: nothing is to be moved any more. */
const refusedAndBack = (): Rig => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  assert.ok(rig.step().call);
  rig.pass(1);
  rig.answer(DENIED);
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False EC2Unauthorized');
  assert.match(messageOf(rig, 'AddressesConverged'), 'Allow ec2:AssignPrivateIpAddresses: compare');
  rig.pass(1_000);
  rig.report('node1', 'Master', 3);
  rig.report('node2', 'Backup', 3);
  rig.read();
  rig.step();
  rig.settle();
  assert.is(rig.condition('AddressesConverged'), 'True Converged');
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
  return rig;
};

test('a permission that EC2 has refused stays told, with the IAM action, until a call of that action works', () => {
  const rig = refusedAndBack();
  assert.is(rig.condition('PreflightPassed'), 'False PreflightFailed');
  assert.match(messageOf(rig, 'PreflightPassed'), LINE);
  assert.equal(
    rig.events.filter(({ reason }) => reason === 'PreflightFailed').map(({ type }) => type),
    ['Warning'],
  );
  const writes = rig.statusWrites;
  rig.pass(5_000);
  rig.settle();
  assert.is(rig.statusWrites, writes, 'a quiet pair is not written (S6)');

  rig.pass(20 * 60_000);
  rig.read();
  rig.report('node2', 'Master', 4);
  rig.settle();
  assert.is(rig.condition('AddressesConverged'), 'True Converged');
  assert.not.match(messageOf(rig, 'PreflightPassed'), 'EC2 has refused');
  assert.is.not(rig.condition('PreflightPassed'), 'False PreflightFailed');
});

test('a process that has made no call yet repeats the refusal that was stored, with its time', () => {
  const rig = refusedAndBack();
  const told = LINE.exec(messageOf(rig, 'PreflightPassed'))?.[0];
  assert.ok(told);
  rig.restart();
  rig.pass(1_000);
  rig.report('node1', 'Master', 3);
  rig.report('node2', 'Backup', 3);
  rig.step();
  assert.match(messageOf(rig, 'PreflightPassed'), told);
  rig.read();
  rig.settle();
  assert.is(rig.condition('PreflightPassed'), 'False PreflightFailed');
  assert.match(messageOf(rig, 'PreflightPassed'), told);
});

test('a refusal stands while EC2 cannot be read', () => {
  const rig = refusedAndBack();
  for (let passed = 0; passed < 150_000; passed += 5_000) {
    rig.pass(5_000);
    rig.alive('node1');
    rig.alive('node2');
    rig.step();
  }
  assert.is(rig.condition('PreflightPassed'), 'False PreflightFailed');
  assert.match(messageOf(rig, 'PreflightPassed'), LINE);
  assert.match(messageOf(rig, 'PreflightPassed'), 'EC2 cannot be read');
});

test('what is refused to a release concerns a pair only as long as it releases', () => {
  const rig = Rig.converged({ deletionPolicy: 'Unassign' });
  rig.edit({ addresses: [{ name: 'other', vip: '10.10.10.20' }] });
  for (let round = 0; round < 30 && !rig.calls.at(-1)?.call.action.startsWith('Unassign'); round++) {
    rig.pass(1_000);
    rig.report('node1', 'Master', 1);
    const next = rig.step();
    rig.pass(1);
    if (next.call) rig.answer(next.call.purpose === 'Release' ? DENIED : { ok: true });
    rig.read();
  }
  rig.step();
  assert.match(messageOf(rig, 'PreflightPassed'), 'allow ec2:UnassignPrivateIpAddresses');
  rig.edit({ deletionPolicy: 'Retain' });
  rig.step();
  assert.not.match(messageOf(rig, 'PreflightPassed'), 'EC2 has refused');
});

test.run();
