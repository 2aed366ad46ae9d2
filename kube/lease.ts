/**
 * Renews one Lease as a sign of life. Nobody competes for it: its owner alone writes it, readers watch it change.
 * Leader election is another thing (compare and swap on a shared Lease): elector.ts.
 */
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import { apiVersionOf } from './client.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { formatMicroTime } from './time.ts';
import type { Key, KubeClient, KubeObject, Resource } from './types.ts';

export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
};

/** coordination.k8s.io/v1. Times are metav1.MicroTime. */
export type Lease = KubeObject & {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    /** How often the holder changed; leader election alone counts it. */
    leaseTransitions?: number;
  };
};

export type LeaseRenewerOptions = {
  client: Pick<KubeClient, 'apply'>;
  /** The Lease: `namespace/name`. It is created when missing. */
  key: Key;
  holderIdentity: string;
  /** Field manager of the server-side apply. */
  fieldManager: string;
  /** Time between renewals; default 10,000 ms. */
  intervalMs?: number;
  /** How long readers may trust a renewal; written for people and other tools. Default: four intervals. */
  leaseDurationSeconds?: number;
  /** Ends the renewals. */
  signal: AbortSignal;
  /** Asked before each renewal; while it answers false the Lease stays silent. Default: always alive. */
  isAlive?: () => boolean | Promise<boolean>;
  /** Told of each failed renewal; it is retried, with growing delays up to the interval. */
  onError: (error: unknown, retryInMs: number) => void;
  /** Told of each renewal the API server has taken. */
  onRenewed?: () => void;
  clock?: Clock;
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
};

/** Deadline of one renewal: two fit into the default interval. */
const RENEW_DEADLINE_MS = 5_000;

/** Renews at once and then every interval; resolves when the signal aborts, never rejects. The Lease stays behind. */
export const renewLease = async (options: LeaseRenewerOptions): Promise<void> => {
  const { signal, intervalMs = 10_000, clock = systemClock, random = Math.random } = options;
  const retry: BackoffPolicy = { firstMs: 200, baseMs: 1_000, maxMs: intervalMs };
  const acquireTime = formatMicroTime(clock.wall());
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = clock.now();
    let waitMs = intervalMs;
    try {
      if ((await options.isAlive?.()) ?? true) {
        await renew(options, intervalMs, acquireTime, formatMicroTime(clock.wall()));
        options.onRenewed?.();
      }
      failures = 0;
      waitMs -= clock.now() - startedMs;
    } catch (error) {
      if (signal.aborted) return;
      waitMs = backoffMs(retry, failures++, random());
      options.onError(error, waitMs);
    }
    await sleep(clock, waitMs, signal);
  }
};

const renew = async (
  { client, key, holderIdentity, fieldManager, leaseDurationSeconds, signal }: LeaseRenewerOptions,
  intervalMs: number,
  acquireTime: string,
  renewTime: string,
): Promise<void> => {
  const [namespace = '', name = ''] = key.split('/');
  const lease: Lease = {
    apiVersion: apiVersionOf(LEASES),
    kind: LEASES.kind,
    metadata: { name, namespace },
    spec: {
      holderIdentity,
      leaseDurationSeconds: leaseDurationSeconds ?? Math.ceil((intervalMs * 4) / 1000),
      acquireTime,
      renewTime,
    },
  };
  // Forced: the Lease is ours, whoever touched a field of it.
  await client.apply(
    LEASES,
    lease,
    { fieldManager, force: true },
    { timeoutMs: Math.min(RENEW_DEADLINE_MS, intervalMs), signal },
  );
};
