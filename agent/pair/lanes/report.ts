/** Takes terms and reports. A Master is reported only together with the term it takes. */

import { TERM_STEP, type VRRPInstance, type VRRPInstanceStatus } from '../../../crds/types.ts';
import { messageOf } from '../../../runtime/error-text.ts';
import type { PairPorts } from '../../ports.ts';
import { isDead } from '../../rules/life.ts';
import { buildStatus, mayTakeTerm, sameStatus } from '../../rules/report.ts';
import { believable, nextTerm, type TermCause, termCause } from '../../rules/term.ts';
import { vipPlan } from '../addresses.ts';
import { factsOf, highestReportable, isOverwritten, newestSpec, termFloor } from '../derived.ts';
import { holdTerm, type Instances, type RunningClaim, takeEvidence } from '../state/election.ts';
import { forgetSilence, seePeer } from '../state/peer.ts';
import { beginSave, noteInRecord, observeTerm, refuseTerm } from '../state/record.ts';
import { beginReport, endReport, noteOverwritten, seeStored } from '../state/report.ts';
import { desireFirst, isLoaded } from '../state/spec.ts';
import type { PairState } from '../state.ts';

/** The status to report now. */
export const statusOf = (
  state: PairState,
  ports: PairPorts,
  taking?: { term: number; sinceMs: number },
): VRRPInstanceStatus =>
  buildStatus(
    factsOf(state, ports.agentVersion, taking),
    state.reported ?? state.lastKnownReport,
    // What a term taken now makes true was true since the claim.
    taking?.sinceMs ?? ports.clock.wall(),
    state.conditionTimes,
  );

/** Why the running claim takes a term now; null: there is none, it is too early, or its term is good. */
const causeOf = (state: PairState, claim: PairState['claim']): TermCause | null =>
  claim === null || !mayTakeTerm(claim)
    ? null
    : termCause(
        claim.term,
        termFloor(state),
        believable(state.peer, highestReportable(state)),
        isDead(state.silence),
      );

/**
 * One step of the report lane.
 * @throws KubeError when the API does not answer; the claim then takes its term afresh
 */
export const reportStep = async (state: PairState, ports: PairPorts): Promise<boolean> => {
  if (state.gone || (state.desired === null && state.loaded === null)) return false;
  const { claim } = state;
  const cause = causeOf(state, claim);
  if (claim !== null && cause !== null) return takeTerm(state, ports, claim, cause);
  // After a restart from disk the times in the stored report are not known yet (S7); the read lane fetches it.
  if (state.desired === null || isInMotion(state, ports.clock.now())) return false;
  keepWithinStep(state, ports);
  // A report waits for no disk: the operator waits a second at most for the echo of a probe.
  if (state.dirty) void saveRecord(state, ports);

  const status = statusOf(state, ports);
  if (sameStatus(status, state.reported)) return false;
  await send(state, ports, status);
  return true;
};

/**
 * A report that would only show an address in motion waits for it to arrive, and nothing is said of a claim that has not
 * proven itself: the report that matters must find the lane free (T18). Trouble is said at once.
 */
const isInMotion = (state: PairState, nowMs: number): boolean => {
  const { addressTrouble, socketTrouble, loadProblem, claim, reported, reportedState, desired } = state;
  if (addressTrouble !== null || socketTrouble !== null || loadProblem !== null) return false;
  if (claim !== null && claim.term === null) return true;
  if (isProbed(state)) return false;
  if (nowMs < state.startingUntilMs) return true;
  if (reported !== undefined && reported.state !== reportedState.state) return false;
  if (desired !== null && !isLoaded(state, desired)) return true;
  const { add, remove } = vipPlan(state, nowMs);
  return add.length + remove.length > 0 && reported !== undefined;
};

/** The operator asks for a sign of life that has not been given: a spec that cannot be loaded does not hold it back. */
const isProbed = (state: PairState): boolean => {
  const { probe = 0 } = state.reported ?? state.lastKnownReport ?? {};
  return (newestSpec(state)?.probe ?? 0) !== probe;
};

