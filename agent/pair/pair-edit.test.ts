/** Edits of a running pair in place, and its end: addresses, probes, floors, deletion. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBackup, createMaster, VIP } from '../testing/pair-bench.ts';

test('another peer address is taken over without leaving Master', async () => {
  const bench = await createMaster();
  const before = bench.world.sent.length;
  await bench.apply({ peerAddress: '10.10.10.13' });
  assert.equal(
    bench.world.sent.slice(before).map(({ type }) => type),
    ['set'],
  );
  assert.is(bench.told('set').at(-1)?.config.peerAddress, '10.10.10.13');
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.observedGeneration, 2);
});

test('another address of its own: the virtual router ends at the old one and begins as Backup at the new one', async () => {
  const bench = await createBackup();
  const before = bench.world.sent.length;
  bench.world.addresses.push('10.10.10.14');
  await bench.look();
  await bench.apply({ sourceAddress: '10.10.10.14' });
  assert.equal(
    bench.world.sent.slice(before).map(({ type }) => type),
    ['remove', 'set'],
  );
  assert.is(bench.told('set').at(-1)?.config.sourceAddress, '10.10.10.14');
  const reports = bench.world.reports.length;
  await bench.enter('Init', 'Unconfigured');
  await bench.enter('Backup', 'AgentStarted');
  await bench.seconds(2);
  assert.is(bench.report?.state, 'Backup');
  assert.is(bench.report?.observedGeneration, 2);
  assert.not(bench.world.reports.slice(reports).some(({ state }) => state === 'Init'));
});

test('another ENI: nothing runs until IMDS has shown it on this instance', async () => {
  const bench = await createMaster();
  const before = bench.world.sent.length;
  await bench.apply({ networkInterfaceID: 'eni-9' });
  assert.equal(
    bench.world.sent.slice(before).map(({ type }) => type),
    ['remove'],
  );
  await bench.enter('Init', 'Unconfigured');
  assert.is(bench.condition('Ready'), 'False NetworkInterfaceMismatch');
  await bench.look('eni-9');
  assert.is(bench.told('set').at(-1)?.config.interface, 'eth0');
  await bench.enter('Backup', 'AgentStarted');
  assert.is(bench.report?.state, 'Backup');
});

test('an interface that is named where it was found before is no other place', async () => {
  const bench = await createMaster();
  await bench.apply({ interface: 'eth0' });
  await bench.apply({ networkInterfaceID: 'eni-1' });
  assert.equal(bench.told('remove'), []);
});

test('another interface: what was put on the old one is taken off there, and what EC2 delivers goes up on the new one', async () => {
  const calls: string[] = [];
  let refuses = true;
  const bench = await createBackup(
    {},
    {
      add: async (name, address) => void calls.push(`add ${name} ${address}`),
      async remove(name, address) {
        if (refuses) throw new Error('ip address del: operation not permitted');
        calls.push(`remove ${name} ${address}`);
      },
    },
  );
  await bench.claim();
  await bench.apply({ interface: 'eth1' });
  assert.is(bench.told('remove').length, 1);
  await bench.enter('Init', 'Unconfigured');
  bench.world.delivered = ['10.10.10.11', VIP];
  bench.pair.imds(bench.imdsReading());
  const own = { address: '10.10.10.11', prefixLength: 24 };
  bench.pair.interfaces({
    interfaces: [
      { name: 'eth0', up: true, addresses: [{ address: VIP, prefixLength: 32 }] },
      { name: 'eth1', up: true, addresses: [own] },
    ],
    reserved: [],
  });
  await bench.quiet();
  refuses = false;
  await bench.pass(5_000);
  assert.equal(calls, [`add eth0 ${VIP}`, `remove eth0 ${VIP}`, `add eth1 ${VIP}`]);
  assert.is(bench.told('set').at(-1)?.config.interface, 'eth1');
  await bench.enter('Backup', 'AgentStarted');
  assert.is(bench.world.disk?.interface, 'eth1');
  assert.equal(bench.world.disk?.added, [VIP]);
});

test('T8: a probe is echoed at once, also while the spec that carries it cannot be loaded', async () => {
  const bench = await createMaster();
  bench.world.diskUp = false;
  await bench.apply({ probe: 7, priority: 150 });
  assert.is(bench.report?.probe, 7);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.observedGeneration, 1);
  bench.world.diskUp = true;

  const unread = await createMaster();
  const { send } = unread.own().spec.vrrp;
  const v2 = {
    ...send,
    version: 2 as const,
    authentication: { secretRef: { name: 'hapair-vrrp', key: 'none' } },
  };
  await unread.apply({ probe: 8, vrrp: { send: v2, accept: [v2] } });
  assert.is(unread.report?.probe, 8);
  assert.is(unread.report?.observedGeneration, 1);
});

test('T8: a probe is echoed while the disk does not answer', async () => {
  const bench = await createBackup();
  const release = bench.holdDisk();
  await bench.peer('Master', 4);
  await bench.apply({ probe: 9, priority: 150 });
  assert.is(bench.report?.probe, 9);
  assert.is(bench.report?.observedGeneration, 1);
  release();
  await bench.quiet();
  assert.is(bench.report?.observedGeneration, 2);
});

test('T8: a probe is echoed at once when the API answers again, not after the next retry', async () => {
  const bench = await createMaster();
  bench.world.apiUp = false;
  // Something to report, in vain.
  bench.world.delivered = ['10.10.10.11'];
  await bench.seconds(20);
  bench.world.apiUp = true;
  await bench.apply({ probe: 4 });
  assert.is(bench.report?.probe, 4);
});

test('T18: a probe does not make a claim that has not settled show', async () => {
  const bench = await createBackup();
  await bench.enter('Master', 'MasterDownTimerExpired');
  const before = bench.world.reports.length;
  await bench.apply({ probe: 3 });
  assert.is(bench.world.reports.length, before);
  await bench.pass(10);
  await bench.settle();
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.probe, 3);
});

test('T21: a Master below a floor whose spec cannot be loaded takes a new term all the same', async () => {
  const bench = await createMaster();
  bench.world.diskUp = false;
  await bench.apply({ termFloor: 5 });
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 6);
  assert.is(bench.report?.observedGeneration, 1);
});

test('onDelete Remove counts although the disk is full', async () => {
  const bench = await createMaster();
  bench.world.diskUp = false;
  await bench.apply({ onDelete: 'Remove' });
  assert.ok(bench.world.addresses.includes(VIP), 'not before the object goes');
  await bench.pair.forget();
  assert.not(bench.world.addresses.includes(VIP));
});

test('onDelete Remove, and the kernel refuses: forgetting is tried again until the address is off', async () => {
  const bench = await createMaster({ onDelete: 'Remove' });
  bench.world.ipUp = false;
  const refused = await bench.pair.forget().then(
    () => 'forgotten',
    (error: Error) => error.message,
  );
  assert.match(refused, 'operation not permitted');
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.ipUp = true;
  assert.is(await bench.pair.forget(), null);
  assert.not(bench.world.addresses.includes(VIP));
  assert.is(bench.told('remove').length, 1, 'the worker was told once');
});

test('onDelete Remove was loaded, the agent crashed, the object is gone: from disk alone the address goes', async () => {
  const bench = await createMaster({ onDelete: 'Remove' });
  await bench.crash();
  const unread = await bench.pair.forget().then(
    () => 'forgotten',
    (error: Error) => error.message,
  );
  assert.match(unread, 'interfaces have not been read', 'what it must take off is not known yet');
  await bench.look();
  assert.is(await bench.pair.forget(), null);
  assert.not(bench.world.addresses.includes(VIP));
  assert.is(bench.world.disk, null);
});

test('the object vanished while the agent was away, without an order: the address stays, and stays known as ours', async () => {
  const bench = await createMaster();
  await bench.crash();
  await bench.look();
  const left = await bench.pair.forget();
  assert.ok(bench.world.addresses.includes(VIP));
  assert.equal(left?.added, [VIP]);
});

test('stopped after onDelete Remove was asked for: the VIP stays until EC2 has moved it, as at every stop', async () => {
  const bench = await createMaster({ onDelete: 'Remove' });
  bench.pair.stopped();
  await bench.seconds(2);
  assert.ok(bench.world.addresses.includes(VIP));
  assert.is(bench.report?.state, 'Init');
  await bench.pair.forget();
  assert.not(bench.world.addresses.includes(VIP));
});

test.run();
