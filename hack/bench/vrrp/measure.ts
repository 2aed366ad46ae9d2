/** What the tap's adverts tell of one pair. Times are milliseconds. Pure. */
import type { Departure, Place, ProgramName, Timing } from './contender.ts';
import { masterDownMs } from './theory.ts';

/** One advert of a pair as the tap saw it. */
export type PairAdvert = {
  /** Unix milliseconds with a fraction, stamped by the kernel. */
  atMs: number;
  from: Place;
  /** 0: the sender resigns. */
  priority: number;
};

/** One takeover that was brought about. */
export type Takeover = {
  program: ProgramName;
  timing: Timing['name'];
  departure: Departure;
  /** From the last advert (crash) or the resignation (stop) to the successor's first advert. */
  tookMs: number;
};

/** One that told nothing, and why. */
export type Failure = { program: ProgramName; timing: string; what: string; error: string };

/** What of a pair decides how its adverts are read. */
export type Terms = { timing: Timing; priority: number };

/** The last advert that is no resignation tells who is Master; undefined: nobody was heard. */
export const masterOf = (adverts: readonly PairAdvert[]): Place | undefined =>
  adverts.findLast(({ priority }) => priority > 0)?.from;

/**
 * How long the successor of the end `from` took.
 * @param sinceMs when `from` was made to go, at most a little later than it went
 * @returns undefined when it has not happened yet
 * @throws Error when the two ends were Master at once before that, so that there is nothing to measure
 */
export const takeoverOf = (
  adverts: readonly PairAdvert[],
  { from, departure, sinceMs }: { from: Place; departure: Departure; sinceMs: number },
  { timing, priority }: Terms,
): number | undefined => {
  const others = adverts.filter((advert) => advert.from !== from && advert.priority > 0);
  const quietMs = masterDownMs(timing, priority);
  if (others.some(({ atMs }) => atMs < sinceMs && atMs > sinceMs - quietMs))
    throw new Error('both ends advertised before the Master was made to go');
  const first = others.find(({ atMs }) => atMs >= sinceMs);
  if (first === undefined) return undefined;
  const before = adverts.filter((advert) => advert.from === from && advert.atMs <= first.atMs);
  const last =
    departure === 'crash'
      ? before.findLast((advert) => advert.priority > 0)
      : before.find((advert) => advert.priority === 0 && advert.atMs >= sinceMs);
  if (last === undefined)
    throw new Error(departure === 'crash' ? 'the Master was never heard' : 'the Master did not resign');
  return first.atMs - last.atMs;
};

/**
 * How often an end became Master although the other was alive all the time.
 * An end that had been Master and is heard again sooner than a Backup could have claimed after the other's first advert had
 * never stopped: with that, the one takeover is over, and no second one counts.
 * @param lowestPriority of the two ends, whose interval is the longer one
 */
export const falseTakeovers = (
  adverts: readonly PairAdvert[],
  { timing, priority: lowestPriority }: Terms,
): number => {
  let holder: Place | undefined;
  let challenge: { from: Place; atMs: number } | undefined;
  let count = 0;
  for (const { atMs, from, priority } of adverts) {
    if (priority === 0) continue;
    holder ??= from;
    if (from === holder) continue;
    const returns = challenge !== undefined && challenge.from === holder;
    const heldMs = challenge === undefined ? Number.POSITIVE_INFINITY : atMs - challenge.atMs;
    if (returns && heldMs < masterDownMs(timing, lowestPriority)) challenge = undefined;
    else {
      count += 1;
      challenge = { from, atMs };
    }
    holder = from;
  }
  return count;
};

/** How much later than the interval each advert of the end `from` came. */
export const latenesses = (
  adverts: readonly PairAdvert[],
  from: Place,
  { advertisementIntervalMs }: Pick<Timing, 'advertisementIntervalMs'>,
): number[] => {
  const times = adverts.filter((advert) => advert.from === from && advert.priority > 0);
  return times
    .slice(1)
    .map(({ atMs }, index) => atMs - (times[index]?.atMs ?? atMs) - advertisementIntervalMs);
};

/** One pair watched while nothing was done to it. */
export type Watch = {
  program: ProgramName;
  timing: Timing['name'];
  load: 'idle' | 'full';
  seconds: number;
  adverts: number;
  falseTakeovers: number;
  /** Of the Master's adverts, beyond the interval. */
  late: { p99Ms: number; maxMs: number } | null;
  /** Percent of one core, of the whole process tree; null: it was not alone enough to tell. */
  cpu: { master: number; backup: number } | null;
};

/** One removal of a VIP from the Master's interface. */
export type Removal = {
  program: ProgramName;
  /** null: it was not back at the end of the window. */
  backAfterMs: number | null;
  /** Whether the Master resigned meanwhile. */
  hasResigned: boolean;
};

/** One change of an address as `ip -ts -o monitor address` tells it. */
export type AddressChange = {
  /** Milliseconds of the day. */
  atMs: number;
  isDeleted: boolean;
  address: string;
};

/** Reads a line of the monitor; undefined: it tells of nothing that concerns an IPv4 address. */
export const readAddressChange = (line: string): AddressChange | undefined => {
  const found = /^\[\d+-\d+-\d+T(\d+):(\d+):(\d+\.\d+)\] ?(Deleted )?.*\binet (\d+\.\d+\.\d+\.\d+)[/ ]/.exec(
    line,
  );
  if (found === null) return undefined;
  const [, hours, minutes, seconds, deleted, address = ''] = found;
  const atMs = (Number(hours) * 60 + Number(minutes)) * 60_000 + Number(seconds) * 1000;
  return { atMs, isDeleted: deleted !== undefined, address };
};
