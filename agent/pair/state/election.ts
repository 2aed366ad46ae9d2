/** Part of a pair's state: the election as its worker tells it, and the claim that runs. Written here alone. */
import type { Reason } from '../../../crds/conditions.ts';
import type { VRRPInstance, VRRPState } from '../../../crds/types.ts';
import type { Problem } from '../../rules/problem.ts';
import type { Claim } from '../../rules/report.ts';
import type { FormerClaim } from '../../rules/vip.ts';
import type { Seen } from './seen.ts';

/** Both ends of the pair, as the API server has them. */
export type Instances = { own: VRRPInstance | null; peer: VRRPInstance | null };

/** A claim with the instant of its first advert, in Unix milliseconds, and what was read since then. */
export type RunningClaim = Claim & {
  sinceMs: number;
  /** Both instances, asked for when the claim began, while it listened; null: they could not be read. */
  evidence: Promise<Instances | null>;
};

/** One change of VRRP state, as `hapair-agent status` shows it. */
export type Transition = {
  state: VRRPState;
  reason: Reason;
  /** Unix milliseconds. */
  atMs: number;
};

type Part = {
  /** The worker's state. */
  election: VRRPState;
  /** The state as reported: a claim shows only once its term is taken. Unix milliseconds. */
  reportedState: { state: VRRPState; sinceMs: number };
  claim: RunningClaim | null;
  /** The last report of Master that was taken back; null: none since the start. */
  formerClaim: FormerClaim | null;
  /** Every VIP that IMDS has listed here since the newest claim began. */
  arrived: readonly string[];
  /** Trouble of the worker's socket. */
  socketTrouble: Problem | null;
  /** The newest first, at most {@link TRANSITIONS_KEPT}. */
  transitions: readonly Transition[];
};

export type ElectionState = Seen<Part>;

/** What a successor of the program needs of it. */
export type ElectionHandover = Pick<
  ElectionState,
  'election' | 'reportedState' | 'formerClaim' | 'arrived' | 'transitions'
> & { claim: Omit<RunningClaim, 'evidence'> | null };

/** How many changes of state a pair remembers. */
export const TRANSITIONS_KEPT = 10;

/** Before the first word of the worker, or as the predecessor left it. */
export const initialElection = (nowUnixMs: number, handover?: ElectionHandover): ElectionState => ({
  election: handover?.election ?? 'Init',
  reportedState: handover?.reportedState ?? { state: 'Init', sinceMs: nowUnixMs },
  // What a claim without a term has read is out of date by now.
  claim: handover?.claim ? { ...handover.claim, evidence: Promise.resolve(null) } : null,
  formerClaim: handover?.formerClaim ?? null,
  arrived: handover?.arrived ?? [],
  socketTrouble: null,
  transitions: handover?.transitions ?? [],
});

/** A change of the worker's state. */
export type Entering = {
  state: VRRPState;
  reason: Reason;
  /** Monotonic. */
  atMs: number;
  /** The same instant in Unix milliseconds. */
  sinceMs: number;
  /** What EC2 delivers here. */
  delivered: readonly string[];
  /** Asked for when a claim begins. */
  readEvidence: () => Promise<Instances | null>;
};

/** The worker has entered another state. */
export const enterState = (state: Part, entering: Entering): void => {
  const { state: election, reason, atMs, sinceMs } = entering;
  // Settled: the report of it may be out already.
  if (state.claim?.settled === true) state.formerClaim = { leftAtMs: atMs, arrived: state.arrived };
  if (election === 'Master') state.arrived = [...entering.delivered];
  state.election = election;
  const transition = { state: election, reason, atMs: sinceMs };
  state.transitions = [transition, ...state.transitions].slice(0, TRANSITIONS_KEPT);
  // A new claim, even by the same node, takes a new term; one that has not settled leaves no trace in the report (T18).
  state.claim =
    election === 'Master'
      ? { settled: false, vipUp: false, term: null, sinceMs, evidence: entering.readEvidence() }
      : null;
  if (election !== 'Master' && state.reportedState.state !== election)
    state.reportedState = { state: election, sinceMs };
};

/** The claim has listened, and nobody has objected. @returns false: it is over already */
export const settleClaim = ({ claim }: Part): boolean => {
  if (claim === null) return false;
  claim.settled = true;
  return true;
};

/** Every VIP was seen on the interface. */
export const noteVIPsUp = ({ claim }: Part): void => {
  if (claim !== null) claim.vipUp = true;
};

/** The running claim holds `term`, and the report says so. */
export const holdTerm = (state: Part, claim: RunningClaim, term: number): void => {
  claim.term = term;
  state.reportedState = { state: 'Master', sinceMs: claim.sinceMs };
};

/** What was read while the claim listened; it serves the claim's first attempt alone. */
export const takeEvidence = (claim: RunningClaim): RunningClaim['evidence'] => {
  const { evidence } = claim;
  claim.evidence = Promise.resolve(null);
  return evidence;
};

/** Remembers what EC2 has delivered here since the newest claim. */
export const noteArrived = (state: Part, delivered: readonly string[]): void => {
  state.arrived = [...new Set([...state.arrived, ...delivered])];
  if (state.formerClaim !== null) state.formerClaim = { ...state.formerClaim, arrived: state.arrived };
};

/** @param error null: it works again */
export const setSocketTrouble = (state: Part, error: string | null): void => {
  state.socketTrouble = error === null ? null : { reason: 'InstanceFaulty', message: error };
};
