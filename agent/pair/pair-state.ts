/** The state of one pair in this agent, and what follows from it without any effect. */
import type { Reason } from '../../crds/conditions.ts';
import {
  type SecretRef,
  type VRRPInstance,
  type VRRPInstanceSpec,
  type VRRPInstanceStatus,
  type VRRPParameters,
  type VRRPState,
  vipsOf,
} from '../../crds/types.ts';
import { versionOf } from '../../kube/resource-version.ts';
import { findings, type Problem } from '../rules/condition.ts';
import type { Silence } from '../rules/life.ts';
import { peerFault, type Rejects } from '../rules/peer.ts';
import { advertisedPriority, type Contact } from '../rules/priority.ts';
import { type Claim, type Facts, sameStatus, type Turns } from '../rules/report.ts';
import { peerHides, type Report } from '../rules/term.ts';
import { type CheckFinding, problemOf } from '../rules/verdict.ts';
import {
  awaitedVIPs,
  type FormerClaim,
  isForeignForm,
  isOurForm,
  type Network,
  planVIPs,
  refuseVIP,
  type VIPPlan,
} from '../rules/vip.ts';
import type { AcceptedParameters } from '../vrrp/types.ts';
import type { WorkerConfig } from '../worker/messages.ts';
import type {
  IMDSReading,
  InterfaceReading,
  NodeAddress,
  NodeInterface,
  PairRecord,
  StoredReport,
  StoredSecret,
} from './pair-types.ts';

/** A claim with the instant of its first advert, in Unix milliseconds, and what was read since then. */
export type RunningClaim = Claim & {
  sinceMs: number;
  /** Both instances, asked for when the claim began, while it listened; null: they could not be read. */
  evidence: Promise<Instances | null>;
};

/** Both ends of the pair, as the API server has them. */
export type Instances = { own: VRRPInstance | null; peer: VRRPInstance | null };

/** One change of VRRP state, as `hapair-agent status` shows it. */
export type Transition = {
  state: VRRPState;
  reason: Reason;
  /** Unix milliseconds. */
  atMs: number;
};

/** Mutable; owned by one actor, changed only by it and its lanes. */
export type PairState = {
  /** `namespace/pairName`. */
  readonly key: string;
  /** What is on disk, or on its way there. */
  record: PairRecord;
  /** The record holds something that no save has been started for. */
  dirty: boolean;
  /** The newest VRRPInstance read; null: none since the start. */
  wish: VRRPInstance | null;
  /** The spec in force. */
  loaded: { spec: VRRPInstanceSpec; uid: string; generation: number } | null;
  loadProblem: Problem | null;
  /** What is known of the health checks, each of those that run. */
  checks: readonly CheckFinding[];
  interfaces: InterfaceReading | null;
  /** Null: unknown. */
  imds: IMDSReading | null;
  lastDelivered: string[];
  /** Every VIP that IMDS has listed here since the newest claim began. */
  arrived: string[];
  /** The last report of Master that was taken back; null: none since the start. */
  formerClaim: FormerClaim | null;
  /** The peer's report as last seen; `isHealthy`: its checks pass, or it has none. */
  peer: (Report & { isHealthy: boolean }) | undefined;
  contact: Contact;
  /** The worker's state. */
  election: VRRPState;
  /** The state as reported: a claim shows only once its term is taken. Unix milliseconds. */
  face: { state: VRRPState; sinceMs: number };
  claim: RunningClaim | null;
  /** Monotonic: until then the worker, told to run the pair, is expected to leave Init; that state is not worth a report. */
  startingUntilMs: number;
  /** The term that was asked to yield, and did. */
  yieldedTerm: number;
  /** The term whose order to yield was read by GET: a watch that is resumed replays orders that were taken back since (T25). */
  confirmedYield: number;
  /** `claim: Never` was read by GET, for the same reason: a Master gives way to no pin that was taken back. */
  confirmedNever: boolean;
  peerHeard: boolean | null;
  /** Packets of the peer that were rejected. */
  rejects: Rejects;
  /** What they told of the peer when last looked at; null: nothing. */
  peerFault: Problem | null;
  /** Trouble of the worker's socket. */
  socketTrouble: Problem | null;
  /** Trouble with an address on the interface. */
  addressTrouble: Problem | null;
  silence: Silence;
  /** When each condition got the status it has. */
  turns: Turns;
  /** As the API server has it; undefined: not known. */
  reported: VRRPInstanceStatus | undefined;
  /** The API server's answer to the last report that it answered; undefined: there was none, or the predecessor did not say. */
  stored: StoredReport | undefined;
  /** The election is over for good: no claim, addresses leave as soon as EC2 delivers them elsewhere. */
  stopping: boolean;
  /** Take every address we added off the interface, wherever EC2 delivers it. */
  abandoned: boolean;
  /** The VRRPInstance is gone: no more reports. */
  gone: boolean;
  /** The newest first, at most {@link TRANSITIONS_KEPT}. */
  transitions: readonly Transition[];
};

