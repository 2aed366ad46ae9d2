/**
 * What a third host can do to a pair: nothing. The rows in which keepalived is the one it is done to show that it can do
 * that to keepalived, and so that the packets are the right ones.
 */
import { encodeAdvert, type Seal } from '../../agent/vrrp/packet.ts';
import type { VRRPVersion } from '../../crds/types.ts';
import type { Packet } from './forge.ts';
import type { HostName, Place } from './ground.ts';
import {
  firstStarts,
  HIGH,
  LOW,
  type Parts,
  partsOf,
  picture,
  rejects,
  rowOf,
  type Story,
  secondStarts,
} from './parts.ts';
import type { Row, Scene } from './scene.ts';

/** keepalived's first multicast address, which its old checksum covers whatever the destination is. */
const MULTICAST = '224.0.0.18';

type Forged = {
  /** Whom the packet names as its sender. */
  from: HostName;
  to: Place;
  priority: number;
  ttl?: number;
  everyMs?: number;
  /** Default: as it should be. */
  checksum?: 'wrong' | 'of the multicast address';
};

const packetOf = ({ ground }: Scene, { base }: Parts, forged: Forged): Packet => {
  const source = ground.address(forged.from);
  const destination = ground.address(forged.to);
  const covered = forged.checksum === 'of the multicast address' ? MULTICAST : destination;
  const password = base.password === undefined ? {} : { password: new TextEncoder().encode(base.password) };
  const seal: Seal = { source, destination: covered, checksum: 'Pseudoheader', ...password };
  const { version, intervalMs: advertisementIntervalMs } = base;
  const message = encodeAdvert(
    {
      version,
      virtualRouterID: 51,
      priority: forged.priority,
      advertisementIntervalMs,
      addresses: [ground.vip],
    },
    seal,
  );
  if (forged.checksum === 'wrong') message[6] = (message[6] ?? 0) ^ 0xff;
  const { ttl, everyMs } = forged;
  return {
    source,
    destination,
    message: [...message],
    ...(ttl === undefined ? {} : { ttl }),
    ...(everyMs === undefined ? {} : { everyMs }),
  };
};

/** Priorities that no end has, so that the wire tells forged from true. */
const OWNER = 255;
const RESIGN = 0;

const pair = (parts: Parts, first: number, second: number) => [
  firstStarts(parts, { priority: first }),
  secondStarts(parts, { priority: second }),
];

/** Twice as many packets as the Master sends adverts, of a stranger and in the peer's name. */
const flood = async (scene: Scene, parts: Parts): Promise<void> => {
  const everyMs = parts.base.intervalMs / 2;
  for (const from of ['c', parts.second] as const)
    await scene.forge(
      packetOf(scene, parts, { from, to: parts.first, priority: OWNER, everyMs, checksum: 'wrong' }),
    );
};

const floodedMaster: Story = (parts) => ({
  theory: 'A packet with a wrong checksum is dropped and changes nothing: the Master goes on advertising.',
  steps: [
    ...pair(parts, LOW, HIGH),
    {
      deed: 'wrong checksums, twice per advert',
      act: (scene) => flood(scene, parts),
      expect: picture(parts, '', ''),
      facts: [rejects(parts, 'hapair', 'checksum'), rejects(parts, 'hapair', 'source')],
    },
  ],
});

const silencedMaster: Story = (parts) => ({
  theory: "The same. keepalived's fault: what it rejects sets its advert timer back, so its Backup claims.",
  steps: [
    ...pair(parts, LOW, HIGH),
    {
      deed: 'wrong checksums, twice per advert',
      act: (scene) => flood(scene, parts),
      expect: picture(parts, 'Backup', 'Master'),
      facts: [rejects(parts, 'keepalived', 'checksum')],
    },
  ],
});

const poison = async (scene: Scene, parts: Parts, senders: readonly ('a' | 'b' | 'c')[]): Promise<void> => {
  for (const from of senders)
    await scene.forge(
      packetOf(scene, parts, {
        from,
        to: parts.second,
        priority: OWNER,
        checksum: 'of the multicast address',
      }),
    );
};

const poisonedBackup: Story = (parts) => ({
  theory: 'One advert with the checksum of old versions is dropped; the next right one is still right.',
  steps: [
    ...pair(parts, HIGH, LOW),
    {
      deed: 'an old checksum for the Backup',
      act: (scene) => poison(scene, parts, ['c', parts.first]),
      expect: picture(parts, '', ''),
      facts: [rejects(parts, 'hapair', 'checksum'), rejects(parts, 'hapair', 'source')],
    },
    {
      deed: 'the Master goes on',
      act: () => undefined,
      expect: picture(parts, '', ''),
    },
  ],
});

