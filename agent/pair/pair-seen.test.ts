/** What a pair shows of itself, and what packets that are rejected may and may not make of it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBackup, createBench, createMaster, KEY } from '../testing/pair-bench.ts';
import type { RejectCause } from '../vrrp/types.ts';

type Bench = Awaited<ReturnType<typeof createBackup>>;
const PEER = '10.10.10.12';

/** A packet a second was rejected. */
const reject = async (bench: Bench, seconds: number, cause: RejectCause, source = PEER): Promise<void> => {
  for (let second = 0; second < seconds; second += 1) {
    bench.pair.worker({ type: 'rejected', pair: KEY, cause, source, count: 1 });
    await bench.seconds(1);
  }
};
const messageOf = (bench: Bench, type: string): string =>
  bench.report?.conditions?.find((condition) => condition.type === type)?.message ?? '';

test('a Master tells that its peer sends another password, and when that is over', async () => {
  const bench = await createMaster();
  await reject(bench, 3, 'PasswordMismatch');
  assert.is(bench.condition('PeerHeard'), 'False PeerMisconfigured');
  assert.match(messageOf(bench, 'PeerHeard'), `The peer ${PEER} sends another password`);
  assert.is(bench.condition('Ready'), 'True InstanceConfigured', 'this node is not at fault');
  const { length } = bench.world.reports;
  await reject(bench, 20, 'PasswordMismatch');
  assert.is(bench.world.reports.length, length, 'S6: the same again is not written');
  await bench.seconds(20);
  assert.is(bench.condition('PeerHeard'), 'Unknown PeerNotExpected');
  assert.equal(
    bench.story.filter((line) => line.startsWith('peer ')),
    ['peer misconfigured (PeerMisconfigured)', 'peer sends nothing wrong any more (PeerCorrected)'],
  );
});

test('a Backup that hears nothing but what it must reject says what is wrong with it', async () => {
  const bench = await createBackup();
  await bench.hear(false);
  assert.is(bench.condition('PeerHeard'), 'False PeerSilent');
  await reject(bench, 3, 'IntervalMismatch');
  assert.is(bench.condition('PeerHeard'), 'False PeerMisconfigured');
  assert.match(messageOf(bench, 'PeerHeard'), 'IntervalMismatch');
});

test('a third host says nothing of the peer', async () => {
  const bench = await createMaster();
  await reject(bench, 10, 'SourceNotPeer', '10.10.10.66');
  await reject(bench, 10, 'PasswordMismatch', '10.10.10.66');
  assert.is(bench.condition('PeerHeard'), 'Unknown PeerNotExpected');
});

test('the end of a change is no fault: one advert under parameters accepted no more', async () => {
  const bench = await createBackup();
  await bench.hear(true);
  await reject(bench, 1, 'IntervalMismatch');
  await bench.seconds(5);
  assert.is(bench.condition('PeerHeard'), 'True PeerHeard');
});

test('a flood hurries nothing that waits, and reports nothing', async () => {
  const bench = await createBackup();
  bench.world.apiUp = false;
  bench.world.reports.length = 0;
  await bench.enter('Master', 'MasterDownTimerExpired');
  await bench.pass(10);
  await bench.settle();
  await bench.pass(60_000);
  const failed = () => bench.story.filter((line) => line === 'step failed').length;
  const before = failed();
  for (let packet = 0; packet < 1_000; packet += 1)
    bench.pair.worker({
      type: 'rejected',
      pair: KEY,
      cause: 'SourceNotPeer',
      source: '10.10.10.66',
      count: 9,
    });
  await bench.quiet();
  assert.is(failed(), before, 'a retry waits as long as it would have');
  assert.equal(bench.world.reports, []);
});

test('what can be seen of a Master: state, term, addresses, how it came to be', async () => {
  const bench = await createMaster();
  const { election, status, transitions, vips, ...rest } = bench.pair.snapshot();
  assert.is(election, 'Master');
  assert.is(status.term, 1);
  assert.equal(status.vipsOnInterface, ['10.10.10.10']);
  assert.is(vips, 1);
  assert.equal(transitions, [
    { from: 'Init', to: 'Backup', reason: 'AgentStarted', count: 1 },
    { from: 'Backup', to: 'Master', reason: 'MasterDownTimerExpired', count: 1 },
  ]);
  const all = { isLoaded: true, isFromDisk: false, isVerified: true, isSettled: true, isReported: true };
  assert.equal(rest, { key: KEY, ...all });
});

test('the same change again is counted, not listed again', async () => {
  const bench = await createBackup();
  for (let time = 0; time < 3; time += 1) {
    await bench.enter('Master', 'MasterDownTimerExpired');
    await bench.enter('Backup', 'HigherPriorityAdvert');
  }
  const [, claimed, gaveWay] = bench.pair.snapshot().transitions;
  assert.is(claimed?.count, 3);
  assert.is(gaveWay?.count, 3);
});

test('before anything is known nothing is claimed; from disk it says so', async () => {
  const fresh = createBench().pair.snapshot();
  assert.is(fresh.isLoaded, false);
  assert.is(fresh.isVerified, false);
  assert.is(fresh.vips, 0);
  const bench = await createMaster();
  bench.world.apiUp = false;
  await bench.crash();
  const { isLoaded, isFromDisk, isReported } = bench.pair.snapshot();
  assert.ok(isLoaded && isFromDisk && !isReported);
});

test.run();