/** How many changes of state a pair remembers. */
export const TRANSITIONS_KEPT = 10;

/** The state of a pair before its first input; with a spec on disk that spec is in force. */
export const initialState = (record: PairRecord, nowUnixMs: number): PairState => ({
  key: `${record.namespace}/${record.pairName}`,
  record,
  dirty: false,
  wish: null,
  loaded:
    record.spec === null || record.uid === null || record.generation === null
      ? null
      : { spec: record.spec, uid: record.uid, generation: record.generation },
  loadProblem: null,
  checks: [],
  interfaces: null,
  imds: null,
  lastDelivered: [],
  arrived: [],
  formerClaim: null,
  peer: undefined,
  contact: { lastContactMs: null, specRead: false },
  election: 'Init',
  face: { state: 'Init', sinceMs: nowUnixMs },
  claim: null,
  startingUntilMs: Number.NEGATIVE_INFINITY,
  yieldedTerm: 0,
  confirmedYield: 0,
  confirmedNever: false,
  peerHeard: null,
  rejects: null,
  peerFault: null,
  socketTrouble: null,
  addressTrouble: null,
  silence: null,
  turns: new Map(),
  reported: undefined,
  stored: undefined,
  stopping: false,
  abandoned: false,
  gone: false,
  transitions: [],
});

/** The interface that carries the source address, if any does. */
export const carrierOf = (
  interfaces: InterfaceReading | null,
  spec: Pick<VRRPInstanceSpec, 'sourceAddress' | 'interface'>,
): NodeInterface | undefined =>
  interfaces?.interfaces.find(
    ({ name, addresses }) =>
      (spec.interface === undefined || spec.interface === name) &&
      addresses.some(({ address }) => address === spec.sourceAddress),
  );

/** Addresses that this agent put on an interface which the pair has left since; `name` is that interface. */
export const strandedAddresses = (state: PairState): { name: string; addresses: string[] } => {
  const { added, interface: name } = state.record;
  const spec = state.loaded?.spec;
  const left = name !== null && spec !== undefined && interfaceNameOf(state, spec) !== name;
  const found = left ? state.interfaces?.interfaces.find((entry) => entry.name === name) : undefined;
  const present = found?.addresses.filter((entry) => !isForeignForm(entry)) ?? [];
  const isThere = (address: string) => present.some((entry) => entry.address === address);
  return { name: name ?? '', addresses: added.filter(isThere) };
};

/** The name of the pair's interface: as the spec says, as seen now, or as seen last. */
export const interfaceNameOf = (state: PairState, spec: VRRPInstanceSpec): string | null =>
  spec.interface ?? carrierOf(state.interfaces, spec)?.name ?? state.record.interface;

const networkInterfaceOf = (imds: IMDSReading | null, spec: VRRPInstanceSpec) =>
  imds?.networkInterfaces.find(({ networkInterfaceID }) => networkInterfaceID === spec.networkInterfaceID);

/** Every address that EC2 delivers to the pair's ENI; null: unknown, or the ENI is not here. */
export const deliveredTo = (imds: IMDSReading | null, spec: VRRPInstanceSpec): string[] | null =>
  networkInterfaceOf(imds, spec)?.addresses ?? null;

/** IMDS has shown the ENI on this instance, now or before IMDS became unreadable. */
export const isVerified = (state: PairState, spec: VRRPInstanceSpec): boolean =>
  state.imds === null
    ? state.record.verifiedNetworkInterfaceID === spec.networkInterfaceID
    : networkInterfaceOf(state.imds, spec) !== undefined;

/** The subnet a VIP must lie in: EC2's if IMDS was read, else as the interface is configured. */
export const networkOf = (state: PairState, spec: VRRPInstanceSpec): Network | undefined => {
  const own = carrierOf(state.interfaces, spec)?.addresses.find(
    ({ address }) => address === spec.sourceAddress,
  );
  if (own === undefined) return undefined;
  const cidrLength = Number(networkInterfaceOf(state.imds, spec)?.subnetCIDR?.split('/')[1] ?? Number.NaN);
  const prefixLength = Number.isInteger(cidrLength) ? cidrLength : own.prefixLength;
  return { address: own.address, prefixLength, reserved: state.interfaces?.reserved ?? [] };
};

