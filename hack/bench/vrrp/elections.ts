/**
 * Takeovers: the Masters of several pairs of both programs go one after another, in an order of chance, each at some phase of its
 * adverts; when all have their successors, they come back as Backups. So every second time the other end of a pair takes over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../common/wait.ts';
import type { Departure, Place, Timing, TimingName } from './contender.ts';
import { DEPARTURES, SUCCESSOR_PRIORITY } from './contender.ts';
import { type Failure, masterOf, type Takeover, takeoverOf } from './measure.ts';
import { type BenchPair, endPair, type Harness, settle, startEnd, startPair } from './pair.ts';

/** Between two departures: at least as long as a takeover at 10 ms takes, and no multiple of an interval. */
const SPACING_MS = { least: 80, random: 120 } as const;

/** So many that told nothing, and the rest would only wait for what does not come. */
const MOST_FAILURES = 10;

/** By turns, a takeover of one program would always fall into the same moment of that program's next departures. */
const inAnyOrder = <T>(things: readonly T[]): T[] =>
  things
    .map((thing) => ({ thing, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ thing }) => thing);

/** What the takeovers of one timing gave. */
export type Elections = { takeovers: Takeover[]; failures: Failure[] };

/**
 * @param rounds of each kind of departure; each gives one takeover per pair
 * @param pairsEach how many pairs of each program
 */
export const runElections = async (
  harness: Harness,
  timing: Timing & { name: TimingName },
  { rounds, pairsEach }: { rounds: number; pairsEach: number },
): Promise<Elections> => {
  const pairs = await Promise.all(
    harness.sites.slice(0, pairsEach * harness.contenders.length).flatMap((site, index) => {
      const contender = harness.contenders[index % harness.contenders.length];
      const terms = {
        timing,
        priorities: [SUCCESSOR_PRIORITY, SUCCESSOR_PRIORITY],
        keepsVIP: false,
      } as const;
      return contender === undefined ? [] : [startPair(harness, contender, site, terms)];
    }),
  );
  const found: Elections = { takeovers: [], failures: [] };
  try {
    for (const departure of DEPARTURES) {
      for (let round = 1; round <= rounds; round += 1) {
        await settle(timing);
        harness.capture.forget();
        await settle(timing);
        await runRound(harness, pairs, departure, found);
        if (found.failures.length >= MOST_FAILURES) return found;
      }
    }
    return found;
  } finally {
    await Promise.all(pairs.map(endPair));
  }
};

const runRound = async (
  harness: Harness,
  pairs: readonly BenchPair[],
  departure: Departure,
  found: Elections,
): Promise<void> => {
  const left: { pair: BenchPair; from: Place; sinceMs: number }[] = [];
  for (const pair of inAnyOrder(pairs)) {
    const from = masterOf(harness.capture.adverts(pair.site));
    const end = from === undefined ? undefined : pair.ends[from];
    if (from === undefined || end === undefined) {
      found.failures.push(failureOf(pair, departure, 'nobody was Master'));
      continue;
    }
    // By whole milliseconds, so never later than the deed.
    left.push({ pair, from, sinceMs: Date.now() });
    if (departure === 'crash') end.crash();
    else end.stop();
    await sleep(SPACING_MS.least + Math.random() * SPACING_MS.random);
  }
  await Promise.all(
    left.map(async ({ pair, from, sinceMs }) => {
      const { contender, site, timing } = pair;
      const look = () =>
        takeoverOf(
          harness.capture.adverts(site),
          { from, departure, sinceMs },
          { timing, priority: SUCCESSOR_PRIORITY },
        );
      try {
        const tookMs = await eventually('A successor should have advertised', look);
        found.takeovers.push({ program: contender.name, timing: timing.name, departure, tookMs });
      } catch (error) {
        found.failures.push(failureOf(pair, departure, (error as Error).message));
      }
    }),
  );
  // Only now: what starts must not disturb what is measured.
  await Promise.all(
    left.map(async ({ pair, from }) => {
      await pair.ends[from]?.ended;
      pair.ends[from] = undefined;
      await startEnd(harness, pair, from);
    }),
  );
};

const failureOf = ({ contender, timing }: BenchPair, what: string, error: string): Failure => ({
  program: contender.name,
  timing: timing.name,
  what,
  error,
});
