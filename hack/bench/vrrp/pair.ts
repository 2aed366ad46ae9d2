/** A pair of ends that run: brought up with a Master and a Backup that hears it, and put right after each departure. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../common/wait.ts';
import type { Capture } from './capture.ts';
import type { Contender, Place, RunningEnd, Site, Timing, TimingName } from './contender.ts';
import { masterOf } from './measure.ts';

/** What all phases of one run share. */
export type Harness = {
  contenders: readonly Contender[];
  /** At least as many as a phase has pairs. */
  sites: readonly Site[];
  capture: Capture;
  /** Whether both programs ask for real-time scheduling. */
  realtime: boolean;
  progress: (line: string) => void;
};

/** What the two ends of a pair run. */
export type PairTerms = {
  timing: Timing & { name: TimingName };
  /** Of each end, by place. */
  priorities: readonly [number, number];
  keepsVIP: boolean;
};

/** A pair with its ends; one that has left is undefined. */
export type BenchPair = PairTerms & {
  contender: Contender;
  site: Site;
  ends: [RunningEnd | undefined, RunningEnd | undefined];
};

/** Starts the end of this place. */
export const startEnd = async (harness: Harness, pair: BenchPair, place: Place): Promise<void> => {
  const { contender, site, timing, priorities, keepsVIP } = pair;
  const { realtime } = harness;
  const order = { site, place, timing, priority: priorities[place], keepsVIP, realtime };
  pair.ends[place] = await contender.start(order);
};

/** Starts both ends, the second one when the first is Master. */
export const startPair = async (
  harness: Harness,
  contender: Contender,
  site: Site,
  terms: PairTerms,
): Promise<BenchPair> => {
  const pair: BenchPair = { ...terms, contender, site, ends: [undefined, undefined] };
  harness.capture.forget(site);
  await startEnd(harness, pair, 0);
  const who = `${contender.name} at ${terms.timing.name}`;
  await eventually(`The first end of ${who} should become Master`, () =>
    masterOf(harness.capture.adverts(site)),
  );
  await startEnd(harness, pair, 1);
  return pair;
};

/** Kills what is left of it, and waits until it is gone. */
export const endPair = async ({ ends }: BenchPair): Promise<void> => {
  for (const end of ends) end?.crash();
  await Promise.all(ends.map((end) => end?.ended));
};

/** Long enough for a Backup that has just begun to listen to hear its Master. */
export const settle = ({ advertisementIntervalMs }: Timing): Promise<void> =>
  sleep(2 * advertisementIntervalMs + 500);