/** Why a VIP may not go on the interface; null: no objection, or the subnet is not known. */
const whyNot = (vip: string, network: Network | undefined): string | null =>
  network === undefined ? null : refuseVIP(vip, network);

/** The first VIP that may not go on the interface. */
export const refusal = (state: PairState, spec: VRRPInstanceSpec): Problem | null => {
  const network = networkOf(state, spec);
  const message = vipsOf(spec)
    .map((vip) => whyNot(vip, network))
    .find((why) => why !== null);
  return message === undefined ? null : { reason: 'AddressRefused', message };
};

/** Why this node must not be Master. Failed checks come last: they alone leave the last resort. */
export const faultOf = (state: PairState): Problem | null =>
  obstacleOf(state) ?? (state.loaded === null ? null : problemOf(state.checks));

/** What no pin and no last resort overcomes: the ENI, the interface or the address is missing. */
const obstacleOf = (state: PairState): Problem | null => {
  const spec = state.loaded?.spec;
  if (spec === undefined) return null;
  if (state.imds !== null && !isVerified(state, spec))
    return {
      reason: 'NetworkInterfaceMismatch',
      message: `IMDS of instance ${state.imds.instanceID} does not show ${spec.networkInterfaceID}; correct spec.nodes[].networkInterfaceID of the HAPair, or attach that ENI to the node`,
    };
  if (state.interfaces === null) return null;
  // A Master that cannot put its VIP up would serve nobody and keep its peer from serving.
  const { denied } = state.interfaces;
  if (denied !== undefined && vipsOf(spec).length > 0) return { reason: 'InstanceFaulty', message: denied };
  const carrier = carrierOf(state.interfaces, spec);
  if (carrier === undefined)
    return spec.interface !== undefined &&
      !state.interfaces.interfaces.some(({ name }) => name === spec.interface)
      ? {
          reason: 'InterfaceMissing',
          message: `There is no interface ${spec.interface} on this node; correct spec.nodes[].interface of the HAPair, or leave it out to take the one that carries ${spec.sourceAddress}`,
        }
      : {
          reason: 'SourceAddressMissing',
          message: `No interface carries ${spec.sourceAddress}; put the ENI's primary address back, or correct spec.nodes[].address of the HAPair`,
        };
  if (!carrier.up)
    return {
      reason: 'SourceAddressMissing',
      message: `The link of ${carrier.name} is down; set it up again`,
    };
  return null;
};

/** What the worker must run; null: nothing may run yet. */
export const workerConfig = (state: PairState, nowMs: number): WorkerConfig | null => {
  const spec = state.loaded?.spec;
  if (spec === undefined || !isVerified(state, spec)) return null;
  const interfaceName = interfaceNameOf(state, spec);
  if (interfaceName === null) return null;
  const { send, accept } = spec.vrrp;
  // Without its password a set must be neither sent nor accepted: that would be another set.
  if (!secretRefs(spec).every((ref) => storedSecret(state.record, ref) !== undefined)) return null;
  return {
    version: send.version,
    virtualRouterID: send.virtualRouterID,
    priority: advertisedPriority(spec.priority, state.contact, nowMs),
    ...parametersOf(state.record, send),
    accept: accept.map((set) => parametersOf(state.record, set)),
    claim: claimOf(state, spec),
    sourceAddress: spec.sourceAddress,
    peerAddress: spec.peerAddress,
    interface: interfaceName,
    vips: vipsOf(spec),
  };
};

/**
 * `Never` counts before it is loaded: a node whose disk is full must be able to give way to the pinned one. A Master does so
 * once a GET has shown that it still stands.
 */
const claimOf = (state: PairState, spec: VRRPInstanceSpec): VRRPInstanceSpec['claim'] => {
  const isUnconfirmed = state.election === 'Master' && !state.confirmedNever;
  if (isUnconfirmed) return spec.claim === 'Never' ? 'Normal' : spec.claim;
  return newestSpec(state)?.claim === 'Never' ? 'Never' : spec.claim;
};

/** A Master is told to claim never, and nothing but a watch has said so yet. */
export const mustConfirmNever = (state: PairState): boolean =>
  state.election === 'Master' && newestSpec(state)?.claim === 'Never' && !state.confirmedNever;

const parametersOf = (record: PairRecord, set: VRRPParameters): AcceptedParameters => {
  const ref = set.authentication?.secretRef;
  const password = ref && storedSecret(record, ref)?.password;
  return {
    advertisementIntervalMs: set.advertisementIntervalMilliseconds,
    checksum: set.checksum ?? 'Pseudoheader',
    ...(password !== undefined && { password: new Uint8Array(Buffer.from(password, 'base64')) }),
  };
};

