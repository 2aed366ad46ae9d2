/** What the operator watches, and whom each change concerns. */
import { createHash } from 'node:crypto';
import { type HAPair, NODE_LABEL, PAIR_LABEL, type VRRPInstance } from '../crds/types.ts';
import type { WatchSource } from '../kube/client.ts';
import { type ObjectReference, referenceTo } from '../kube/events.ts';
import { LEASES, type Lease } from '../kube/lease-types.ts';
import type { Key, Store } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';
import type { Clock } from '../runtime/clock.ts';
import { canonical } from '../runtime/json.ts';
import type { Log } from '../runtime/log.ts';
import { LEADER_LEASE } from './config.ts';
import type { LifeBook } from './life.ts';
import { HAPAIRS, VRRPINSTANCES } from './resources.ts';

type StoresOptions = {
  kube: WatchSource;
  /** Of the agents' Leases and the operators' own. */
  namespace: string;
  /** The Lease for which the replicas stand: `namespace/name`. */
  leaderLease: Key;
  /** Takes the agents' signs of life. */
  life: Pick<LifeBook, 'observe' | 'forget'>;
  clock: Pick<Clock, 'now' | 'setTimer'>;
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
  /** A HAPair was added, changed or deleted. */
  onPair: (key: Key, pair: HAPair | undefined) => void;
  /** A VRRPInstance of this pair was added, changed or deleted. */
  onInstanceOf: (pairKey: Key) => void;
  onLeaderLease: () => void;
  signal: AbortSignal;
  log: Log;
};

export type Stores = { pairs: Store<HAPair>; instances: Store<VRRPInstance>; leases: Store<Lease> };

/** `namespace/pair` of an instance's key `namespace/pair.node`; a node's name has no dot. */
const pairKeyOf = (instanceKey: Key): Key => instanceKey.slice(0, instanceKey.lastIndexOf('.'));

/** What the operator reads of any object's metadata; the rest may be as large as somebody likes. */
const READ: readonly string[] = [
  ...['name', 'namespace', 'uid', 'resourceVersion', 'generation'],
  ...['creationTimestamp', 'deletionTimestamp', 'finalizers'],
];

const metadataOf = <M extends object>(metadata: M, more: readonly string[] = []): M =>
  Object.fromEntries(
    Object.entries(metadata).filter(([field]) => READ.includes(field) || more.includes(field)),
  ) as M;

/** What the operator reads of a HAPair. */
export const keptOfPair = ({ apiVersion, kind, metadata, spec, status }: HAPair): HAPair => ({
  ...{ apiVersion, kind, metadata: metadataOf(metadata), spec },
  ...(status && { status }),
});

/** What the operator reads of a VRRPInstance. */
export const keptOfInstance = ({ apiVersion, kind, metadata, spec, status }: VRRPInstance): VRRPInstance => {
  const { labels = {} } = metadata;
  const own = Object.entries(labels).filter(([name]) => name === PAIR_LABEL || name === NODE_LABEL);
  return {
    ...{ apiVersion, kind, spec },
    metadata: { ...metadataOf(metadata, ['ownerReferences']), labels: Object.fromEntries(own) },
    ...(status && { status }),
  };
};

/** What the operator reads of a Lease: its holder's name is as long as its holder likes. */
const keptOfLease = ({ metadata, spec }: Lease): Lease => ({
  metadata: metadataOf(metadata),
  ...(spec?.renewTime !== undefined && { spec: { renewTime: spec.renewTime } }),
});

/** Equal for equal reports, and short for long ones. */
const fingerprintOf = (status: VRRPInstance['status']): string | undefined =>
  status && createHash('sha256').update(canonical(status)).digest('base64');

/** Watches until the signal aborts. */
export const watchAll = (options: StoresOptions): Stores => {
  const { kube, namespace, leaderLease, life, clock, random, signal, log } = options;
  const common = { signal, log, now: clock.now, setTimer: clock.setTimer, ...(random && { random }) };
  const pairs = watch<HAPair>(
    kube,
    HAPAIRS,
    {},
    { ...common, keep: keptOfPair, onChange: (key) => options.onPair(key, pairs.get(key)) },
  );
  const instances = watch<VRRPInstance>(
    kube,
    VRRPINSTANCES,
    {},
    {
      ...common,
      keep: keptOfInstance,
      onChange: (key) => {
        const instance = instances.get(key);
        if (instance) life.observe(key, fingerprintOf(instance.status), clock.now());
        else life.forget(key);
        options.onInstanceOf(pairKeyOf(key));
      },
    },
  );
  const leases = watch<Lease>(
    kube,
    LEASES,
    { namespace },
    {
      ...common,
      keep: keptOfLease,
      onChange: (key) => {
        if (key === leaderLease) {
          options.onLeaderLease();
          return;
        }
        const lease = leases.get(key);
        const name = key.slice(key.indexOf('/') + 1);
        if (lease) life.observe(name, lease.spec?.renewTime, clock.now());
        else life.forget(name);
      },
    },
  );
  return { pairs, instances, leases };
};

/** Where Events go that are about no pair, or not for its readers. */
export const referenceToLeaderLease = (
  { leases }: Pick<Stores, 'leases'>,
  namespace: string,
): ObjectReference =>
  referenceTo(
    leases.get(`${namespace}/${LEADER_LEASE}`) ?? { metadata: { name: LEADER_LEASE, namespace } },
    LEASES,
  );
