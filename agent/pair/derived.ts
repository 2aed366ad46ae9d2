/** What follows from the state of a pair without any effect: what runs, what is owed, what is reported. */
import { type SecretRef, type VRRPInstanceSpec, type VRRPParameters, vipsOf } from '../../crds/types.ts';
import { versionOf } from '../../kube/resource-version.ts';
import type { IMDSReading, PairRecord, StoredSecret } from '../ports.ts';
import { findings } from '../rules/condition.ts';
import { peerFault } from '../rules/peer.ts';
import { advertisedPriority } from '../rules/priority.ts';
import type { Problem } from '../rules/problem.ts';
import { type Facts, sameStatus } from '../rules/report.ts';
import { peerHides, termLimit } from '../rules/term.ts';
import { problemOf } from '../rules/verdict.ts';
import type { AcceptedParameters } from '../vrrp/types.ts';
import type { WorkerConfig } from '../worker/messages.ts';
import { carrierOf, deliveredTo, interfaceNameOf, isVerified, onInterface, refusal } from './addresses.ts';
import type { PairState } from './state.ts';

/** Why this node must not be Master. Failed checks come last: they alone leave the last resort. */
export const faultOf = (state: PairState): Problem | null =>
  obstacleOf(state) ?? (state.loaded === null ? null : problemOf(state.checks));

/** The value to paste into the HAPair is among these. */
const shownENIs = ({ networkInterfaces }: IMDSReading): string =>
  networkInterfaces
    .map(
      ({ networkInterfaceID, addresses }) =>
        `${networkInterfaceID} (${addresses?.join(', ') ?? 'no IPv4 address'})`,
    )
    .join(' and ') || 'no ENI';

/** What no pin and no last resort overcomes: the ENI, the interface or the address is missing. */
const obstacleOf = (state: PairState): Problem | null => {
  const spec = state.loaded?.spec;
  if (spec === undefined) return null;
  if (state.imds !== null && !isVerified(state, spec))
    return {
      reason: 'NetworkInterfaceMismatch',
      message: `IMDS of instance ${state.imds.instanceID} does not show ${spec.networkInterfaceID}, but ${shownENIs(state.imds)}; correct spec.nodes[].networkInterfaceID of the HAPair, or attach that ENI to the node`,
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

/**
 * Somebody else has written this node's report since: a second agent of its name, or a person. Compared is what the API server
 * has with what it had, so that its own way of writing things is no difference; a watch that lags shows older versions.
 */
export const isOverwritten = ({ desired, reported, stored }: PairState): boolean =>
  desired !== null &&
  reported !== undefined &&
  stored !== undefined &&
  versionOf(stored) > 0n &&
  versionOf(desired) > versionOf(stored) &&
  !sameStatus(desired.status, stored.status);

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

/** The newest spec that the operator desires, loaded or not; what needs no disk is done by it. */
export const newestSpec = ({ desired, loaded }: PairState): VRRPInstanceSpec | undefined =>
  (desired ?? loaded)?.spec;

/** The highest floor known: an older spec's stays true. */
export const termFloor = ({ desired, loaded }: PairState): number =>
  Math.max(desired?.spec.termFloor ?? 0, loaded?.spec.termFloor ?? 0);

/** The highest term that this node may report, by what is known to be stored. */
export const highestReportable = (state: PairState): number =>
  termLimit({ own: state.reported ?? state.lastKnownReport, floor: termFloor(state) });

/** The report's content; with `claim`, as it will be once that term is taken. */
export const factsOf = (
  state: PairState,
  agentVersion: string,
  taking?: { term: number; sinceMs: number },
): Facts => {
  const spec = state.loaded?.spec;
  const ours = new Set([...(spec ? vipsOf(spec) : []), ...state.record.added]);
  const delivered = spec === undefined ? null : deliveredTo(state.imds, spec);
  const reportedState =
    taking === undefined ? state.reportedState : { state: 'Master' as const, sinceMs: taking.sinceMs };
  const sendRef = spec?.vrrp.send.authentication?.secretRef;
  return {
    observedGeneration: state.loaded?.generation,
    probe: newestSpec(state)?.probe,
    state: reportedState.state,
    term:
      taking?.term ??
      (reportedState.state === 'Master'
        ? (state.claim?.term ?? state.record.highestTerm)
        : state.record.highestTerm),
    sinceMs: reportedState.sinceMs,
    interface: spec === undefined ? undefined : (interfaceNameOf(state, spec) ?? undefined),
    instanceID: state.imds?.instanceID,
    vipsOnInterface: onInterface(state).filter((address) => ours.has(address)),
    vipsDelivered: delivered?.filter((address) => ours.has(address)) ?? null,
    secretResourceVersion: sendRef && storedSecret(state.record, sendRef)?.resourceVersion,
    checks: state.checks,
    agentVersion,
    findings: findings({
      state: reportedState.state,
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