/** The keys that hold the passwords of all sets, each once. */
export const secretRefs = ({ vrrp: { send, accept } }: VRRPInstanceSpec): SecretRef[] => {
  const refs = [send, ...accept].flatMap(({ authentication }) => authentication?.secretRef ?? []);
  return refs.filter((ref, index) => refs.findIndex((other) => sameKey(ref, other)) === index);
};

/** What was read of a key; undefined: nothing yet. */
export const storedSecret = ({ secrets }: PairRecord, ref: SecretRef): StoredSecret | undefined =>
  secrets.find((stored) => sameKey(stored.ref, ref));

const sameKey = (a: SecretRef, b: SecretRef): boolean => a.name === b.name && a.key === b.key;

/** The interface that VIPs go on, if it is there: the one that carries the source address, or did when last seen. */
export const vipInterfaceOf = (state: PairState): NodeInterface | undefined => {
  const spec = state.loaded?.spec ?? state.record.spec;
  const name = spec ? interfaceNameOf(state, spec) : state.record.interface;
  return state.interfaces?.interfaces.find((entry) => entry.name === name);
};

const entriesOn = (state: PairState): NodeAddress[] => vipInterfaceOf(state)?.addresses ?? [];

/** Every address on the pair's interface. */
export const onInterface = (state: PairState): string[] => entriesOn(state).map(({ address }) => address);

/** Addresses that this agent put up, but for those that somebody else has put there in another form since. */
export const ownAddresses = (state: PairState): string[] =>
  state.record.added.filter((address) => {
    const found = entriesOn(state).filter((entry) => entry.address === address);
    return found.length === 0 || !found.every(isForeignForm);
  });

/** VIPs that only an agent can have put on the interface, although nothing says so any more: its file was lost. */
export const orphanAddresses = (state: PairState): string[] => {
  const vips = [
    ...(state.loaded ? vipsOf(state.loaded.spec) : []),
    ...(state.wish?.status?.vipsOnInterface ?? []),
  ];
  return entriesOn(state)
    .filter((entry) => isOurForm(entry) && vips.includes(entry.address))
    .map(({ address }) => address)
    .filter((address) => !state.record.added.includes(address));
};

/** What the VIP rule asks of the interface now. */
export const vipPlan = (state: PairState, nowMs: number): VIPPlan => {
  const present = onInterface(state);
  const added = ownAddresses(state);
  if (state.abandoned) return { add: [], remove: added.filter((address) => present.includes(address)) };
  const spec = state.loaded?.spec;
  if (spec === undefined || state.gone || state.interfaces === null) return { add: [], remove: [] };
  const plan = planVIPs({
    state: state.election,
    claim: spec.claim,
    vips: vipsOf(spec),
    delivered: deliveredTo(state.imds, spec),
    lastDelivered: state.lastDelivered,
    onInterface: present,
    added,
    awaited: awaitedVIPs(vipsOf(spec), state.formerClaim, nowMs),
  });
  if (vipInterfaceOf(state) === undefined) return { ...plan, add: [] };
  if (carrierOf(state.interfaces, spec) === undefined) {
    // Without the own address nobody can say which VIP would hijack what, but EC2 vouches for what it delivers.
    const delivered = deliveredTo(state.imds, spec) ?? state.lastDelivered;
    return { ...plan, add: plan.add.filter((vip) => delivered.includes(vip)) };
  }
  const network = networkOf(state, spec);
  // One that may not go up keeps no other from it.
  return { ...plan, add: plan.add.filter((vip) => whyNot(vip, network) === null) };
};

/** True when all VIPs of the spec are on the interface; those that may not go there do not count, unless there are no others. */
export const vipsUp = (state: PairState): boolean => {
  const spec = state.loaded?.spec;
  if (spec === undefined || vipsOf(spec).length === 0) return true;
  const present = onInterface(state);
  const network = networkOf(state, spec);
  const possible = vipsOf(spec).filter((vip) => whyNot(vip, network) === null);
  return possible.length > 0 && possible.every((vip) => present.includes(vip));
};

/**
 * Somebody else has written this node's report since: a second agent of its name, or a person. Compared is what the API server
 * has with what it had, so that its own way of writing things is no difference; a watch that lags shows older versions.
 */
export const isOverwritten = ({ wish, reported, stored }: PairState): boolean =>
  wish !== null &&
  reported !== undefined &&
  stored !== undefined &&
  versionOf(stored) > 0n &&
  versionOf(wish) > versionOf(stored) &&
  !sameStatus(wish.status, stored.status);

