/**
 * Processes that are stopped for a while and go on, as Master and as Backup, on real packets: they step down and listen before
 * they claim, and what they missed moves nothing twice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { masterDownInterval } from '../agent/vrrp/timers.ts';
import { ADDRESSES, ip, runInWorld, type SetConfig, TestNode } from './vrrp-world.ts';

/** Pairs of every kind on the same two nodes; a pause is longer than the master-down interval of some, and not of others. */
const PAIRS: Record<string, Partial<SetConfig>> = {
  'v3, 0.2 s': { virtualRouterID: 1, version: 3, advertisementIntervalMs: 200 },
  'v3, 1 s': { virtualRouterID: 2, version: 3, advertisementIntervalMs: 1000, checksum: 'MessageOnly' },
  'v2, 1 s': { virtualRouterID: 3, version: 2, advertisementIntervalMs: 1000, password: 's3cr3t42' },
};
const MASTER_PRIORITY = 200;
const BACKUP_PRIORITY = 100;

/** What the Backup waits after an advert; `priority` default: the Backup's. */
const masterDownMs = (pair: string, priority = BACKUP_PRIORITY): number => {
  const { version = 3, advertisementIntervalMs = 0 } = PAIRS[pair] ?? {};
  return masterDownInterval({ version, priority }, advertisementIntervalMs);
};
const intervalMs = (pair: string): number => PAIRS[pair]?.advertisementIntervalMs ?? 0;

/** Two nodes with all pairs: the first is their Master, the other hears it. */
type Couple = { master: TestNode; backup: TestNode };
const inWorld = suite('paused processes');
let nodes: TestNode[] = [];

const startCouple = async (
  names: ['a', 'b'] | ['c', 'd'],
  pairs: readonly string[] = Object.keys(PAIRS),
): Promise<Couple> => {
  const [master, backup] = [new TestNode(names[0]), new TestNode(names[1])];
  nodes.push(master, backup);
  const addresses = [ADDRESSES[names[0]], ADDRESSES[names[1]]] as const;
  const [one, other] = [
    { priority: MASTER_PRIORITY, peerAddress: addresses[1] },
    { priority: BACKUP_PRIORITY, peerAddress: addresses[0] },
  ];
  for (const pair of pairs) master.set({ ...PAIRS[pair], ...one }, pair);
  for (const pair of pairs) await master.until({ type: 'settled', pair });
  for (const pair of pairs) backup.set({ ...PAIRS[pair], ...other }, pair);
  for (const pair of pairs) await backup.until({ type: 'peer', pair, heard: true });
  return { master, backup };
};
inWorld.after.each(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  nodes = [];
});

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
/** When a node was stopped, when it went on, and when it had certainly run again; what it and its peer had said before. */
type Pause = { fromMs: number; toMs: number; awakeMs: number; since: number; sincePeer: number };

