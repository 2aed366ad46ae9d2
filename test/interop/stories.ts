/** What two ends do when they start, crash, stop, are cut apart or disagree; `first` is Master when the second one comes. */
import type { VRRPVersion } from '../../crds/types.ts';
import { type End, type EndConfig, eventually } from './end.ts';
import type { Place } from './ground.ts';
import {
  EQUAL,
  firstStarts,
  HIGH,
  LOW,
  type Parts,
  picture,
  rejects,
  type Story,
  secondStarts,
} from './parts.ts';
import type { Fact, Scene, Step } from './scene.ts';

const both = (parts: Parts, config: Partial<EndConfig> = {}): Step[] => [
  firstStarts(parts, { priority: HIGH, ...config }),
  secondStarts(parts, { priority: LOW, ...config }),
];

const oneAfterTheOther: Story = (parts) => ({
  theory: 'The first claims after a master-down interval, the second stays Backup.',
  steps: both(parts),
});

const bothAtOnce: Story = (parts) => ({
  theory: 'One Master. If both claim within the same moment, the higher priority stays.',
  steps: [
    {
      deed: 'both start',
      // hapair's program takes longer to start, and both listen for longer than the other's start takes.
      act: async ({ ends }) => {
        const priority = (place: Place): number => (place === parts.first ? HIGH : LOW);
        for (const place of [parts.hapair, parts.keepalived])
          await ends[place].start({ ...parts.base, priority: priority(place) });
      },
      expect: [
        picture(parts, 'Backup Master', 'Backup'),
        picture(parts, 'Backup', 'Backup Master'),
        picture(parts, 'Backup Master', 'Backup Master Backup'),
      ],
    },
  ],
});

const crash: Story = (parts) => ({
  theory: 'The Backup claims after a master-down interval; what returns stays Backup (nopreempt).',
  steps: [
    ...both(parts),
    {
      deed: 'the first crashes',
      act: ({ ends }) => ends[parts.first].crash(),
      expect: picture(parts, 'Gone', 'Master'),
      facts: [
        {
          says: 'nobody resigned',
          holds: async ({ ends }) => (await ends[parts.second].resignationsHeard()) === 0,
        },
      ],
    },
    {
      deed: 'it returns',
      act: ({ ends }) => ends[parts.first].start({ ...parts.base, priority: HIGH }),
      expect: picture(parts, 'Backup', ''),
    },
  ],
});

const gracefulStop: Story = (parts) => {
  const resigned = ({ ground }: Scene): boolean =>
    ground.adverts(parts.first).some(({ priority }) => priority === 0);
  return {
    theory: 'Priority 0, and the Backup claims within the skew. A Backup that ends says nothing.',
    steps: [
      ...both(parts),
      {
        deed: 'the first is stopped',
        act: ({ ends }) => ends[parts.first].stop(),
        expect: picture(parts, 'Gone', 'Master'),
        facts: [
          { says: 'priority 0 is on the wire', holds: resigned },
          {
            says: 'the second believes the resignation',
            holds: async ({ ends }) => (await ends[parts.second].resignationsHeard()) === 1,
          },
        ],
      },
      {
        deed: 'it returns',
        act: ({ ends }) => ends[parts.first].start({ ...parts.base, priority: HIGH }),
        expect: picture(parts, 'Backup', ''),
      },
      {
        deed: 'it is stopped as Backup',
        act: ({ ends }) => ends[parts.first].stop(),
        expect: picture(parts, 'Gone', ''),
        facts: [
          {
            says: 'the second heard no other resignation',
            holds: async ({ ends }) => (await ends[parts.second].resignationsHeard()) === 1,
          },
        ],
      },
    ],
  };
};

const preempt: Story = (parts) => ({
  theory: 'A higher priority without nopreempt takes over a master-down interval after its start.',
  steps: [
    firstStarts(parts, {}),
    secondStarts(parts, { priority: HIGH, preempt: true }, picture(parts, 'Backup', 'Backup Master')),
  ],
});

const nopreempt: Story = (parts) => ({
  theory: 'With nopreempt a higher priority stays Backup while it hears a Master.',
  steps: [firstStarts(parts, {}), secondStarts(parts, { priority: HIGH })],
});

const tieAsBackup: Story = (parts) => ({
  theory:
    'A Backup of equal priority stays Backup, whatever its address: addresses count among Masters only.',
  steps: [firstStarts(parts, { priority: EQUAL }), secondStarts(parts, { priority: EQUAL, preempt: true })],
});

/** @param stays who is Master at the end */
const partition = (parts: Parts, priorities: Record<'first' | 'second', number>, stays: Place): Step[] => [
  firstStarts(parts, { priority: priorities.first }),
  secondStarts(parts, { priority: priorities.second }),
  { deed: 'the link is cut', act: ({ ground }) => ground.cut(), expect: picture(parts, '', 'Master') },
  {
    deed: 'the link heals',
    act: ({ ground }) => ground.heal(),
    expect: stays === parts.first ? picture(parts, '', 'Backup') : picture(parts, 'Backup', ''),
  },
];

const healedTie: Story = (parts) => ({
  theory: 'Two Masters of equal priority meet: the higher address stays, on both sides.',
  steps: partition(parts, { first: EQUAL, second: EQUAL }, 'b'),
});

const healedHigherIncumbent: Story = (parts) => ({
  theory: 'Two Masters meet: the lower priority gives way, here the newer Master.',
  steps: partition(parts, { first: HIGH, second: LOW }, parts.first),
});

const healedLowerIncumbent: Story = (parts) => ({
  theory:
    'Two Masters meet: the lower priority gives way, also if it was there first and both have nopreempt.',
  steps: partition(parts, { first: LOW, second: HIGH }, parts.second),
});