/** The peer's signs of life must be watched: a newer Master's report hides this Master, or this may be the last resort. */
export const mustWatchPeer = (state: PairState): boolean => isHidden(state) || isLastCandidate(state);

/** The term of the running claim, if it is asked to yield and has not; null: nothing is asked of it. */
export const orderedTerm = (state: PairState): number | null => {
  const term = state.claim?.term ?? null;
  const isOrdered = term !== null && state.yieldedTerm !== term && newestSpec(state)?.yieldTerm === term;
  return isOrdered ? term : null;
};

/** A newer Master's report hides this Master. */
export const isHidden = ({ claim, peer }: PairState): boolean =>
  claim !== null && claim.term !== null && peerHides(claim.term, peer);

/** Failed checks alone keep this node from serving, and nobody else is heard to serve. */
export const isLastCandidate = (state: PairState): boolean =>
  state.election === 'Fault' &&
  state.peerHeard === false &&
  !state.stopping &&
  newestSpec(state)?.claim !== 'Never' &&
  faultOf(state)?.reason === 'ChecksFailed';

/**
 * A Master whose checks fail serves until its peer reports that it is a healthy Backup. Only a report written since
 * this claim counts: a Backup reports the highest term it has seen, and what a dead peer left behind carries a lower one.
 */
export const mayResignToPeer = ({ claim, peer, checks, loaded }: PairState): boolean =>
  problemOf(checks) !== null &&
  loaded?.spec.claim !== 'Always' &&
  claim !== null &&
  claim.term !== null &&
  peer?.state === 'Backup' &&
  peer.isHealthy &&
  peer.term >= claim.term;

/** The longest interval between two adverts that is accepted. */
export const longestIntervalMs = ({ vrrp: { send, accept } }: VRRPInstanceSpec): number =>
  Math.max(
    ...[send, ...accept].map(({ advertisementIntervalMilliseconds }) => advertisementIntervalMilliseconds),
  );

/** What the peer sends wrongly now; null: nothing that has been going on. */
export const peerFaultOf = ({ loaded, rejects }: PairState, nowMs: number): Problem | null =>
  loaded === null ? null : peerFault(rejects, loaded.spec.peerAddress, nowMs, longestIntervalMs(loaded.spec));

/** The operator's newest wish, loaded or not; what needs no disk is done by it. */
export const newestSpec = ({ wish, loaded }: PairState): VRRPInstanceSpec | undefined =>
  (wish ?? loaded)?.spec;

/** The highest floor known: an older spec's stays true. */
export const termFloor = ({ wish, loaded }: PairState): number =>
  Math.max(wish?.spec.termFloor ?? 0, loaded?.spec.termFloor ?? 0);

/** The report's content; with `claim`, as it will be once that term is taken. */
export const factsOf = (
  state: PairState,
  agentVersion: string,
  taking?: { term: number; sinceMs: number },
): Facts => {
  const spec = state.loaded?.spec;
  const ours = new Set([...(spec ? vipsOf(spec) : []), ...state.record.added]);
  const delivered = spec === undefined ? null : deliveredTo(state.imds, spec);
  const face = taking === undefined ? state.face : { state: 'Master' as const, sinceMs: taking.sinceMs };
  const sendRef = spec?.vrrp.send.authentication?.secretRef;
  return {
    observedGeneration: state.loaded?.generation,
    probe: newestSpec(state)?.probe,
    state: face.state,
    term:
      taking?.term ??
      (face.state === 'Master' ? (state.claim?.term ?? state.record.highestTerm) : state.record.highestTerm),
    sinceMs: face.sinceMs,
    interface: spec === undefined ? undefined : (interfaceNameOf(state, spec) ?? undefined),
    instanceID: state.imds?.instanceID,
    vipsOnInterface: onInterface(state).filter((address) => ours.has(address)),
    vipsDelivered: delivered?.filter((address) => ours.has(address)) ?? null,
    secretResourceVersion: sendRef && storedSecret(state.record, sendRef)?.resourceVersion,
    checks: state.checks,
    agentVersion,
    findings: findings({
      state: face.state,
      loaded: spec !== undefined,
      verified: spec !== undefined && isVerified(state, spec),
      loadProblem: state.loadProblem,
      fault: obstacleOf(state),
      trouble:
        state.socketTrouble ?? state.addressTrouble ?? (spec === undefined ? null : refusal(state, spec)),
      peerHeard: state.peerHeard,
      peerFault: state.peerFault,
      secretNeeded: spec !== undefined && secretRefs(spec).length > 0,
      checks: state.checks,
    }),
  };
};
