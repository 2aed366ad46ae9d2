import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { InterfaceReading } from '../ports.ts';
import { addressesOf, createBackup } from '../testing/pair-bench.ts';

const WHY = 'the agent lacks CAP_NET_ADMIN';
const denied: InterfaceReading = {
  interfaces: [{ name: 'eth0', up: true, addresses: [{ address: '10.10.10.11', prefixLength: 24 }] }],
  reserved: [],
  denied: WHY,
};

test('an agent that may not put a VIP up is in Fault and says why: its peer serves', async () => {
  const bench = await createBackup();
  bench.pair.interfaces(denied);
  await bench.quiet();
  assert.is(bench.told('fault').at(-1)?.fault, 'InstanceFaulty');
  await bench.enter('Fault', 'InstanceFaulty');
  const ready = bench.report?.conditions?.[0];
  assert.equal([ready?.status, ready?.reason, ready?.message], ['False', 'InstanceFaulty', WHY]);
});

test('without a VIP there is nothing to put up, and it serves', async () => {
  const bench = await createBackup({ addresses: addressesOf() });
  bench.pair.interfaces(denied);
  await bench.quiet();
  assert.equal(bench.told('fault'), []);
  assert.is(bench.report?.conditions?.[0]?.status, 'True');
});

test.run();