/** Neither end can believe the other. keepalived falls silent over what it rejects, so hapair alone is awaited. */
const twoMasters = (
  parts: Parts,
  first: Partial<EndConfig>,
  second: Partial<EndConfig>,
  facts: Fact[],
): Step[] => [
  firstStarts(parts, { priority: HIGH, ...first }),
  { ...secondStarts(parts, second, picture(parts, '', 'Backup Master')), facts, heard: [parts.hapair] },
];

/** A configuration of one kind of end, as first and second. */
const ofKind = (
  parts: Parts,
  configs: Record<End['kind'], Partial<EndConfig>>,
): [first: Partial<EndConfig>, second: Partial<EndConfig>] =>
  parts.first === parts.hapair ? [configs.hapair, configs.keepalived] : [configs.keepalived, configs.hapair];

const wrongPassword: Story = (parts) => ({
  theory: 'Each rejects the other: two Masters that both go on advertising, and both say why.',
  steps: twoMasters(parts, {}, { password: 'other' }, [
    rejects(parts, 'hapair', 'password'),
    rejects(parts, 'keepalived', 'password'),
  ]),
});

const wrongInterval: Story = (parts) => ({
  theory: 'Version 2 drops an advert with another interval, on both ends: two Masters, and both say why.',
  steps: twoMasters(parts, {}, { intervalMs: 2000 }, [
    rejects(parts, 'hapair', 'interval'),
    rejects(parts, 'keepalived', 'interval'),
  ]),
});

const learnedInterval: Story = (parts) => ({
  theory:
    "Version 3 learns the Master's interval. A Backup that heard no advert yet may claim once, and gives way.",
  steps: [
    firstStarts(parts, { priority: HIGH, intervalMs: 1500 }),
    secondStarts(parts, { priority: LOW, intervalMs: 300 }, [
      picture(parts, '', 'Backup'),
      picture(parts, '', 'Backup Master Backup'),
    ]),
    {
      deed: 'five more of its slow adverts',
      act: async ({ ends, ground }) => {
        const { priority } = ends[parts.first];
        const count = (): number =>
          ground.adverts(parts.first).filter((advert) => advert.priority === priority).length;
        const goal = count() + 5;
        await eventually('five more adverts', () => count() >= goal || undefined);
      },
      expect: picture(parts, '', ''),
    },
    {
      deed: 'the first crashes',
      act: ({ ends }) => ends[parts.first].crash(),
      expect: picture(parts, 'Gone', 'Master'),
    },
  ],
});

const wrongVirtualRouterID: Story = (parts) => ({
  theory: 'Two virtual routers, each with its Master; neither sees the other.',
  steps: [
    firstStarts(parts, { priority: HIGH }),
    secondStarts(parts, { virtualRouterID: 52 }, picture(parts, '', 'Backup Master')),
  ],
});

const messageOnly: Story = (parts) => ({
  theory:
    'keepalived knows the checksum over the pseudo-header alone, hapair takes what it is told: two Masters, and both say why.',
  steps: twoMasters(parts, ...ofKind(parts, { hapair: { checksum: 'MessageOnly' }, keepalived: {} }), [
    rejects(parts, 'hapair', 'checksum'),
    rejects(parts, 'keepalived', 'checksum'),
  ]),
});

const wrongVersion: Story = (parts) => ({
  theory: 'Each rejects the other: two Masters, and both say why.',
  steps: twoMasters(parts, ...ofKind(parts, { hapair: {}, keepalived: { version: 2, intervalMs: 1000 } }), [
    rejects(parts, 'hapair', 'version'),
    rejects(parts, 'keepalived', 'version'),
  ]),
});

/** With keepalived first alone: the other way round it rejects what hapair says. */
export const otherAddresses: Story = (parts) => ({
  theory:
    'RFC 9568 section 7.1 lets a receiver log it; rejecting such adverts, as 2.2.7 does, makes two Masters.',
  steps: [firstStarts(parts, { priority: HIGH }), secondStarts(parts, { moreVIPs: ['10.77.99.99'] })],
});

type Telling = {
  story: Story;
  versions: VRRPVersion[];
  /** Told by two keepalived nodes as well. Not where each rejects the other: 2.2.7 falls silent over what it rejects. */
  isControlled: boolean;
};

/** Stories told with either end first, by the versions they are told in. */
export const STORIES: Record<string, Telling> = {
  'start, one after the other': { story: oneAfterTheOther, versions: [3, 2], isControlled: true },
  'start, both at once': { story: bothAtOnce, versions: [3, 2], isControlled: true },
  'crash and return': { story: crash, versions: [3, 2], isControlled: true },
  'graceful stop': { story: gracefulStop, versions: [3, 2], isControlled: true },
  preempt: { story: preempt, versions: [3, 2], isControlled: true },
  nopreempt: { story: nopreempt, versions: [3, 2], isControlled: true },
  'tie, Backup against Master': { story: tieAsBackup, versions: [3], isControlled: true },
  'partition, a tie at its end': { story: healedTie, versions: [3, 2], isControlled: true },
  'partition, the incumbent is higher': {
    story: healedHigherIncumbent,
    versions: [3, 2],
    isControlled: true,
  },
  'partition, the incumbent is lower': { story: healedLowerIncumbent, versions: [3, 2], isControlled: true },
  'wrong password': { story: wrongPassword, versions: [2], isControlled: false },
  'another interval': { story: wrongInterval, versions: [2], isControlled: false },
  'another interval, learned': { story: learnedInterval, versions: [3], isControlled: true },
  'wrong virtual router ID': { story: wrongVirtualRouterID, versions: [3], isControlled: true },
  'checksum over the message only': { story: messageOnly, versions: [3], isControlled: false },
  'version 3 against 2': { story: wrongVersion, versions: [3], isControlled: false },
};
