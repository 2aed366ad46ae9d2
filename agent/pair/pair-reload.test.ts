/** A pair whose agent is replaced in place by another program (`hapair-agent reload`). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBackup, createMaster, VIP } from '../testing/pair-bench.ts';

test('a Master goes on in its term since the same instant, and tells nobody anything', async () => {
  const bench = await createMaster();
  const before = bench.report;
  const reports = bench.world.reports.length;
  await bench.reload();
  await bench.enter('Master', 'AgentReloaded');
  await bench.settle();
  await bench.look();
  // The watch shows the object anew.
  await bench.apply();
  await bench.seconds(5);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, before?.term);
  assert.is(bench.report?.since, before?.since);
  assert.equal(
    bench.world.reports.slice(reports).map(({ observedGeneration }) => observedGeneration),
    [2],
    'the new generation alone is worth a report',
  );
  assert.equal(bench.told('set'), [], 'the worker has run its configuration from the first moment');
  assert.ok(bench.world.addresses.includes(VIP));
  assert.equal(
    bench.pair.view().transitions.map(({ state, reason }) => `${state} ${reason}`),
    ['Master MasterDownTimerExpired', 'Backup AgentStarted'],
    'what was before is remembered',
  );
});

test('a Master that came back too late listens, says so, and keeps the VIP until EC2 has moved it', async () => {
  const bench = await createMaster();
  const before = bench.report;
  await bench.reload();
  await bench.enter('Backup', 'AgentStarted');
  await bench.look();
  await bench.apply();
  assert.is(bench.report?.state, 'Backup');
  assert.is(bench.report?.term, before?.term);
  assert.ok(bench.world.addresses.includes(VIP));
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  assert.not(bench.world.addresses.includes(VIP));
});

test('a Master that could not report yet takes its term afterwards', async () => {
  const bench = await createBackup();
  bench.world.apiUp = false;
  await bench.claim();
  assert.is(bench.report?.state, 'Backup');
  await bench.reload();
  await bench.enter('Master', 'AgentReloaded');
  await bench.look();
  assert.is(bench.pair.view().term, null);
  bench.world.apiUp = true;
  await bench.seconds(10);
  assert.is(bench.report?.state, 'Master');
  assert.is(bench.report?.term, 1);
});

test('the priority of a spec that was read a moment ago is trusted by the successor too', async () => {
  const bench = await createMaster();
  await bench.reload();
  await bench.seconds(1);
  assert.equal(bench.told('set'), []);
  bench.world.apiUp = false;
  await bench.seconds(45);
  assert.is(bench.told('set').at(-1)?.config.priority, 100, 'and not for longer than by its predecessor');
});

test('an order to yield that was carried out is not carried out again', async () => {
  const bench = await createMaster();
  await bench.apply({ yieldTerm: 1 });
  assert.is(bench.told('resign').length, 1);
  await bench.reload();
  await bench.apply();
  await bench.seconds(2);
  assert.equal(bench.told('resign'), []);
});

test('a term seen but not yet on disk is not lost', async () => {
  const bench = await createBackup();
  bench.world.diskUp = false;
  await bench.peer('Master', 7);
  await bench.reload();
  bench.world.diskUp = true;
  await bench.look();
  await bench.enter('Backup', 'AgentStarted');
  await bench.claim();
  assert.is(bench.report?.term, 8);
});

test('failed checks are known to the successor before its own have run', async () => {
  const bench = await createBackup();
  await bench.checks('fail');
  await bench.enter('Fault', 'ChecksFailed');
  await bench.reload();
  await bench.look();
  assert.equal(bench.told('fault'), [], 'no word of recovery');
  assert.is(bench.pair.view().state, 'Fault');
});

test('what has ended, or never ran, is not handed over', async () => {
  const bench = await createMaster();
  bench.pair.stopped();
  assert.is(bench.pair.handOver(0), null);
});

test.run();
