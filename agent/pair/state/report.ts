/** Part of a pair's state: what the API server has of its report. Written here alone. */
import type { VRRPInstanceStatus } from '../../../crds/types.ts';
import type { StoredReport } from '../../ports.ts';
import type { ConditionTimes } from '../../rules/report.ts';
import type { Seen } from './seen.ts';

type Part = {
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
};

export type ReportState = Seen<Part>;

export const initialReport = (handover?: Pick<ReportState, 'reported' | 'stored'>): ReportState => ({
  conditionTimes: new Map(),
  reported: handover?.reported,
  lastKnownReport: undefined,
  stored: handover?.stored,
  overwrittenAtMs: Number.NEGATIVE_INFINITY,
});

export const setConditionTimes = (state: Part, times: ConditionTimes): void => {
  state.conditionTimes = times;
};

/** The API server was read with this report. */
export const seeStored = (state: Part, status: VRRPInstanceStatus | undefined): void => {
  state.lastKnownReport = status;
};

/**
 * Until the answer comes nobody knows what the API server has: an unanswered report is sent again.
 * @returns to be called when no answer came
 */
export const beginReport = (state: Part): (() => void) => {
  const before = state.reported;
  state.reported = undefined;
  return () => {
    // Conditions keep their transition times from what is known to have been reported.
    if (before !== undefined) state.lastKnownReport = before;
  };
};

export const endReport = (state: Part, status: VRRPInstanceStatus, stored: StoredReport): void => {
  state.stored = stored;
  state.reported = status;
};

/** Somebody else has put another in its place: it is to be reported again. @param nowMs monotonic */
export const noteOverwritten = (state: Part, nowMs: number): void => {
  state.overwrittenAtMs = nowMs;
  // Conditions keep their transition times from what was reported here.
  state.lastKnownReport = state.reported;
  state.reported = undefined;
};
