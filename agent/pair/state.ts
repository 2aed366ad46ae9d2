/** The state of one pair in this agent. */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPInstance, VRRPInstanceSpec, VRRPInstanceStatus, VRRPState } from '../../crds/types.ts';
import type { IMDSReading, InterfaceReading, PairRecord, StoredReport } from '../ports.ts';
import type { Silence } from '../rules/life.ts';
import type { Rejects } from '../rules/peer.ts';
import type { Contact } from '../rules/priority.ts';
import type { Problem } from '../rules/problem.ts';
import type { Claim, ConditionTimes } from '../rules/report.ts';
import type { Report } from '../rules/term.ts';
import type { CheckFinding } from '../rules/verdict.ts';
import type { FormerClaim } from '../rules/vip.ts';
import type { WorkerConfig } from '../worker/messages.ts';

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

/** What the worker was told about a pair. */
export type Sent = {
  /** Null: nothing runs. */
  config: WorkerConfig | null;
  /** The newest spec that asks for that configuration. */
  spec: VRRPInstanceSpec | null;
  fault: Reason | null;
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
  desired: VRRPInstance | null;
  /** What the worker was told last. */
  sent: Sent;
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
  reportedState: { state: VRRPState; sinceMs: number };
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
  /** Monotonic time of the last reading of the peer's signs of life. */
  lifePolledAtMs: number;
  /** When each condition got the status it has. */
  conditionTimes: ConditionTimes;
  /** As the API server has it; undefined: not known. */
  reported: VRRPInstanceStatus | undefined;
  /** What it is known to have had last: conditions keep their transition times from it. */
  lastKnownReport: VRRPInstanceStatus | undefined;
  /** The API server's answer to the last report that it answered; undefined: there was none, or the predecessor did not say. */
  stored: StoredReport | undefined;
  /** Monotonic time of the last report that somebody else had overwritten and is made again. */
  overwrittenAtMs: number;
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
  desired: null,
  sent: { config: null, spec: null, fault: null },
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
  reportedState: { state: 'Init', sinceMs: nowUnixMs },
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
  lifePolledAtMs: Number.NEGATIVE_INFINITY,
  conditionTimes: new Map(),
  reported: undefined,
  lastKnownReport: undefined,
  stored: undefined,
  overwrittenAtMs: Number.NEGATIVE_INFINITY,
  stopping: false,
  abandoned: false,
  gone: false,
  transitions: [],
});
