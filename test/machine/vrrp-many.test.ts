/** A hundred pairs at 100 ms on one worker at each end, with main threads that never rest. */
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WorkerStats } from '../../agent/worker/messages.ts';
import { runInWorld, TestNode } from '../vrrp-world.ts';

const PAIRS = Array.from({ length: 100 }, (_, index) => `test/p${index + 1}`);
const INTERVAL_MS = 100;
/** Longer than a main thread may take for a big list from the API server. */
const STRETCH_MS = 120;
const WINDOW_MS = 5_000;
/** A window in which the machine itself stood still proves nothing against us; so many of them are looked at. */
const WINDOWS = 12;
/** A false transition takes a stall of more than two and a half intervals; a machine that has half of it is not quiet. */
const STALL_MS = 120;

const IS_ROOT = process.getuid?.() === 0;
const WITHOUT_REALTIME = ['setpriv', '--bounding-set=-sys_nice', '--'];

const inWorld = suite('many pairs');
let nodes: TestNode[] = [];
inWorld.after.each(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  nodes = [];
});

/** The longest time by which this process, which does nothing, was late while `span` lasted. */
const stallDuring = async (span: Promise<unknown>): Promise<number> => {
  let isOver = false;
  void span.finally(() => {
    isOver = true;
  });
  let longest = 0;
  while (!isOver) {
    const before = performance.now();
    await delay(5);
    longest = Math.max(longest, performance.now() - before - 5);
  }
  return longest;
};

const changesSince = (sinces: number[]): string[] =>
  nodes.flatMap((node, index) => node.states(sinces[index]).map((state) => `${node.name}: ${state}`));

const latenessOf = ({ counts, boundsMs, sumMs, maxMs }: WorkerStats['lateness']): string => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const rows = counts.map((count, index) => `${boundsMs[index] ?? 'more'}: ${count}`);
  return `${total} timers, mean ${(sumMs / total).toFixed(3)} ms late, worst ${maxMs.toFixed(1)} ms; ms: count ${rows.join(', ')}`;
};

/** Two nodes with all pairs, each Master of half of them. */
const elect = async (wrapper: readonly string[]): Promise<[TestNode, TestNode]> => {
  const [a, b] = [new TestNode('a', wrapper), new TestNode('b', wrapper)];
  nodes = [a, b];
  const set = (node: TestNode, index: number, priority: number): void =>
    node.set({ virtualRouterID: index + 1, advertisementIntervalMs: INTERVAL_MS, priority }, PAIRS[index]);
  const masterOf = (index: number): TestNode => (index % 2 === 0 ? a : b);
  for (const index of PAIRS.keys()) set(masterOf(index), index, 200);
  for (const [index, pair] of PAIRS.entries()) await masterOf(index).until({ type: 'settled', pair });
  for (const index of PAIRS.keys()) set(masterOf(index) === a ? b : a, index, 100);
  for (const [index, pair] of PAIRS.entries()) {
    const backup = masterOf(index) === a ? b : a;
    await backup.until({ type: 'peer', pair, heard: true });
  }
  return [a, b];
};

/** Looks at windows of time until two have passed in which nothing changed. @throws when one has, and the machine was quiet. */
const stayQuiet = async (): Promise<void> => {
  let quiet = 0;
  for (let window = 0; window < WINDOWS && quiet < 2; window++) {
    const sinces = nodes.map(({ events }) => events.length);
    const stall = await stallDuring(delay(WINDOW_MS));
    await Promise.all(nodes.map((node) => node.ping()));
    const changes = changesSince(sinces);
    if (changes.length === 0) quiet++;
    else
      assert.ok(
        stall >= STALL_MS,
        `the machine was late by ${stall.toFixed(1)} ms at most, and yet ${changes}`,
      );
  }
  assert.is(quiet, 2, `the machine stood still again and again, for ${STALL_MS} ms and more`);
};

/** With real-time scheduling where the system grants it, and without. */
const modes: [string, readonly string[]][] = IS_ROOT
  ? [
      ['as scheduled by the system', WITHOUT_REALTIME],
      ['with real-time scheduling if granted', []],
    ]
  : [['as scheduled by the system', []]];
for (const [name, wrapper] of modes) {
  inWorld(
    `a hundred pairs at 100 ms, main threads busy, ${name}: nothing changes, and all fail over together`,
    async () => {
      const [a, b] = await elect(wrapper);
      for (const node of nodes) node.send({ type: 'busy', stretchMs: STRETCH_MS });
      await stayQuiet();
      for (const node of nodes) {
        const { stats, realtime } = await node.ping();
        const title = `100 pairs at 100 ms, node ${node.name}, ${realtime ? 'real-time' : 'no real-time'} scheduling`;
        console.log(`${title}: ${latenessOf(stats.lateness)}`);
      }
      // Half of them, unless the machine stood still.
      const lost = PAIRS.filter((pair) => a.states(0, pair).at(-1)?.startsWith('Master'));
      const since = b.events.length;
      await a.kill();
      for (const pair of lost) {
        await b.until({ type: 'settled', pair }, since);
        assert.is(b.states(since, pair)[0], 'Master MasterDownTimerExpired', pair);
      }
    },
  );
}

runInWorld('a hundred pairs at 100 ms on one worker at each end', import.meta.url, inWorld, {
  asRoot: IS_ROOT,
});