const convertedBackup: Story = (parts) => ({
  theory:
    "The same. keepalived's fault: it changes to the old checksum for good and rejects its Master: two Masters.",
  steps: [
    ...pair(parts, HIGH, LOW),
    {
      deed: 'an old checksum for the Backup',
      // A second one could come when it is Master already, and be believed.
      act: (scene) => poison(scene, parts, [parts.first]),
      expect: picture(parts, '', 'Master'),
      facts: [rejects(parts, 'keepalived', 'checksum')],
      heard: [parts.hapair],
    },
  ],
});

const challenged: Story = (parts) => ({
  theory: 'Adverts are believed from the configured peer alone, and from no further than it can be.',
  steps: [
    ...pair(parts, LOW, HIGH),
    {
      deed: 'priority 255 of a stranger and, from far away, in the name of the peer',
      act: async (scene) => {
        const { first: to, second } = parts;
        await scene.forge(packetOf(scene, parts, { from: 'c', to, priority: OWNER }));
        await scene.forge(packetOf(scene, parts, { from: 'c', to, priority: OWNER, ttl: 1 }));
        await scene.forge(packetOf(scene, parts, { from: second, to, priority: OWNER, ttl: 1 }));
      },
      expect: picture(parts, '', ''),
      facts: [rejects(parts, 'hapair', 'source'), rejects(parts, 'hapair', 'ttl')],
    },
  ],
});

const demoted: Story = (parts) => ({
  theory:
    "The same. keepalived's fault: unicast, it checks neither source nor TTL, and is demoted by one packet.",
  steps: [
    ...pair(parts, LOW, HIGH),
    {
      deed: 'one packet of priority 255 and TTL 1 of a stranger',
      act: (scene) =>
        scene.forge(packetOf(scene, parts, { from: 'c', to: parts.first, priority: OWNER, ttl: 1 })),
      expect: picture(parts, 'Backup', 'Master'),
    },
  ],
});

const falseResignation: Story = (parts) => ({
  theory: "A stranger's resignation is not the Master's.",
  steps: [
    ...pair(parts, HIGH, LOW),
    {
      deed: 'priority 0 of a stranger for the Backup',
      act: (scene) => scene.forge(packetOf(scene, parts, { from: 'c', to: parts.second, priority: RESIGN })),
      expect: picture(parts, '', ''),
      facts: [rejects(parts, 'hapair', 'source')],
    },
  ],
});

/** The recipe: `state MASTER` makes keepalived forget its nopreempt. */
const recipe: Story = (parts) => ({
  theory: "nopreempt. keepalived's fault: with `state MASTER`, as in the recipe, it preempts all the same.",
  steps: [
    firstStarts(parts, {}),
    secondStarts(parts, { priority: HIGH, startsAsMaster: true }, picture(parts, 'Backup', 'Backup Master')),
  ],
});

const VERSIONS: readonly VRRPVersion[] = [3, 2];

/** Every story of a third host, and the recipe's nopreempt. */
export const forgedRows = (): Row[] => [
  ...VERSIONS.flatMap((version) => [
    rowOf(
      'a Master is not silenced by rejected packets (VRRP-FACTS 1.4)',
      partsOf('hapair', version),
      floodedMaster,
    ),
    rowOf("keepalived's fault: silenced by rejected packets", partsOf('keepalived', version), silencedMaster),
    rowOf('a Master is not demoted by a third host (VRRP-FACTS 1.3)', partsOf('hapair', version), challenged),
    rowOf("keepalived's fault: demoted by a third host", partsOf('keepalived', version), demoted),
    rowOf(
      'a Backup does not believe the resignation of a third host (VRRP-FACTS 1.3)',
      partsOf('keepalived', version),
      falseResignation,
    ),
  ]),
  rowOf(
    'a Backup is not poisoned by an old checksum (VRRP-FACTS 1.2)',
    partsOf('keepalived', 3),
    poisonedBackup,
  ),
  rowOf("keepalived's fault: poisoned by an old checksum", partsOf('hapair', 3), convertedBackup),
  rowOf("keepalived's fault: the recipe's nopreempt preempts (VRRP-FACTS 2.4)", partsOf('hapair', 2), recipe),
];
