/** Windows in which nothing is done to any pair: takeovers seen then are false ones. All timings of both programs at once. */
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../common/statistics.ts';
import { type ProgramName, TIMINGS } from './contender.ts';
import { falseTakeovers, latenesses, masterOf, type Watch } from './measure.ts';
import { type BenchPair, endPair, type Harness, settle, startPair } from './pair.ts';
import { cpuSecondsOf, isRealtime, type Program, startProgram } from './program.ts';

/** As the operator gives them: the holder's, the other's. */
const PRIORITIES = [200, 100] as const;

/** Busy loops for each processor: more than it can run, as on a machine in trouble. */
export const LOOPS_PER_PROCESSOR = 2;

/** What the windows showed. */
export type Windows = {
  watches: Watch[];
  /** Whether the programs were granted real-time scheduling. */
  realtime: Record<ProgramName, boolean>;
};

/** Watches for so long idle, and as long again under load. */
export const runWindows = async (harness: Harness, seconds: number): Promise<Windows> => {
  const pairs = await Promise.all(
    TIMINGS.flatMap((timing, row) =>
      harness.contenders.flatMap((contender, column) => {
        const site = harness.sites[row * harness.contenders.length + column];
        const terms = { timing, priorities: PRIORITIES, keepsVIP: true };
        return site === undefined ? [] : [startPair(harness, contender, site, terms)];
      }),
    ),
  );
  try {
    await settle(TIMINGS[0]);
    const realtime = { keepalived: false, hapair: false };
    for (const { contender, ends } of pairs)
      realtime[contender.name] = ends.every((end) => isRealtime(end?.pid ?? 0));
    harness.progress(`${pairs.length} pairs are watched for ${seconds} s, idle`);
    const idle = await watch(harness, pairs, 'idle', seconds);
    const loops = startLoops();
    try {
      await settle(TIMINGS[0]);
      harness.progress(
        `${pairs.length} pairs are watched for ${seconds} s beside ${loops.length} busy loops`,
      );
      return { watches: [...idle, ...(await watch(harness, pairs, 'full', seconds))], realtime };
    } finally {
      for (const loop of loops) loop.kill('SIGKILL');
      await Promise.all(loops.map(({ ended }) => ended));
    }
  } finally {
    await Promise.all(pairs.map(endPair));
  }
};

const startLoops = (): Program[] =>
  Array.from({ length: LOOPS_PER_PROCESSOR * cpus().length }, (_, index) =>
    startProgram({ name: `busy loop ${index}`, argv: ['sh', '-c', 'while :; do :; done'] }),
  );

const watch = async (
  harness: Harness,
  pairs: readonly BenchPair[],
  load: Watch['load'],
  seconds: number,
): Promise<Watch[]> => {
  const costOf = ({ ends }: BenchPair): number[] => ends.map((end) => cpuSecondsOf(end?.pid ?? 0));
  const dead = pairs.find(({ ends }) => ends.some((end) => end === undefined || end.hasEnded()));
  if (dead !== undefined)
    throw new Error(`An end of ${dead.contender.name} at ${dead.timing.name} has ended.`);
  harness.capture.forget();
  const before = pairs.map(costOf);
  await sleep(seconds * 1000);
  const after = pairs.map(costOf);
  return pairs.map(({ contender, site, timing, priorities }, index): Watch => {
    const adverts = harness.capture.adverts(site);
    const place = adverts[0]?.from ?? 0;
    const late = latenesses(adverts, place, timing);
    const percent = (end: 0 | 1): number =>
      (((after[index]?.[end] ?? 0) - (before[index]?.[end] ?? 0)) * 100) / seconds;
    const lowest = Math.min(...priorities);
    if (masterOf(adverts) === undefined)
      throw new Error(`Nobody was Master of ${contender.name} at ${timing.name}.`);
    return {
      program: contender.name,
      timing: timing.name,
      load,
      seconds,
      adverts: adverts.length,
      falseTakeovers: falseTakeovers(adverts, { timing, priority: lowest }),
      late: late.length === 0 ? null : { p99Ms: quantile(late, 0.99), maxMs: quantile(late, 1) },
      cpu: { master: percent(place), backup: percent(place === 0 ? 1 : 0) },
    };
  });
};
