/**
 * Terms: how an agent that became Master numbers its claim, and when it must number it again (DESIGN.md, "Who is master").
 */
import { TERM_STEP, type VRRPState } from '../../crds/types.ts';

/** What an agent's report says about its claim. */
export type Report = { state: VRRPState; term: number };

/** Everything a term must exceed. */
export type TermEvidence = {
  /** This node's own report, read with a GET; absent: it has none. */
  own?: Report | undefined;
  /** The peer's report, read with a GET; absent: it has none. */
  peer?: Report | undefined;
  /** `spec.termFloor`. */
  floor: number;
  /** The highest term this node ever held or saw, its disk included. */
  highest: number;
};

/** The highest term in all of the evidence; 0 when there is none. */
export const highestTerm = ({ own, peer, floor, highest }: TermEvidence): number =>
  Math.max(0, own?.term ?? 0, peer?.term ?? 0, floor, highest);

/** The highest term that the API server lets this node report (a rule of the VRRPInstance's CRD). */
export const termLimit = ({ own, floor }: Pick<TermEvidence, 'own' | 'floor'>): number =>
  Math.max(own?.term ?? 0, floor) + TERM_STEP;

/** The report, unless its term is one that no agent can have come to: that is no claim, and nobody counts on from it. */
export const believable = <T extends Report>(report: T | undefined, limit: number): T | undefined =>
  report === undefined || report.term > limit ? undefined : report;

/** The term that a new Master takes: one more than everything it can know of, and no more than it may report. */
export const nextTerm = (evidence: TermEvidence): number => {
  const limit = termLimit(evidence);
  const peer = believable(evidence.peer, limit);
  return Math.min(highestTerm({ ...evidence, peer }) + 1, limit);
};

/** Why a Master takes a term. */
export type TermCause =
  /** It holds none yet: it has just claimed, or could not report before. */
  | 'NoTerm'
  /** The operator has acted on a higher one. */
  | 'BelowFloor'
  /** The peer's report carries a higher one. */
  | 'BelowPeer'
  /** The peer's report is a newer Master's, and that Master shows no sign of life. */
  | 'PeerDead';

/** True while the peer's report hides this Master: it is Master's, with a term that is not lower. */
export const peerHides = (term: number, peer: Report | undefined): boolean =>
  peer?.state === 'Master' && peer.term >= term;

/**
 * Whether a settled Master must take a term now.
 * @param term the term it holds and has reported; null: none
 * @param peerDead the peer showed no sign of life for the 40 s of `life.ts`
 * @returns null when the term it holds is good, or when a living newer Master must not be out-claimed
 */
export const termCause = (
  term: number | null,
  floor: number,
  peer: Report | undefined,
  peerDead: boolean,
): TermCause | null => {
  if (term === null) return 'NoTerm';
  if (peerHides(term, peer)) return peerDead ? 'PeerDead' : null;
  if (term < floor) return 'BelowFloor';
  if (peer !== undefined && peer.term > term) return 'BelowPeer';
  return null;
};
