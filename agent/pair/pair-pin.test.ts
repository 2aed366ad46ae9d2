/** Who may serve: pins, failed checks, and the last resort (traces T22, T23, T24). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBackup, createMaster, VIP } from '../testing/pair-bench.ts';

const claimOf = (bench: Awaited<ReturnType<typeof createBackup>>) => bench.told('set').at(-1)?.config.claim;

test('T24: told to claim never, a Master keeps the VIP until EC2 has moved it, and reports Backup', async () => {
  const bench = await createMaster();
  await bench.apply({ claim: 'Never', priority: 100 });
  assert.is(claimOf(bench), 'Never');
  await bench.enter('Backup', 'PinnedBySpec');
  assert.is(bench.report?.state, 'Backup');
  assert.is(bench.report?.observedGeneration, 2);
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  assert.not(bench.world.addresses.includes(VIP));
});

test('T24: told to claim never, a Master whose disk is full gives way all the same', async () => {
  const bench = await createMaster();
  bench.world.diskUp = false;
  await bench.apply({ claim: 'Never', priority: 100 });
  assert.is(claimOf(bench), 'Never');
  assert.is(bench.report?.observedGeneration, 1);
  await bench.apply({ claim: 'Always' });
  assert.is(claimOf(bench), 'Normal', 'a claim is made by what is loaded alone');
});

test('T25: an order to claim never that was taken back since moves no Master', async () => {
  const bench = await createMaster();
  bench.world.apiUp = false;
  await bench.apply({ claim: 'Never' });
  const replayed = structuredClone(bench.own());
  await bench.apply({ claim: 'Normal' });
  bench.world.apiUp = true;
  // A watch that is resumed tells first what was.
  bench.pair.desired(replayed);
  await bench.seconds(5);
  assert.equal(
    bench.told('set').filter(({ config }) => config.claim === 'Never'),
    [],
  );
  assert.is(bench.report?.observedGeneration, bench.own().metadata.generation);
});

test('T24: told to claim never while the API does not confirm it, a Master waits; a Backup obeys at once', async () => {
  const master = await createMaster();
  const release = master.holdAPI();
  await master.apply({ claim: 'Never' });
  assert.is(claimOf(master), 'Normal');
  release();
  await master.seconds(1);
  assert.is(claimOf(master), 'Never');

  const backup = await createBackup();
  backup.holdAPI();
  await backup.apply({ claim: 'Never' });
  assert.is(claimOf(backup), 'Never');
});

test('T24: told to claim never, not even a dead peer and failed checks make it the last resort', async () => {
  const bench = await createBackup({ claim: 'Never' });
  await bench.peer('Master', 2);
  await bench.checks('fail');
  await bench.enter('Fault', 'ChecksFailed');
  await bench.hear(false);
  await bench.seconds(120);
  assert.equal(bench.told('lastResort'), []);
});

test('told to claim always, the VIPs are on the interface in every state, and failed checks are shown', async () => {
  const bench = await createBackup();
  assert.not(bench.world.addresses.includes(VIP));
  await bench.apply({ claim: 'Always' });
  assert.is(claimOf(bench), 'Always');
  assert.ok(bench.world.addresses.includes(VIP));
  await bench.checks('fail');
  assert.is(bench.condition('Healthy'), 'False ChecksFailed');
  await bench.enter('Fault', 'SourceAddressMissing');
  bench.world.addresses = ['10.10.10.11'];
  await bench.look();
  assert.ok(bench.world.addresses.includes(VIP));
  await bench.apply({ claim: 'Normal' });
  await bench.seconds(2);
  assert.not(bench.world.addresses.includes(VIP), 'EC2 does not deliver it here');
});

test('a pinned Master with failed checks does not resign to a healthy peer', async () => {
  const bench = await createMaster({ claim: 'Always' });
  await bench.checks('fail');
  await bench.peer('Backup', 1);
  await bench.seconds(60);
  assert.equal(bench.told('resign'), []);
});

test('T23: the pin that is on disk holds while the node is cut off, and goes when its spec is read again', async () => {
  const bench = await createMaster({ claim: 'Always' });
  bench.world.apiUp = false;
  await bench.apply({ claim: 'Normal', priority: 100 });
  await bench.seconds(60);
  assert.is(claimOf(bench), 'Always');
  assert.is(
    bench.told('set').at(-1)?.config.priority,
    100,
    'V4 then decides for the node the API has reached',
  );
  await bench.crash();
  await bench.look();
  assert.is(claimOf(bench), 'Always');
  bench.world.apiUp = true;
  await bench.seconds(10);
  assert.is(claimOf(bench), 'Normal');
});

/** A node with failed checks whose peer was Master in term 2 and has fallen silent. */
const createLeftOver = async () => {
  const bench = await createBackup();
  await bench.peer('Master', 2);
  await bench.hear(true);
  await bench.checks('fail');
  await bench.enter('Fault', 'ChecksFailed');
  await bench.hear(false);
  return bench;
};
const createLastResort = async () => {
  const bench = await createLeftOver();
  await bench.seconds(55);
  await bench.enter('Master', 'LastResort');
  await bench.pass(10);
  await bench.settle();
  return bench;
};

