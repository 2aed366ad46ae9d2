/** A report that somebody else has written: a second agent of this node's name before it was stopped, or a person. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createMaster, VIP } from '../testing/pair-bench.ts';

/** EC2 takes the VIP away for a moment, which is worth a report. */
const reportSomething = async (bench: Awaited<ReturnType<typeof createMaster>>): Promise<void> => {
  const reports = bench.world.reports.length;
  bench.world.delivered = ['10.10.10.11'];
  await bench.look();
  assert.is(bench.world.reports.length, reports + 1);
};

test('a Master whose report was overwritten reports again what is so', async () => {
  const bench = await createMaster();
  const before = bench.report;
  const reports = bench.world.reports.length;
  await bench.pass(1_000);
  bench.pair.desired(bench.overwrite({ state: 'Init', vipsOnInterface: [], conditions: [] }));
  await bench.quiet();
  assert.equal(bench.world.reports.slice(reports), [before], 'with the times it had');
  assert.equal(bench.own().status?.vipsOnInterface, [VIP]);
  await bench.seconds(60);
  assert.is(bench.world.reports.length, reports + 1);
});

test('S6: that the API server writes a report in its own way is no reason to repeat it', async () => {
  const bench = await createMaster();
  bench.world.storedAs = ({ vipsDelivered: _, ...status }) => ({ ...status, since: '2026-11-22T10:00:00Z' });
  await reportSomething(bench);
  const reports = bench.world.reports.length;
  bench.pair.desired(structuredClone(bench.own()));
  await bench.seconds(60);
  assert.is(bench.world.reports.length, reports);
  await bench.apply({ termFloor: 1 });
  await bench.seconds(60);
  assert.equal(
    bench.world.reports.slice(reports).map(({ observedGeneration }) => observedGeneration),
    [2],
    'a change of the spec is reported once',
  );
});

test('a watch that lags shows what was overwritten in turn: nothing is said', async () => {
  const bench = await createMaster();
  const late = bench.overwrite({ state: 'Init' });
  await reportSomething(bench);
  const reports = bench.world.reports.length;
  bench.pair.desired(late);
  await bench.seconds(60);
  assert.is(bench.world.reports.length, reports);
});

test('two that overwrite each other do not chase each other; the last word is the one that lives', async () => {
  const bench = await createMaster();
  const reports = bench.world.reports.length;
  for (let second = 0; second < 25; second += 1) {
    bench.pair.desired(bench.overwrite({ state: 'Init' }));
    await bench.seconds(1);
  }
  assert.is(bench.world.reports.length, reports + 3);
  await bench.seconds(10);
  assert.is(bench.own().status?.state, 'Master');
});

test('after a reload too the report is this node’s own', async () => {
  const bench = await createMaster();
  await bench.reload();
  await bench.enter('Master', 'AgentReloaded');
  await bench.settle();
  bench.pair.desired(bench.overwrite({ state: 'Init' }));
  await bench.look();
  assert.is(bench.own().status?.state, 'Master');
});

test.run();
