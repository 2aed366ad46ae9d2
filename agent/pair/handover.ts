/** What a pair's actor hands to its successor when the agent's program is replaced in place, and how that one goes on. */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPInstanceSpec } from '../../crds/types.ts';
import type { IMDSReading, InterfaceReading } from '../ports.ts';
import type { CheckFinding } from '../rules/verdict.ts';
import type { WorkerConfig } from '../worker/messages.ts';
import { observeTerm } from './lanes/report.ts';
import type { PairState, RunningClaim } from './state.ts';

/** What the worker was told about a pair. */
export type Running = {
  config: WorkerConfig;
  /** The spec that asked for it. */
  spec: VRRPInstanceSpec | null;
  fault: Reason | null;
};

/** Goes by structured clone from one version of the program to another. Monotonic times hold: it is the same machine. */
export type PairHandover = Pick<
  PairState,
  | 'election'
  | 'reportedState'
  | 'reported'
  | 'stored'
  | 'peer'
  | 'peerHeard'
  | 'checks'
  | 'lastDelivered'
  | 'arrived'
  | 'formerClaim'
  | 'yieldedTerm'
  | 'transitions'
> & {
  running: Running;
  claim: Omit<RunningClaim, 'evidence'> | null;
  highestTerm: number;
  specRead: boolean;
  /** Monotonic; null: it has never advertised. */
  lastAdvertAtMs: number | null;
};

/** What the agent knows that its disk and its API server do not. */
export type AgentHandover = {
  /** By `namespace/pairName`. */
  pairs: Readonly<Record<string, PairHandover>>;
  /** Monotonic time of the API server's last answer; null: none yet. */
  lastContactMs: number | null;
  imds: IMDSReading | null;
  interfaces: InterfaceReading | null;
};

/** What is known of the pair now; null: nothing runs. What is on disk is not part of it: the successor reads that itself. */
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

/** Goes on where the predecessor was: the same state since the same instant, the same term, the same report. */
export const resume = (state: PairState, handover: PairHandover): void => {
  const { running, claim, highestTerm, specRead, lastAdvertAtMs: _, ...same } = handover;
  Object.assign(state, same);
  state.sent = { ...running };
  // What a claim without a term has read is out of date by now.
  state.claim = claim && { ...claim, evidence: Promise.resolve(null) };
  state.contact.specRead = specRead;
  observeTerm(state, highestTerm);
};

/** A check that has just begun has no verdict yet: its predecessor's stands. */
export const withInherited = (
  findings: readonly CheckFinding[],
  inherited: readonly CheckFinding[],
): readonly CheckFinding[] =>
  findings.map((finding) =>
    finding.healthy === null ? (inherited.find(({ name }) => name === finding.name) ?? finding) : finding,
  );