test('failed checks are a Fault, and shown', async () => {
  const bench = await createBackup();
  await bench.checks('fail');
  assert.is(bench.told('fault').at(-1)?.fault, 'ChecksFailed');
  await bench.enter('Fault', 'ChecksFailed');
  assert.is(bench.report?.state, 'Fault');
  assert.is(bench.condition('Healthy'), 'False ChecksFailed');
  assert.is(bench.condition('Ready'), 'True InstanceConfigured');
  await bench.checks('pass');
  assert.is(bench.told('fault').at(-1)?.fault, null);
});

test('a missing address comes before failed checks', async () => {
  const bench = await createBackup();
  await bench.checks('fail');
  bench.world.addresses = [];
  await bench.look();
  assert.is(bench.told('fault').at(-1)?.fault, 'SourceAddressMissing');
});

test('T22: its checks failing, a node claims after 40 s without any sign of life of its dead peer, unhealthy and shown so', async () => {
  const bench = await createLeftOver();
  await bench.seconds(39);
  assert.equal(bench.told('lastResort'), []);
  await bench.seconds(16);
  assert.ok(bench.told('lastResort').length > 0);
  await bench.enter('Master', 'LastResort');
  assert.ok(bench.world.addresses.includes(VIP));
  await bench.pass(10);
  await bench.settle();
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 3);
  assert.is(bench.condition('Healthy'), 'False ChecksFailed');
});

test('T22: a peer that shows a sign of life, by its Lease or by its report, is not dead', async () => {
  const byLease = await createLeftOver();
  const byReport = await createLeftOver();
  for (let round = 0; round < 6; round += 1) {
    byLease.world.peerLease += 1;
    await byReport.peer('Backup', 2 + round);
    await byLease.seconds(20);
    await byReport.seconds(20);
  }
  assert.equal(byLease.told('lastResort'), []);
  assert.equal(byReport.told('lastResort'), []);
});

test('T22: the API must be reachable throughout, and a restart begins anew', async () => {
  const cut = await createLeftOver();
  await cut.seconds(30);
  cut.world.apiUp = false;
  await cut.seconds(60);
  assert.equal(cut.told('lastResort'), []);
  cut.world.apiUp = true;
  await cut.seconds(35);
  assert.equal(cut.told('lastResort'), []);
  await cut.seconds(25);
  assert.ok(cut.told('lastResort').length > 0);

  const restarted = await createLeftOver();
  await restarted.seconds(30);
  await restarted.crash();
  restarted.pair.desired(restarted.own());
  await restarted.peer('Master', 2);
  await restarted.look();
  await restarted.checks('fail');
  await restarted.enter('Fault', 'ChecksFailed');
  await restarted.hear(false);
  await restarted.seconds(39);
  assert.equal(restarted.told('lastResort'), []);
});

test('T22: a Master that is heard is not dead, whatever its Lease says', async () => {
  const bench = await createLeftOver();
  await bench.hear(true);
  await bench.seconds(120);
  assert.equal(bench.told('lastResort'), []);
});

test('T22: another fault than failed checks is no last resort', async () => {
  const bench = await createLeftOver();
  bench.world.linkUp = false;
  await bench.seconds(120);
  assert.equal(bench.told('lastResort'), []);
});

test('T22: it resigns to a healthy peer that returns, not to the report that peer left behind', async () => {
  const bench = await createLastResort();
  await bench.peer('Backup', 2);
  await bench.seconds(20);
  assert.equal(bench.told('resign'), [], 'older than this claim: the peer may be dead all the same');
  await bench.peer('Fault', 3);
  await bench.seconds(20);
  assert.equal(bench.told('resign'), [], 'its checks fail too');
  await bench.peer('Backup', 3);
  await bench.seconds(3);
  assert.equal(bench.told('resign'), [{ type: 'resign', pair: 'prod/web', reason: 'ChecksFailed' }]);
});

test('T22: its recovered checks make it an ordinary Master in the same term', async () => {
  const bench = await createLastResort();
  await bench.checks('pass');
  assert.is(bench.told('fault').at(-1)?.fault, null);
  await bench.peer('Backup', 3);
  await bench.seconds(20);
  assert.equal(bench.told('resign'), []);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 3);
  assert.is(bench.condition('Healthy'), 'True ChecksPassed');
});

test.run();
