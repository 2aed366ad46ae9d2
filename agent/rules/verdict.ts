/**
 * The verdict on one health check, from one run to the next, by the thresholds of a Kubernetes probe. At the start there is
 * none, neither good nor bad: an agent that has just started must not call its node unhealthy.
 */
import {
  type HealthCheck,
  type VRRPInstanceSpec,
  type VRRPInstanceStatus,
  vipsOf,
} from '../../crds/types.ts';
import { plainText } from '../../runtime/plain-text.ts';
import { formatTime } from '../../runtime/time.ts';
import type { Problem } from './problem.ts';

/** How one run ended. */
export type Outcome =
  | { result: 'success' }
  | {
      result: 'failure' | 'timeout';
      /** Equal for failures that are the same to a person, however their messages differ: `HTTP 503`, `exit 2`. */
      cause: string;
      /** What happened and, if it is not plain, what to do about it. */
      message: string;
    };

/** What is known of one check. */
export type CheckFinding = {
  name: string;
  /** Null: no verdict yet. */
  healthy: boolean | null;
  /** Why it is unhealthy; otherwise empty. */
  message: string;
  /** When the verdict was reached, in Unix milliseconds. */
  sinceMs: number;
};

/** A finding with what the next one follows from. */
export type Verdict = Omit<CheckFinding, 'name'> & {
  /** The result of the last runs, and how many in a row had it. */
  isFailing: boolean;
  streak: number;
  /** Of `message`, and when it was told, in Unix milliseconds. */
  cause: string;
  toldAtMs: number;
};

/** Before the first run; the streak begins with that run. */
export const noVerdict = (nowMs: number): Verdict => ({
  healthy: null,
  message: '',
  sinceMs: nowMs,
  isFailing: false,
  streak: 0,
  cause: '',
  toldAtMs: nowMs,
});

/** A check that fails for another cause than was told is told of at most so often. */
const RETELL_MS = 60_000;
/** Length limit of a check's message in the API. */
const MESSAGE_LENGTH = 1_024;

/**
 * Takes one run into account.
 * @param nowMs Unix milliseconds
 */
export const judge = (
  before: Verdict,
  outcome: Outcome,
  { successThreshold, failureThreshold }: Pick<HealthCheck, 'successThreshold' | 'failureThreshold'>,
  nowMs: number,
): Verdict => {
  const isFailing = outcome.result !== 'success';
  const streak = before.isFailing === isFailing ? before.streak + 1 : 1;
  const counted = { ...before, isFailing, streak };
  if (!isFailing) {
    if (before.healthy === true || streak < successThreshold) return counted;
    return { ...counted, healthy: true, message: '', cause: '', sinceMs: nowMs, toldAtMs: nowMs };
  }
  if (streak < failureThreshold) return counted;
  const told = {
    healthy: false,
    message: plainText(outcome.message, MESSAGE_LENGTH),
    cause: outcome.cause,
    toldAtMs: nowMs,
  };
  if (before.healthy !== false) return { ...counted, ...told, sinceMs: nowMs };
  const isNews = outcome.cause !== before.cause && nowMs - before.toldAtMs >= RETELL_MS;
  return isNews ? { ...counted, ...told } : counted;
};

/** What the checks find wrong, by name; null: nothing. */
export const problemOf = (findings: readonly CheckFinding[]): Problem | null => {
  const failed = findings.filter(({ healthy }) => healthy === false);
  if (failed.length === 0) return null;
  const sentences = failed.map(
    ({ name, message, sinceMs }) =>
      `The check ${name} fails since ${formatTime(sinceMs)}: ${message.replace(/\.+$/, '')}.`,
  );
  return { reason: 'ChecksFailed', message: sentences.join(' ') };
};

/** `status.checks`: those with a verdict. */
export const checksOf = (findings: readonly CheckFinding[]): NonNullable<VRRPInstanceStatus['checks']> =>
  findings.flatMap(({ name, healthy, message }) =>
    healthy === null ? [] : [{ name, healthy, ...(message !== '' && { message }) }],
  );

/**
 * The checks that judge this node now: one that asks a VIP of the pair would judge the other node as long as this one does not
 * have that VIP on its interface.
 */
export const judgedChecks = (
  spec: Pick<VRRPInstanceSpec, 'addresses' | 'healthChecks'>,
  present: readonly string[],
): HealthCheck[] => {
  const away = vipsOf(spec).filter((vip) => !present.includes(vip));
  return (spec.healthChecks ?? []).filter(
    ({ httpGet, tcpSocket }) => !away.includes(httpGet?.host ?? tcpSocket?.host ?? ''),
  );
};
