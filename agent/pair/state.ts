/**
 * The state of one pair in this agent: parts, each written by the one file in state/ that declares it. One style: the owner's
 * functions change their part in place; a reading, a spec or a record in it is replaced, never written into. Everybody else
 * sees the parts read-only: the compiler checks it, and hack/lint/owners.ts what lies deeper.
 */
import type { PairRecord } from '../ports.ts';
import type { PairHandover } from './handover.ts';
import { type ChecksState, initialChecks } from './state/checks.ts';
import { type ElectionState, initialElection } from './state/election.ts';
import { initialLifecycle, type LifecycleState } from './state/lifecycle.ts';
import { initialNetwork, type NetworkState } from './state/network.ts';
import { initialPeer, type PeerState } from './state/peer.ts';
import { initialRecord, observeTerm, type RecordState } from './state/record.ts';
import { initialReport, type ReportState } from './state/report.ts';
import { initialSpec, type SpecState } from './state/spec.ts';
import { initialSteering, type SteeringState } from './state/steering.ts';

export type PairState = {
  /** `namespace/pairName`. */
  readonly key: string;
} & RecordState &
  SpecState &
  ElectionState &
  SteeringState &
  NetworkState &
  PeerState &
  ChecksState &
  ReportState &
  LifecycleState;

/**
 * The state before the first input. With a spec on disk that spec is in force.
 * @param handover of the program that this one has replaced in place: the same state since the same instant, the same term, the
 * same report
 */
export const initialState = (record: PairRecord, nowUnixMs: number, handover?: PairHandover): PairState => {
  const state: PairState = {
    key: `${record.namespace}/${record.pairName}`,
    ...initialRecord(record),
    ...initialSpec(record, handover?.specRead ?? false),
    ...initialElection(nowUnixMs, handover),
    ...initialSteering(handover),
    ...initialNetwork(handover?.lastDelivered),
    ...initialPeer(handover),
    ...initialChecks(handover?.checks),
    ...initialReport(handover),
    ...initialLifecycle(),
  };
  if (handover) observeTerm(state, handover.highestTerm);
  return state;
};

/** What the successor must know; null: nothing runs. What is on disk is not part of it: the successor reads that itself. */
export const handoverOf = (state: PairState, lastAdvertAtMs: number | null): PairHandover | null => {
  const { config, spec, fault } = state.sent;
  if (config === null || state.gone || state.stopping) return null;
  const running = { config, spec, fault };
  const { election, reportedState, reported, stored, peer, peerHeard, checks } = state;
  const { lastDelivered, arrived, formerClaim, yieldedTerm, transitions, claim, record, contact } = state;
  return {
    ...{ election, reportedState, reported, stored, peer, peerHeard, checks },
    ...{ lastDelivered, arrived, formerClaim, yieldedTerm, transitions, running, lastAdvertAtMs },
    claim: claim && { settled: claim.settled, vipUp: claim.vipUp, term: claim.term, sinceMs: claim.sinceMs },
    highestTerm: record.highestTerm,
    specRead: contact.specRead,
  };
};
