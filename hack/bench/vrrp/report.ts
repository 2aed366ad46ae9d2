/** The tables and the verdict on the goals, as rows of words. Pure. */
import { spreadOf } from '../common/statistics.ts';
import type { Verdict } from '../common/tables.ts';
import {
  DEPARTURES,
  type Departure,
  PROGRAMS,
  type ProgramName,
  SUCCESSOR_PRIORITY,
  TIMINGS,
  type TimingName,
  timingOf,
} from './contender.ts';
import type { Removal, Takeover, Watch } from './measure.ts';
import { takeoverMs } from './theory.ts';

/** Processor share of a node, percent of one core. */
const CPU_GOALS = [
  { timing: 'v3 1 s', percent: 1 },
  { timing: 'v3 100 ms', percent: 5 },
] as const satisfies readonly { timing: TimingName; percent: number }[];

const LOADS = ['idle', 'full'] as const satisfies readonly Watch['load'][];

const ms = (value: number): string => value.toFixed(2);

/** `minimum / median / p99 / maximum`. */
const spread = (values: readonly number[]): string => {
  const found = spreadOf(values);
  if (found === undefined) return '-';
  return [found.min, found.median, found.p99, found.max].map(ms).join(' / ');
};

const tookOf = (
  takeovers: readonly Takeover[],
  program: ProgramName,
  timing: TimingName,
  departure: Departure,
): number[] =>
  takeovers
    .filter((one) => one.program === program && one.timing === timing && one.departure === departure)
    .map(({ tookMs }) => tookMs);

/** Each timing with each departure. */
const CASES = DEPARTURES.flatMap((departure) => TIMINGS.map(({ name }) => ({ departure, timing: name })));

/** Rows of the takeovers, head first. Times are milliseconds. */
export const takeoverTable = (takeovers: readonly Takeover[]): string[][] => {
  const rows = CASES.flatMap(({ departure, timing }) =>
    PROGRAMS.flatMap((program) => {
      const took = tookOf(takeovers, program, timing, departure);
      if (took.length === 0) return [];
      const theory = takeoverMs(timingOf(timing), SUCCESSOR_PRIORITY, departure);
      const beyond = took.map((value) => value - theory);
      return [[timing, departure, program, String(took.length), spread(took), ms(theory), spread(beyond)]];
    }),
  );
  return [['timing', 'Master', 'by', 'n', 'takeover ms', 'theory ms', 'beyond it ms'], ...rows];
};

/** Rows of the windows, head first. */
export const watchTable = (watches: readonly Watch[]): string[][] => {
  const rows = TIMINGS.flatMap(({ name }) =>
    PROGRAMS.flatMap((program) => {
      const own = watches.filter((watch) => watch.timing === name && watch.program === program);
      if (own.length === 0) return [];
      const cells = LOADS.flatMap((load) => {
        const watch = own.find((one) => one.load === load);
        if (watch === undefined) return ['-', '-'];
        const { late } = watch;
        return [String(watch.falseTakeovers), late === null ? '-' : `${ms(late.p99Ms)} / ${ms(late.maxMs)}`];
      });
      const cpu = own.find(({ load }) => load === 'idle')?.cpu;
      const cost = cpu ? [cpu.master, cpu.backup].map((value) => value.toFixed(2)) : ['-', '-'];
      return [[name, program, ...cells, ...cost]];
    }),
  );
  const head = ['timing', 'by', 'idle: false takeovers', 'adverts late ms, p99 / max'];
  return [
    [
      ...head,
      'full load: false takeovers',
      'adverts late ms, p99 / max',
      'idle: CPU % Master',
      'CPU % Backup',
    ],
    ...rows,
  ];
};

/** Rows of the removed VIPs, head first. */
export const removalTable = (removals: readonly Removal[], windowMs: number): string[][] => {
  const rows = PROGRAMS.flatMap((program) => {
    const own = removals.filter((removal) => removal.program === program);
    if (own.length === 0) return [];
    const back = backTimes(own);
    const told = back.length === 0 ? `never within ${windowMs / 1000} s` : spread(back);
    const resigned = own.filter(({ hasResigned }) => hasResigned).length;
    const times = (count: number): string => `${count} of ${own.length}`;
    return [[program, String(own.length), times(back.length), told, times(resigned)]];
  });
  return [['removed VIP, by', 'n', 'back', 'after ms', 'Master resigned'], ...rows];
};

const backTimes = (removals: readonly Removal[]): number[] =>
  removals.flatMap(({ backAfterMs }) => (backAfterMs === null ? [] : [backAfterMs]));

/** All that was measured. */
export type Measured = {
  takeovers: readonly Takeover[];
  watches: readonly Watch[];
  removals: readonly Removal[];
};

/** Each goal that was measured. */
export const verdicts = (measured: Measured): Verdict[] => [
  ...CASES.flatMap(({ timing, departure }) => takeoverVerdict(measured.takeovers, timing, departure)),
  ...LOADS.flatMap((load) => watchVerdict(measured.watches, load)),
  ...removalVerdict(measured.removals),
  ...CPU_GOALS.flatMap(({ timing, percent }) => cpuVerdict(measured.watches, timing, percent)),
];

