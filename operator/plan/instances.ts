/** HAPair -> two VRRPInstances: what each agent is told. */
import {
  API_GROUP_VERSION,
  type HAPair,
  type InstanceAddress,
  instanceName,
  NODE_LABEL,
  PAIR_LABEL,
  type PairNode,
  type VRRPInstance,
  type VRRPInstanceSpec,
} from '../../crds/types.ts';
import { isEqual } from '../../runtime/json.ts';
import type { Report } from './elect.ts';
import type { InstancesMemory, Probe, Settings } from './types.ts';

/** Nobody else owns a field of an instance. */
export const NO_CONFLICT: InstancesMemory = { conflict: undefined };

/** Remembers who owns fields that the operator tried to write. */
export const withConflict = (conflict: string): InstancesMemory => ({ conflict });

/** Remembers a conflict while there is something to write: the stored fields may say again what the operator wants. */
export const withWanted = (memory: InstancesMemory, instances: readonly VRRPInstance[]): InstancesMemory =>
  instances.length === 0 ? NO_CONFLICT : memory;

/** Priority of EC2's holder, and of the other. They matter only when two Masters meet. */
export const HOLDER_PRIORITY = 200;
const OTHER_PRIORITY = 100;

/** What the agents' specs depend on. */
type InstancesInput = {
  pair: HAPair;
  instances: readonly VRRPInstance[];
  settings: Settings;
  /** In force: two of an accepted spec. */
  nodes: readonly PairNode[];
  accepted: boolean;
  elected: Report | undefined;
  /** Where EC2 delivers all addresses. */
  holder: string | undefined;
  /** Where EC2 has the first address; `undefined`: EC2 was not read, and a pair without history waits for that. */
  firstHolder: { node: string | undefined } | undefined;
  /** What to serve: what is in spec, and dropped addresses until the others have arrived. */
  addresses: readonly InstanceAddress[];
  /** What both send and accept; absent: the stored spec is not accepted. */
  vrrp: VRRPInstanceSpec['vrrp'] | undefined;
  /** A recorded order to yield that is not consumed by this very plan; 0: none. */
  yieldTerm: number;
  /** The pin in force. */
  pin: string | undefined;
  probe: Probe | undefined;
};

/** Level-triggered: the elected master gets 200 whenever EC2 delivers to it; otherwise nothing changes. */
const preferredHolder = (input: InstancesInput): string | undefined => {
  const { pair, instances, elected, holder, firstHolder, pin } = input;
  if (pin !== undefined) return pin;
  const present = instances.find(({ spec }) => spec.priority === HOLDER_PRIORITY)?.spec.nodeName;
  if (elected && elected.node === holder && !pair.spec.paused) return holder;
  if (present !== undefined) return present;
  const { status, spec } = pair;
  if ((status?.term ?? 0) > 0) return status?.holder ?? status?.master ?? spec.nodes[0]?.name;
  if (firstHolder === undefined) return undefined;
  return firstHolder.node ?? spec.preferredNode ?? spec.nodes[0]?.name;
};

const yieldTermFor = (input: InstancesInput, node: string, stored: VRRPInstance | undefined): number => {
  const { elected, yieldTerm, pair } = input;
  const already = stored?.spec.yieldTerm ?? 0;
  if (yieldTerm === 0) return 0;
  if (pair.spec.paused) return already;
  const isMaster = elected?.node === node && elected.term === yieldTerm;
  return isMaster || already === yieldTerm ? yieldTerm : 0;
};

/** A pin as the agents carry it out. */
const claimFor = (pin: string | undefined, node: string): VRRPInstanceSpec['claim'] => {
  if (pin === undefined) return 'Normal';
  return pin === node ? 'Always' : 'Never';
};

/** A question to an agent only ever counts up. */
const probeFor = (probe: Probe | undefined, node: string, stored: VRRPInstance | undefined): number =>
  Math.max(stored?.spec.probe ?? 0, probe?.node === node ? probe.value : 0);

