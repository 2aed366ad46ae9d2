/** What an agent reports: `VRRPInstance.status`. */
import type { Condition, VRRPInstanceStatus, VRRPState } from '../../crds/types.ts';
import { isEqual } from '../../runtime/json.ts';
import { formatMicroTime, formatTime } from '../../runtime/time.ts';
import type { Finding } from './problem.ts';
import { type CheckFinding, checksOf } from './verdict.ts';

/** One claim to be Master, from the worker's word on. */
export type Claim = {
  /** Still Master after listening. */
  settled: boolean;
  /** Every VIP was seen on the interface since the claim began. */
  vipUp: boolean;
  /** The term taken and reported; null: none yet. */
  term: number | null;
};

/**
 * The order of a claim: advert, VIP on the interface, about 10 ms of listening, still Master, and only then a term and a
 * report. A claim that ends before that moves nothing (trace T18).
 */
export const mayTakeTerm = ({ settled, vipUp }: Claim): boolean => settled && vipUp;

/** Everything in a report. Instants are Unix milliseconds. */
export type Facts = {
  /** Of the spec that is on disk and loaded; absent: none is. */
  observedGeneration?: number | undefined;
  probe?: number | undefined;
  state: VRRPState;
  term: number;
  sinceMs: number;
  interface?: string | undefined;
  instanceID?: string | undefined;
  vipsOnInterface: readonly string[];
  /** Null: IMDS could not be read. */
  vipsDelivered: readonly string[] | null;
  secretResourceVersion?: string | undefined;
  checks: readonly CheckFinding[];
  agentVersion: string;
  findings: readonly Finding[];
};

/** Length limit of a condition's message in the API (crds/vrrpinstance.yaml). */
const MESSAGE_LIMIT = 2_048;

/** By a condition's type: the status it has had, and since when. Unix milliseconds. */
export type ConditionTimes = ReadonlyMap<string, { status: Condition['status']; atMs: number }>;

/** Notes which findings have another status now. What changed while the API server was away is told with its own time. */
export const observeConditions = (
  times: ConditionTimes,
  findings: readonly Finding[],
  nowMs: number,
): ConditionTimes => {
  const changed = findings.filter(({ type, status }) => times.get(type)?.status !== status);
  if (changed.length === 0) return times;
  return new Map([...times, ...changed.map(({ type, status }) => [type, { status, atMs: nowMs }] as const)]);
};

/** Conditions to report: `lastTransitionTime` moves only when `status` does (S7). */
export const mergeConditions = (
  previous: readonly Condition[] | undefined,
  findings: readonly Finding[],
  nowMs: number,
  observedGeneration: number | undefined,
  times: ConditionTimes = new Map(),
): Condition[] =>
  findings.map(({ type, status, reason, message }) => {
    const before = previous?.find((condition) => condition.type === type);
    const known = times.get(type);
    const changedAtMs = known?.status === status ? known.atMs : nowMs;
    const lastTransitionTime =
      before?.status === status ? before.lastTransitionTime : formatTime(changedAtMs);
    return {
      type,
      status,
      reason,
      message: message.slice(0, MESSAGE_LIMIT),
      lastTransitionTime,
      ...(observedGeneration !== undefined && { observedGeneration }),
    };
  });

/** The status to apply; a function of its arguments, so that equal facts give an equal report and no write (S6). */
export const buildStatus = (
  facts: Facts,
  previous: VRRPInstanceStatus | undefined,
  nowMs: number,
  times?: ConditionTimes,
): VRRPInstanceStatus => ({
  ...(facts.observedGeneration !== undefined && { observedGeneration: facts.observedGeneration }),
  ...(facts.probe !== undefined && { probe: facts.probe }),
  state: facts.state,
  term: facts.term,
  since: formatMicroTime(facts.sinceMs),
  ...(facts.interface !== undefined && { interface: facts.interface }),
  ...(facts.instanceID !== undefined && { instanceID: facts.instanceID }),
  vipsOnInterface: [...facts.vipsOnInterface],
  ...(facts.vipsDelivered !== null && { vipsDelivered: [...facts.vipsDelivered] }),
  ...(facts.secretResourceVersion !== undefined && { secretResourceVersion: facts.secretResourceVersion }),
  ...(facts.checks.length > 0 && { checks: checksOf(facts.checks) }),
  agentVersion: facts.agentVersion,
  conditions: mergeConditions(previous?.conditions, facts.findings, nowMs, facts.observedGeneration, times),
});

/** True when both say the same, whatever the order of their keys. */
export const sameStatus: (a: VRRPInstanceStatus | undefined, b: VRRPInstanceStatus | undefined) => boolean =
  isEqual;