const takeoverVerdict = (
  takeovers: readonly Takeover[],
  timing: TimingName,
  departure: Departure,
): Verdict[] => {
  const [theirs, ours] = PROGRAMS.map((program) => spreadOf(tookOf(takeovers, program, timing, departure)));
  if (theirs === undefined || ours === undefined) return [];
  const theory = takeoverMs(timingOf(timing), SUCCESSOR_PRIORITY, departure);
  return [
    {
      goal: `${timing}, ${departure}: median and p99 no worse than keepalived’s, none earlier than theory`,
      measured: `median ${ms(ours.median)} against ${ms(theirs.median)}, p99 ${ms(ours.p99)} against ${ms(theirs.p99)}, earliest ${ms(ours.min)}, theory ${ms(theory)}`,
      isReached: ours.median <= theirs.median && ours.p99 <= theirs.p99 && ours.min >= theory,
    },
  ];
};

/** By timing: one that keepalived has at another does not excuse it. */
const watchVerdict = (watches: readonly Watch[], load: Watch['load']): Verdict[] => {
  const count = (program: ProgramName, timing: TimingName): number | undefined =>
    watches.find((one) => one.program === program && one.timing === timing && one.load === load)
      ?.falseTakeovers;
  const both = TIMINGS.flatMap(({ name }) => {
    const [theirs, ours] = PROGRAMS.map((program) => count(program, name));
    return theirs === undefined || ours === undefined ? [] : [{ theirs, ours }];
  });
  if (both.length === 0) return [];
  const sum = (of: 'theirs' | 'ours'): number => both.reduce((total, each) => total + each[of], 0);
  return [
    {
      goal: `${load === 'idle' ? 'idle' : 'full load'}: no false takeover that keepalived did not have`,
      measured: `${sum('ours')} against ${sum('theirs')}`,
      isReached: both.every(({ theirs, ours }) => ours <= theirs),
    },
  ];
};

const removalVerdict = (removals: readonly Removal[]): Verdict[] => {
  const of = (program: ProgramName): Removal[] => removals.filter((removal) => removal.program === program);
  const [own, theirs] = [of('hapair'), spreadOf(backTimes(of('keepalived')))];
  if (own.length === 0) return [];
  const back = backTimes(own);
  const ours = spreadOf(back);
  const isQuick =
    theirs === undefined || (ours !== undefined && ours.median <= theirs.median && ours.p99 <= theirs.p99);
  const isMasterStill = own.every(({ hasResigned }) => !hasResigned);
  return [
    {
      goal: 'a removed VIP comes back, no later than keepalived’s, and its Master stays Master',
      measured: `${back.length} of ${own.length} after ms ${spread(back)}`,
      isReached: back.length === own.length && isQuick && isMasterStill,
    },
  ];
};

const cpuVerdict = (watches: readonly Watch[], timing: TimingName, percent: number): Verdict[] => {
  const cpu = watches.find(
    (one) => one.program === 'hapair' && one.timing === timing && one.load === 'idle',
  )?.cpu;
  if (!cpu) return [];
  const most = Math.max(cpu.master, cpu.backup);
  return [
    {
      goal: `${timing}: at most ${percent} % of one core`,
      measured: `${cpu.master.toFixed(2)} % as Master, ${cpu.backup.toFixed(2)} % as Backup`,
      isReached: most <= percent,
    },
  ];
};

/** What a reader must know to read the tables. */
export const notes = ({
  realtime,
  loops,
  windowSeconds,
}: {
  realtime: Record<ProgramName, boolean> | null;
  loops: number;
  windowSeconds: number;
}): string[] => [
  'Times are minimum / median / p99 / maximum, of adverts as they enter the switch between two ends, stamped by one kernel for both programs.',
  `Crash: SIGKILL; from the Master’s last advert to its successor’s first. Stop: from the resignation (priority 0). Both ends have priority ${SUCCESSOR_PRIORITY} and start as BACKUP with nopreempt. The ends of all pairs share this machine’s processors.`,
  'hapair’s ends are its VRRP worker, in a process each, as keepalived’s are its VRRP process. In the windows and for the removed VIPs they are that with the agent’s watch of the interface and its rule for VIPs; the API server and EC2 are away. Their engine has the agent’s flags.',
  'Removed VIP: `ip address del`; times as a netlink monitor beside it tells them. keepalived 2.2.7 notices it too, but as a reason to resign; it claims again after its skew, which is the shorter one here (priority 200, 219 ms).',
  realtime === null
    ? 'Real-time scheduling: not looked at.'
    : `Real-time scheduling (SCHED_RR 50) was asked for, or not, by both: keepalived ${had(realtime.keepalived)}, hapair ${had(realtime.hapair)}.`,
  `Windows: all timings of both programs at once, ${windowSeconds} s each; priorities 200 and 100. A false takeover: an end becomes Master although the other lives. Full load: ${loops} busy loops on each processor, of normal priority. CPU is of all processes and threads of an end, of one core.`,
];

const had = (granted: boolean): string => (granted ? 'had it' : 'had none');
