/** The link to the API server as the agent's calls show it: whether it answers, since when it does not, and why. */
import type { Clock } from '../kube/clock.ts';
import { KubeError } from '../kube/errors.ts';
import type { Log } from '../kube/log.ts';
import type { Store } from '../kube/types.ts';
import type { APILook, CallResult } from './look.ts';

export type ContactOptions = {
  clock: Pick<Clock, 'now'>;
  /** Hears of each change: away, back, and a credential that is refused. */
  log: Log;
  /** The API server answers again after a failure. */
  onBack: () => void;
};

export type ContactTracker = {
  /** A call has ended. `answered`: by a working API server that knows this node. */
  called(answered: boolean, error?: unknown): void;
  /** These stores hear the API server too. */
  watch(stores: readonly Pick<Store<never>, 'lastContactMs'>[]): void;
  /** Monotonic time of the last sign of life; null: none yet. */
  lastMs(): number | null;
  look(): APILook;
};

/** Nothing has been heard of the API server yet. */
export const trackContact = ({ clock, log, onBack }: ContactOptions): ContactTracker => {
  const calls: Partial<Record<CallResult, number>> = {};
  let lastCallMs: number | null = null;
  let isConnected: boolean | null = null;
  let awaySinceMs: number | null = null;
  let failure: APILook['failure'] = null;
  let stores: readonly Pick<Store<never>, 'lastContactMs'>[] = [];

  const isRefused = (): boolean => failure?.kind === 'Unauthorized';
  const lost = (error: unknown): void => {
    const wasRefused = isRefused();
    failure = failureOf(error);
    const isNew = awaySinceMs === null;
    awaySinceMs ??= clock.now();
    const fields = { cause: failure.kind, err: failure.message };
    if (isRefused() && !wasRefused)
      log.warn(fields, "API server refuses this node's credential; renew it. Going on from disk");
    else if (isNew) log.warn(fields, 'API server away; going on from disk');
  };
  const found = (): void => {
    if (awaySinceMs === null) return;
    const awaySeconds = Math.round((clock.now() - awaySinceMs) / 1_000);
    log.info({ awaySeconds, cause: failure?.kind }, 'API server back');
    awaySinceMs = null;
    failure = null;
    onBack();
  };
  const lastMs = (): number | null => {
    const newest = Math.max(
      lastCallMs ?? Number.NEGATIVE_INFINITY,
      ...stores.map((store) => store.lastContactMs()),
    );
    return Number.isFinite(newest) ? newest : null;
  };

  return {
    called(answered, error) {
      const result = resultOf(error);
      calls[result] = (calls[result] ?? 0) + 1;
      isConnected = answered;
      if (answered) lastCallMs = clock.now();
      if (answered) found();
      else lost(error);
    },
    watch(watched) {
      stores = watched;
    },
    lastMs,
    look() {
      const last = lastMs();
      const silenceMs = last === null ? null : Math.max(0, clock.now() - last);
      return { isConnected, silenceMs, calls: { ...calls }, failure };
    },
  };
};

/** What is no KubeError broke on its way to the API server. */
const resultOf = (error: unknown): CallResult => {
  if (error === undefined) return 'Success';
  return error instanceof KubeError ? error.kind : 'Unreachable';
};

const failureOf = (error: unknown): NonNullable<APILook['failure']> => ({
  kind: error instanceof KubeError ? error.kind : 'Unreachable',
  message: error instanceof Error ? error.message : String(error),
});