/** A disk that says more than the API server takes was written by somebody else, or is of another pair's life. */
const keepWithinStep = (state: PairState, { log }: PairPorts): void => {
  const limit = highestReportable(state);
  const { highestTerm } = state.record;
  if (highestTerm <= limit) return;
  refuseTerm(state, limit - TERM_STEP);
  log.warn(
    { pair: state.key, reason: 'TermRefused', term: highestTerm, limit },
    'the highest term on disk is beyond what can be reported; counting on from the API server',
  );
};

const takeTerm = async (
  state: PairState,
  ports: PairPorts,
  claim: NonNullable<PairState['claim']>,
  cause: TermCause,
): Promise<boolean> => {
  const { clock } = ports;
  const startedAtMs = clock.now();
  const { own, peer } =
    (await freshEvidence(claim, clock.wall())) ?? (await ports.kube.readInstances(state.record.peerNode));
  if (peer !== null) observePeer(state, peer);
  // Its report counts as known too, if none was read since the start, or if the last one sent was stored and not answered.
  if (own !== null && (desireFirst(state, own) || state.reported === undefined)) seeStored(state, own.status);
  if (state.claim !== claim || causeOf(state, claim) === null) return true;

  keepWithinStep(state, ports);
  const floor = Math.max(termFloor(state), own?.spec.termFloor ?? 0);
  const term = nextTerm({ own: own?.status, peer: peer?.status, floor, highest: state.record.highestTerm });
  observeTerm(state, term);
  const readAtMs = clock.now();
  // The report is the term's record that counts; the disk need not come first.
  void saveRecord(state, ports);
  await send(state, ports, statusOf(state, ports, { term, sinceMs: claim.sinceMs }));
  const reportedAtMs = clock.now();
  const readMs = Math.round(readAtMs - startedAtMs);
  const reportMs = Math.round(reportedAtMs - readAtMs);
  ports.log.info({ pair: state.key, reason: 'TermTaken', term, cause, readMs, reportMs }, 'term taken');
  if (state.claim !== claim) return true;
  holdTerm(state, claim, term);
  forgetSilence(state);
  return true;
};

/** What was read while the claim listened may be this old; older than that it is read again. */
const EVIDENCE_MS = 1_000;

const freshEvidence = async (claim: RunningClaim, nowMs: number): Promise<Instances | null> => {
  const evidence = takeEvidence(claim);
  return nowMs - claim.sinceMs < EVIDENCE_MS ? evidence : null;
};

const send = async (state: PairState, ports: PairPorts, status: VRRPInstanceStatus): Promise<void> => {
  const keepTimes = beginReport(state);
  try {
    endReport(state, status, await ports.kube.report(status));
  } catch (error) {
    keepTimes();
    throw error;
  }
  ports.log.info(
    { pair: state.key, reason: 'ReportSent', state: status.state, term: status.term },
    'report sent',
  );
};

/** Two that overwrite each other's reports do not chase each other any faster. */
const AGAIN_MS = 10_000;

/** What somebody else has put in place of the report is to be reported again as it is here. */
export const reportAgain = (state: PairState, { clock, log }: PairPorts): void => {
  const nowMs = clock.now();
  if (!isOverwritten(state) || nowMs - state.overwrittenAtMs < AGAIN_MS) return;
  log.warn(
    { pair: state.key, reason: 'ReportOverwritten', state: state.desired?.status?.state },
    'report overwritten by somebody else',
  );
  noteOverwritten(state, nowMs);
};

/** The disk is best effort here: losing it loses no safety, because both reports are read before a term is taken. */
const saveRecord = async (state: PairState, ports: PairPorts): Promise<void> => {
  try {
    await ports.disk.save(beginSave(state));
  } catch (error) {
    ports.log.warn(
      { pair: state.key, reason: 'RecordNotStored', err: messageOf(error) },
      'the highest term seen is not on disk',
    );
  }
};

/** Takes note of the peer's report. */
export const observePeer = (state: PairState, peer: VRRPInstance): void => {
  const { spec, status } = peer;
  if (state.record.peerNode !== spec.nodeName) noteInRecord(state, { peerNode: spec.nodeName });
  seePeer(state, peer);
  if (status !== undefined && status.term <= highestReportable(state)) observeTerm(state, status.term);
};
