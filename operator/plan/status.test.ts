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
