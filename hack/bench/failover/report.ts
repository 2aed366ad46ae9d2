/** The tables and the verdict on the goals, as rows of words. Pure. */
import { skewMs } from '../../demo/theory.ts';
import { ratioOf, type Spread, spreadOf } from '../common/statistics.ts';
import type { Verdict } from '../common/tables.ts';
import type { Contender, Scenario, Switch } from './contender.ts';
import {
  isMeasured,
  isSwitch,
  isWatch,
  type RunRecord,
  type SwitchRecord,
  type WatchRecord,
} from './measure.ts';

const CONTENDERS: readonly Contender['name'][] = ['recipe', 'hapair'];
const SWITCHES: readonly Switch[] = ['crash', 'stop', 'failback'];
const WATCHES: readonly WatchRecord['scenario'][] = ['flap', 'boot'];

/** EC2's times in the lab's profile `aws`, how long a new Master of hapair listens, and VRRP's times; milliseconds. */
const LAB = { callMs: 1500, mappingLagMs: 1000, listenMs: 10, advertMs: 1000, skewMs: skewMs(100) } as const;

/**
 * The least that the parts outside anybody's own code take after the decision: so many calls one after another, then the
 * lag until packets follow.
 */
const THEORY_AFTER_MS: Record<Contender['name'], number> = {
  recipe: 3 * LAB.callMs + LAB.mappingLagMs,
  hapair: LAB.listenMs + LAB.callMs + LAB.mappingLagMs,
};

/**
 * Until the next Master advertises: a crash comes at any phase of the last one's adverts, a resignation leaves the skew alone.
 * A person who runs the recipe's script waits for nobody.
 */
const theoryOfDetection = (scenario: Switch, contender: Contender['name']): string => {
  const { advertMs, skewMs: skew } = LAB;
  if (scenario === 'crash') return `${seconds(2 * advertMs + skew)} to ${seconds(3 * advertMs + skew)}`;
  return scenario === 'failback' && contender === 'recipe' ? '0.00' : `>= ${seconds(skew)}`;
};

/** Goals of the benchmark. */
const GOALS = { timesShorter: 3, calls: { recipe: 3, hapair: 1 } } as const;

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

/** `minimum / median / maximum`, in seconds unless told otherwise. With so few runs p99 is the maximum. */
const spread = (values: readonly number[], show = seconds): string => {
  const found = spreadOf(values);
  return found === undefined ? '-' : threeOf(found).map(show).join(' / ');
};

const milliseconds = (ms: number): string => ms.toFixed(1);

const threeOf = ({ min, median, max }: Spread): number[] => [min, median, max];

/** One number, or the range when runs differ. */
const range = (values: readonly number[]): string => {
  const found = spreadOf(values);
  if (found === undefined) return '-';
  return found.min === found.max ? String(found.min) : `${found.min} to ${found.max}`;
};

const of = <R extends RunRecord>(records: readonly R[], contender: string, scenario: Scenario): R[] =>
  records.filter((record) => record.contender === contender && record.scenario === scenario);

const countWrong = (records: readonly { end: { isWrong: boolean } }[]): string =>
  `${records.filter(({ end }) => end.isWrong).length} of ${records.length}`;

/** Rows of the switches, head first. Times are seconds, minimum / median / maximum. */
export const switchTable = (records: readonly RunRecord[]): string[][] => {
  const switches = records.filter(isSwitch);
  const rows = SWITCHES.flatMap((scenario) =>
    CONTENDERS.flatMap((contender) => {
      const own = of(switches, contender, scenario);
      if (own.length === 0) return [];
      const column = (value: (record: SwitchRecord) => number): string => spread(own.map(value));
      return [
        [
          scenario,
          contender,
          String(own.length),
          column(({ lanOutageMs }) => lanOutageMs),
          column(({ wanOutageMs }) => wanOutageMs),
          column(({ detectionMs }) => detectionMs),
          theoryOfDetection(scenario, contender),
          column(({ afterMs }) => afterMs),
          `>= ${seconds(THEORY_AFTER_MS[contender])}`,
          spread(own.map(({ afterMs }) => afterMs - THEORY_AFTER_MS[contender])),
          range(own.map(({ calls }) => calls.length)),
          countWrong(own),
        ],
      ];
    }),
  );
  const head = ['switch', 'by', 'n', 'LAN outage s', 'WAN outage s', 'detection s', 'theory s'];
  return [
    [...head, 'after detection s', 'theory s', 'beyond it s', 'EC2 calls', 'wrong at the end'],
    ...rows,
  ];
};

