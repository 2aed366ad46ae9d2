/** The link to the API server as the agent's calls show it: whether it answers, since when it does not, and why. */
import type { LogReason } from '../../crds/conditions.ts';
import type { VRRPInstance } from '../../crds/types.ts';
import { isKubeError, KubeError, type KubeErrorKind } from '../../kube/errors.ts';
import type { Store } from '../../kube/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import { createOutage } from '../../runtime/outage.ts';

/** Why the API server does not serve this agent. */
export type ContactError = {
  /** `Unauthorized` and `Forbidden`: the credential or its permissions are at fault; all others: the way, or the server. */
  kind: KubeErrorKind;
  /** What was attempted and what was said; never holds a credential. */
  message: string;
  /** Monotonic time since when no call was served. */
  sinceMs: number;
};

/** How a call to the API server ended. */
export type CallResult = 'Success' | KubeErrorKind;

/** The link to the API server. */
export type APISnapshot = {
  /** The last call was answered; null: none has ended yet. */
  isConnected: boolean | null;
  /** Since any sign of life of the API server, watches included. */
  silenceMs: number | null;
  /** Calls so far, by result. */
  calls: Readonly<Partial<Record<CallResult, number>>>;
  /** Why the last call was not answered; null: it was. */
  failure: { kind: KubeErrorKind; message: string } | null;
};

const LOST_MESSAGES = {
  APIServerUnauthorized: 'API server does not accept our credential; going on from disk',
  APIServerUnavailable: 'API server away; going on from disk',
} satisfies Partial<Record<LogReason, string>>;

/**
 * When the API server last answered, and the moment it does so again after a failure.
 * @param log hears of each change: away, a credential that is not accepted, back
 * @param lastMs monotonic time of the last answer to the process that this one replaces; default null: none
 */
export const trackContact = (
  clock: Pick<Clock, 'now'>,
  log: Log,
  onBack: () => void,
  lastMs: number | null = null,
) => {
  const calls: Partial<Record<CallResult, number>> = {};
  let lastCallMs = lastMs;
  let lastAnswered: boolean | null = null;
  let lastError: ContactError | null = null;
  let awaySinceMs: number | null = null;
  let stores: readonly Pick<Store<VRRPInstance>, 'lastContactMs'>[] = [];

  const outage = createOutage(1);
  /** One line for a loss, one more for each other cause that stays, and one at once when the credential turns out to be to blame. */
  const lost = ({ kind, message, sinceMs }: ContactError): void => {
    const isRefused = kind === 'Unauthorized';
    awaySinceMs ??= sinceMs;
    if (!outage.failed(kind, isRefused)) return;
    const reason = isRefused ? 'APIServerUnauthorized' : 'APIServerUnavailable';
    log.warn({ reason, cause: kind, err: message }, LOST_MESSAGES[reason]);
  };
  const found = (): void => {
    if (awaySinceMs === null) return;
    const awaySeconds = Math.round((clock.now() - awaySinceMs) / 1_000);
    log.info({ reason: 'APIServerAvailable', awaySeconds }, 'API server back');
    awaySinceMs = null;
    outage.ended();
    onBack();
  };
  const newest = (): number | null => {
    const contacts = [
      lastCallMs ?? Number.NEGATIVE_INFINITY,
      ...stores.map((store) => store.lastContactMs()),
    ];
    const latestMs = Math.max(...contacts);
    return Number.isFinite(latestMs) ? latestMs : null;
  };

  return {
    /** A call has ended. `answered`: by a working API server that knows this node. */
    called(answered: boolean, error?: unknown): void {
      const result = error === undefined ? 'Success' : kindOf(error);
      calls[result] = (calls[result] ?? 0) + 1;
      const isForbidden = isKubeError(error, 'Forbidden');
      lastError =
        answered && !isForbidden
          ? null
          : { kind: kindOf(error), message: messageOf(error), sinceMs: lastError?.sinceMs ?? clock.now() };
      // Whoever may not do one thing may do another: neither a sign that the API server is away, nor one that it serves us.
      if (isForbidden) return;
      lastAnswered = answered;
      if (answered) lastCallMs = clock.now();
      if (lastError === null) found();
      else lost(lastError);
    },
    /** Why the newest call was not served; null: it was, or there was none yet. */
    lastError: (): ContactError | null => lastError,
    /** What became of the last call; null: none was made yet. */
    answers: (): boolean | null => lastAnswered,
    /** These stores hear the API server too. */
    watch(watched: readonly Pick<Store<VRRPInstance>, 'lastContactMs'>[]): void {
      stores = watched;
    },
    /** Monotonic time of the last sign of life; null: none yet. */
    lastMs: newest,
    /** For metrics and health. */
    snapshot(): APISnapshot {
      const latestMs = newest();
      return {
        isConnected: lastAnswered,
        silenceMs: latestMs === null ? null : Math.max(0, clock.now() - latestMs),
        calls: { ...calls },
        failure: lastError && { kind: lastError.kind, message: lastError.message },
      };
    },
  };
};

/** What is no KubeError broke on its way to the API server. */
const kindOf = (error: unknown): KubeErrorKind => (error instanceof KubeError ? error.kind : 'Unreachable');
