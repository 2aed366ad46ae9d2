/** The status that is wanted, as far as no test of its parts says it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../ec2/errors.ts';
import { formatTime } from '../../runtime/time.ts';
import { ALLOCATION, EPOCH_MS, MAIN, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const SECOND = '10.10.10.20';

test('a column shows the first of several addresses and counts the others, and one holder if all agree', () => {
  const rig = Rig.converged();
  const { publicIP } = rig.pair.status?.addresses?.[0] ?? {};
  assert.equal(rig.pair.status?.columns, { holder: 'node1', vip: VIP, eip: publicIP });

  rig.edit({ addresses: [MAIN, { name: 'second', vip: SECOND }] });
  rig.cloud.put(SECOND, NODE2.networkInterfaceID);
  rig.read();
  rig.step();
  assert.is(rig.pair.status?.holder, undefined);
  assert.equal(rig.pair.status?.columns, { holder: 'mixed', vip: `${VIP} +1`, eip: publicIP });

  rig.cloud.put(SECOND, NODE1.networkInterfaceID);
  rig.read();
  rig.step();
  assert.equal(rig.pair.status?.columns, { holder: 'node1', vip: `${VIP} +1`, eip: publicIP });
});

test('without any address there is no column to fill', () => {
  const rig = new Rig({ addresses: [] });
  rig.step();
  assert.is(rig.pair.status?.columns, undefined);
});

test('columns count what the spec names, not what is still recorded besides', () => {
  const rig = Rig.converged();
  rig.edit({ addresses: [{ ...MAIN, vip: SECOND }] });
  rig.step();
  assert.equal(
    rig.pair.status?.addresses?.map(({ vip }) => vip),
    [SECOND, VIP],
  );
  assert.is(rig.pair.status?.columns?.vip, SECOND);
});

test('nobody stands by before there is a master', () => {
  const rig = new Rig();
  rig.settle();
  assert.is(rig.pair.status?.standby, undefined);
});

test('EC2 could not be read for long: since when, in wall-clock time', () => {
  const rig = Rig.converged();
  const { view } = rig.reading;
  assert.ok(view);
  rig.reading = { view, failure: { class: 'TimedOut', message: 'no answer', atMs: rig.nowMs } };
  for (let passed = 0; passed < 150_000; passed += 5_000) {
    rig.pass(5_000);
    rig.alive('node1');
    rig.alive('node2');
    rig.step();
  }
  const converged = rig.pair.status?.conditions?.find(({ type }) => type === 'AddressesConverged');
  assert.is(
    converged?.message,
    `EC2 could not be read since ${formatTime(EPOCH_MS + view.readAtMs)}: no answer.`,
  );
});

/** Time passes, both agents live, and nothing of EC2 arrives. */
const silence = (rig: Rig, ms: number): void => {
  for (let passed = 0; passed < ms; passed += 5_000) {
    rig.pass(5_000);
    rig.alive('node1');
    rig.alive('node2');
    rig.step();
  }
};

test('a reading that is too old says so by itself: no failure need be told', () => {
  const rig = Rig.converged();
  const readAtMs = rig.reading.view?.readAtMs ?? 0;
  silence(rig, 115_000);
  assert.is(rig.condition('Ready'), 'True Serving');
  silence(rig, 10_000);
  assert.is(rig.condition('AddressesConverged'), 'Unknown EC2ReadFailed');
  assert.is(rig.condition('Ready'), 'Unknown EC2ReadFailed');
  assert.is(rig.condition('PreflightPassed'), 'Unknown EC2ReadFailed', 'nothing is green while blind');
  const converged = rig.pair.status?.conditions?.find(({ type }) => type === 'AddressesConverged');
  assert.is(
    converged?.message,
    `EC2 could not be read since ${formatTime(EPOCH_MS + readAtMs)}: no reading of it has ended.`,
  );
  rig.read();
  rig.step();
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('a pair that no reading ever reached does not blame the agents', () => {
  const rig = new Rig();
  rig.step();
  silence(rig, 115_000);
  assert.is(rig.condition('MasterElected'), 'False WaitingForElection');
  silence(rig, 10_000);
  assert.is(rig.condition('MasterElected'), 'False EC2ReadFailed');
});

test('a call that is never answered is no move under way for ever', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  assert.ok(rig.step().call);
  silence(rig, 115_000);
  assert.is(rig.condition('Ready'), 'False Moving');
  silence(rig, 10_000);
  assert.is(rig.condition('Ready'), 'Unknown EC2ReadFailed');
});

test('EC2 refuses an EIP that something else holds: the condition says which, and not whose it is', () => {
  const rig = Rig.converged();
  rig.cloud.associate(ALLOCATION, 'eni-0ffffffffffffffff', '10.10.10.99');
  rig.report('node2', 'Master', 2);
  rig.read();
  const { call } = rig.step();
  assert.ok(call);
  rig.pass(1);
  const message = 'You do not have permission to access the specified resource.';
  rig.answer(failureOf({ code: 'AuthFailure', message, httpStatus: 400 }));
  rig.step();
  assert.is(rig.condition('AddressesConverged'), 'False EC2AddressInUse');
  const told = rig.pair.status?.conditions?.find(({ type }) => type === 'AddressesConverged')?.message ?? '';
  assert.match(told, `${ALLOCATION}: held by a network interface that is none of this pair's`);
  assert.not.match(told, 'eni-0f');
});

test.run();