const pauseFor = async (
  durationMs: number,
  node: TestNode,
  peer: TestNode,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Pause> => {
  const [since, sincePeer] = [node.events.length, peer.events.length];
  node.pause();
  const fromMs = nowMs();
  await delay(durationMs);
  await meanwhile();
  const toMs = node.goOn();
  await node.ping();
  return { fromMs, toMs, awakeMs: nowMs(), since, sincePeer };
};

/** Every pair was counted as overslept so often, at least. */
const assertOverslept = async (node: TestNode, pairs: string[]): Promise<void> => {
  const { stats } = await node.ping();
  for (const pair of pairs) assert.ok((stats.pairs[pair]?.overslept ?? 0) >= 1, `${pair} is not counted`);
};

/** The Master of all pairs was stopped. What must be of each depends on how long that was in truth. */
const judgePausedMaster = async ({ master, backup }: Couple, pause: Pause): Promise<void> => {
  for (const pair of Object.keys(PAIRS)) {
    const atLeast = pause.toMs - pause.fromMs;
    const atMost = pause.awakeMs - pause.fromMs + intervalMs(pair);
    if (atLeast > masterDownMs(pair)) {
      await backup.until({ type: 'settled', pair }, pause.sincePeer);
      await master.until({ type: 'peer', pair, heard: true }, pause.since);
      assert.equal(backup.states(pause.sincePeer, pair), ['Master MasterDownTimerExpired'], pair);
      assert.equal(master.states(pause.since, pair), ['Backup Overslept'], pair);
      await assertOverslept(master, [pair]);
    } else if (atMost < masterDownMs(pair, MASTER_PRIORITY)) {
      assert.equal(master.states(pause.since, pair), [], pair);
      assert.equal(backup.states(pause.sincePeer, pair), [], pair);
    }
  }
};

/** The Backup of all pairs was stopped while the Master went on: nothing moves, however long it was. */
const judgePausedBackup = async ({ master, backup }: Couple, pause: Pause): Promise<void> => {
  // Long enough for a claim that is about to come.
  await delay(2 * Math.max(...Object.keys(PAIRS).map(intervalMs)));
  await backup.ping();
  assert.equal(backup.states(pause.since), []);
  assert.equal(master.states(pause.sincePeer), []);
};

for (const durationMs of [100, 1000, 5000, 30_000]) {
  inWorld(`stopped for ${durationMs / 1000} s, a Master and a Backup of three pairs`, async () => {
    const [one, other] = await Promise.all([startCouple(['a', 'b']), startCouple(['c', 'd'])]);
    await Promise.all([
      pauseFor(durationMs, one.master, one.backup).then((pause) => judgePausedMaster(one, pause)),
      pauseFor(durationMs, other.backup, other.master).then((pause) => judgePausedBackup(other, pause)),
    ]);
  });
}

inWorld(
  'a Master that wakes up alone listens for its whole master-down interval before it claims again',
  async () => {
    const { master, backup } = await startCouple(['a', 'b']);
    const pause = await pauseFor(4000, master, backup, async () => {
      for (const pair of Object.keys(PAIRS)) await backup.until({ type: 'settled', pair });
      await backup.kill();
    });
    for (const pair of Object.keys(PAIRS)) {
      await master.until({ type: 'settled', pair }, pause.since);
      assert.equal(master.states(pause.since, pair), ['Backup Overslept', 'Master MasterDownTimerExpired']);
      const [steppedDown = 0, claimed = 0] = master.stateTimes(pause.since, pair);
      assert.ok(steppedDown >= pause.toMs);
      assert.ok(claimed - steppedDown >= masterDownMs(pair, MASTER_PRIORITY) - 1e-3, pair);
    }
    await assertOverslept(master, Object.keys(PAIRS));
  },
);

inWorld(
  'a Backup that slept while the Master died listens for its whole master-down interval before it claims',
  async () => {
    const { master, backup } = await startCouple(['a', 'b']);
    const pause = await pauseFor(5000, backup, master, () => master.kill());
    for (const pair of Object.keys(PAIRS)) {
      await backup.until({ type: 'settled', pair }, pause.since);
      assert.equal(backup.states(pause.since, pair), ['Master MasterDownTimerExpired']);
      const [claimed = 0] = backup.stateTimes(pause.since, pair);
      assert.ok(claimed - pause.toMs >= masterDownMs(pair) - 1e-3, pair);
    }
  },
);

inWorld(
  'a Backup that slept on a dead line listens once more, and hears the Master that is still there',
  async () => {
    // Time enough to mend the line while it listens, on a busy machine too.
    const slow = Object.keys(PAIRS).filter((pair) => intervalMs(pair) >= 1000);
    const { master, backup } = await startCouple(['a', 'b'], slow);
    ip('link set port-a nomaster');
    const pause = await pauseFor(6000, backup, master);
    ip('link set port-a master switch');
    await assertOverslept(backup, slow);
    await judgePausedBackup({ master, backup }, pause);
  },
);

inWorld('a machine that is stopped as a whole goes on with one Master', async () => {
  const { master, backup } = await startCouple(['a', 'b']);
  const pauses = await Promise.all([pauseFor(5000, master, backup), pauseFor(5000, backup, master)]);
  for (const pair of Object.keys(PAIRS)) {
    const first = await Promise.race([
      master.until({ type: 'settled', pair }, pauses[0].since).then(() => master),
      backup.until({ type: 'settled', pair }, pauses[1].since).then(() => backup),
    ]);
    const other = first === master ? backup : master;
    await other.until({ type: 'peer', pair, heard: true }, pauses[first === master ? 1 : 0].since);
    assert.is(master.states(pauses[0].since, pair)[0], 'Backup Overslept');
  }
});

runInWorld('a process that was stopped steps down and listens, on real packets', import.meta.url, inWorld);