const freshSpec = (
  input: InstancesInput,
  vrrp: VRRPInstanceSpec['vrrp'],
  node: PairNode,
  peer: PairNode,
): VRRPInstanceSpec => ({
  pairName: input.pair.metadata.name,
  nodeName: node.name,
  agentUsername: input.settings.agentUsernameTemplate.replaceAll('<node>', node.name),
  networkInterfaceID: node.networkInterfaceID,
  ...(node.interface !== undefined && { interface: node.interface }),
  sourceAddress: node.address,
  peerAddress: peer.address,
  priority: OTHER_PRIORITY,
  claim: claimFor(input.pin, node.name),
  termFloor: 0,
  yieldTerm: 0,
  probe: 0,
  onDelete: 'Keep',
  ...(input.addresses.length > 0 && { addresses: [...input.addresses] }),
  vrrp,
  ...(input.pair.spec.healthChecks && { healthChecks: input.pair.spec.healthChecks }),
});

const objectOf = (pair: HAPair, spec: VRRPInstanceSpec): VRRPInstance => ({
  apiVersion: API_GROUP_VERSION,
  kind: 'VRRPInstance',
  metadata: {
    name: instanceName(pair.metadata.name, spec.nodeName),
    namespace: pair.metadata.namespace,
    labels: { [PAIR_LABEL]: pair.metadata.name, [NODE_LABEL]: spec.nodeName },
    ownerReferences: [
      {
        apiVersion: API_GROUP_VERSION,
        kind: 'HAPair',
        name: pair.metadata.name,
        uid: pair.metadata.uid ?? '',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  },
  spec,
});

const isStored = (wanted: VRRPInstance, stored: VRRPInstance | undefined): boolean =>
  stored !== undefined &&
  isEqual(stored.spec, wanted.spec) &&
  stored.metadata.labels?.[PAIR_LABEL] === wanted.metadata.labels?.[PAIR_LABEL] &&
  stored.metadata.labels?.[NODE_LABEL] === wanted.metadata.labels?.[NODE_LABEL] &&
  (stored.metadata.ownerReferences ?? []).some(
    ({ uid }) => uid === wanted.metadata.ownerReferences?.[0]?.uid,
  );

/**
 * The instances to apply: only those that differ from the stored ones. While the stored HAPair is not accepted, an instance
 * keeps its spec but for what the election needs (priority, termFloor, yieldTerm), and none is created.
 */
export const desiredInstances = (input: InstancesInput): readonly VRRPInstance[] => {
  const { pair, instances, accepted, vrrp, probe } = input;
  const holder = preferredHolder(input);
  if (holder === undefined) return [];
  const storedOf = (node: string): VRRPInstance | undefined =>
    instances.find(({ spec }) => spec.nodeName === node);
  const wanted = (spec: VRRPInstanceSpec): VRRPInstanceSpec => {
    const stored = storedOf(spec.nodeName);
    return {
      ...spec,
      priority: spec.nodeName === holder ? HOLDER_PRIORITY : OTHER_PRIORITY,
      termFloor: Math.max(pair.status?.term ?? 0, stored?.spec.termFloor ?? 0),
      yieldTerm: yieldTermFor(input, spec.nodeName, stored),
      probe: probeFor(probe, spec.nodeName, stored),
    };
  };
  const [first, second] = input.nodes;
  const fresh =
    first && second && vrrp
      ? [freshSpec(input, vrrp, first, second), freshSpec(input, vrrp, second, first)]
      : [];
  const specs = accepted ? fresh : instances.map(({ spec }) => spec);
  return specs
    .map((spec) => objectOf(pair, wanted(spec)))
    .filter((object) => !isStored(object, storedOf(object.spec.nodeName)));
};

/**
 * What the agents are told when the addresses go away with the pair: no claim any more, and to take the VIPs off the
 * interface when the instance goes.
 */
export const stoppedInstances = (instances: readonly VRRPInstance[]): readonly VRRPInstance[] =>
  instances.flatMap(({ apiVersion, kind, metadata, spec }) => {
    if (spec.claim === 'Never' && spec.onDelete === 'Remove') return [];
    const { name, namespace, uid, labels, ownerReferences } = metadata;
    return [
      {
        apiVersion,
        kind,
        // With its UID it is a write to this very object: one that is gone by now is not made anew.
        metadata: {
          name,
          namespace,
          ...(uid !== undefined && { uid }),
          ...(labels && { labels }),
          ...(ownerReferences && { ownerReferences }),
        },
        spec: { ...spec, claim: 'Never', onDelete: 'Remove', yieldTerm: 0 },
      },
    ];
  });