/** Rows of the disturbances that should move nothing, head first. */
export const watchTable = (records: readonly RunRecord[]): string[][] => {
  const watches = records.filter(isWatch);
  const rows = WATCHES.flatMap((scenario) =>
    CONTENDERS.flatMap((contender) => {
      const own = of(watches, contender, scenario);
      if (own.length === 0) return [];
      const wrong = own.filter(({ wrongMs }) => wrongMs > BLINK_MS);
      return [
        [
          scenario,
          contender,
          String(own.length),
          `${own.filter(({ secondMasterMs }) => secondMasterMs > 0).length}`,
          spread(
            own.map(({ secondMasterMs }) => secondMasterMs),
            milliseconds,
          ),
          `${wrong.length} of ${own.length}`,
          spread(own.map(({ wrongMs }) => wrongMs)),
          range(own.map(({ calls }) => calls.length)),
          countWrong(own),
        ],
      ];
    }),
  );
  const head = ['disturbance', 'by', 'n', 'second node Master', 'for ms', 'VIP not with the Master', 'for s'];
  return [[...head, 'EC2 calls', 'wrong at the end'], ...rows];
};

/** A false mastership itself parts master and holder for about a millisecond; no packet is lost by that. */
const BLINK_MS = 100;

/** Each goal of the benchmark that these runs can tell of. */
export const verdicts = (records: readonly RunRecord[]): Verdict[] => {
  const switches = records.filter(isSwitch);
  const shorter = SWITCHES.flatMap((scenario): Verdict[] => {
    const [recipe = [], hapair = []] = CONTENDERS.map((name) =>
      of(switches, name, scenario).map(({ afterMs }) => afterMs),
    );
    const ratio = ratioOf(recipe, hapair);
    if (ratio === undefined) return [];
    const [median, lowest, highest] = [ratio.median, ratio.lowest, ratio.highest].map((x) => x.toFixed(2));
    return [
      {
        goal: `${scenario}: after detection at least ${GOALS.timesShorter} times shorter`,
        measured: `${median} times by the medians (${lowest} to ${highest} by the extremes)`,
        isReached: ratio.median >= GOALS.timesShorter,
      },
    ];
  });
  return [...shorter, ...callVerdict(switches), ...endVerdict(records)];
};

const callVerdict = (switches: readonly SwitchRecord[]): Verdict[] => {
  const count = (name: Contender['name']): number[] =>
    switches.filter(({ contender }) => contender === name).map(({ calls }) => calls.length);
  const [recipe, hapair] = [count('recipe'), count('hapair')];
  if (recipe.length === 0 || hapair.length === 0) return [];
  const { calls } = GOALS;
  return [
    {
      goal: 'one mutating EC2 call per switch against three',
      measured: `${range(hapair)} against ${range(recipe)}`,
      isReached: hapair.every((n) => n === calls.hapair) && recipe.every((n) => n === calls.recipe),
    },
  ];
};

const endVerdict = (records: readonly RunRecord[]): Verdict[] => {
  const measured = records.filter(isMeasured);
  const [recipe, hapair] = CONTENDERS.map((name) => measured.filter(({ contender }) => contender === name));
  if (recipe === undefined || hapair === undefined || hapair.length === 0) return [];
  return [
    {
      goal: 'never an address on the wrong node at the end',
      measured: `hapair ${countWrong(hapair)} runs, the recipe ${countWrong(recipe)}`,
      isReached: hapair.every(({ end }) => !end.isWrong),
    },
  ];
};

/** What a reader must know to read the tables. */
export const notes = (windowMs: number): string[] => [
  'Times are minimum / median / maximum. EC2 in the lab answers a mutating call after 1.5 s and packets follow 1.0 s later, as observed at AWS.',
  'Detection ends with the new Master’s first advert as a tap on the fabric saw it (a crash: 3 adverts + skew after the last one; a stop: the skew after the resignation). In the recipe’s failback it ends at once, since a person moves the addresses, whoever is Master.',
  'After detection: from there to the first probe that the new node answered, of the slower of two clients that send one every 10 ms. Its theory is the EC2 calls one after another and the lag; what goes beyond it is the programs’ own: the recipe starts bash, three curls and three times the `aws` command, so its figures move with the version named above.',
  'Failback: the recipe’s person starts keepalived on the first node and at once runs failback.sh; hapair’s sets failback.requestedAt.',
  `flap: a resignation forged in the Master’s name 30 ms after its advert. boot: both instances start within milliseconds of each other, in every other run the second one sooner. Each watched for ${windowMs / 1000} s; a wrong state that lasts to the end of that would last for good with the recipe, as nothing looks again.`,
  'VIP not with the Master: EC2 delivered it elsewhere, or nowhere, for more than 0.1 s. Wrong at the end: VIP or EIP not with the one Master there is.',
];
