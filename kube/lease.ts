/**
 * Renews one Lease as a sign of life. Nobody competes for it: its owner alone writes it, readers watch it change. Who must be
 * the only holder of that name finds out whether somebody else is, too, and never overwrites what it has not seen.
 * Leader election is another thing (compare and swap on a shared Lease): elector.ts.
 */
import { type BackoffPolicy, backoffMs } from '../runtime/backoff.ts';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import { formatMicroTime } from '../runtime/time.ts';
import { apiVersionOf } from './client.ts';
import { isKubeError } from './errors.ts';
import { createHolderWatch, type HolderWatch } from './lease-holder.ts';
import { LEASES, type Lease } from './lease-types.ts';
import type { CallOptions, Key, KubeClient } from './types.ts';

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
  /** Exclusive: stops when another live holder is seen. Default: takes the Lease over, whoever holds it. */
  exclusive?: ExclusiveHolder;
  clock?: Clock;
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
};

/** What a holder that must be the only one needs beside. */
export type ExclusiveHolder = {
  client: Pick<KubeClient, 'get'>;
  /** Another lives, and has held the Lease for longer, by the word of both: it was not renewed here, and no more will be. */
  onRival: (holder: string) => void;
  /** What has been seen of the Lease so far, so that nobody waits for the same silence twice; default: nothing. */
  watch?: HolderWatch;
};

/** Deadline of one renewal: one that an admission webhook holds for five seconds has its answer, within the default interval. */
const RENEW_DEADLINE_MS = 7_000;

/** While another holds the Lease it is read so often. */
const LOOK_MS = 2_000;

/** Renews at once and then every interval; resolves when the signal aborts, never rejects. The Lease stays behind. */
export const renewLease = async (options: LeaseRenewerOptions): Promise<void> => {
  const { signal, intervalMs = 10_000, clock = systemClock, random = Math.random, exclusive } = options;
  const retry: BackoffPolicy = { firstMs: 200, baseMs: 1_000, maxMs: intervalMs };
  const startTime = formatMicroTime(clock.wall());
  const hold = exclusive === undefined ? undefined : createHold(options, exclusive, startTime);
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = clock.now();
    let waitMs = intervalMs;
    try {
      if ((await options.isAlive?.()) ?? true) {
        const verdict = (await hold?.look()) ?? 'Free';
        if (verdict === 'Rival') return;
        if (verdict === 'Free') {
          const renewed = await renew(options, intervalMs, {
            acquireTime: hold?.acquireTime ?? startTime,
            renewTime: formatMicroTime(clock.wall()),
            resourceVersion: hold?.resourceVersion,
          });
          hold?.renewed(renewed);
          options.onRenewed?.();
        } else waitMs = LOOK_MS;
      }
      failures = 0;
      waitMs -= clock.now() - startedMs;
    } catch (error) {
      if (signal.aborted) return;
      hold?.forget();
      waitMs = backoffMs(retry, failures++, random());
      options.onError(error, waitMs);
    }
    await sleep(clock, waitMs, signal);
  }
};

/** The Lease as its holder knows it. It is read before the first renewal, and after each that failed. */
const createHold = (
  { key, holderIdentity, clock = systemClock, signal }: LeaseRenewerOptions,
  { client, onRival, watch = createHolderWatch(holderIdentity) }: ExclusiveHolder,
  startTime: string,
) => {
  let acquireTime = startTime;
  let resourceVersion: string | undefined;
  let isOurs = false;
  return {
    /** Since when this identity holds the Lease, restarts of its process included. */
    get acquireTime() {
      return acquireTime;
    },
    /** The state that the next renewal overwrites; undefined: there was no Lease. */
    get resourceVersion() {
      return resourceVersion;
    },
    async look(): Promise<'Free' | 'Unknown' | 'Rival'> {
      if (isOurs) return 'Free';
      const lease = await readLease(client, key, { timeoutMs: RENEW_DEADLINE_MS, signal });
      const { holderIdentity: holder = '', acquireTime: since = '' } = lease?.spec ?? {};
      if (holder === holderIdentity && since !== '') acquireTime = since;
      let verdict = watch.observe(lease, clock.now());
      // Two that run: the younger goes. One that was cut off finds its Lease taken, and takes it back.
      if (verdict === 'Rival' && (acquireTime < since || (acquireTime === since && holderIdentity < holder)))
        verdict = 'Free';
      if (verdict === 'Rival') onRival(holder);
      resourceVersion = lease?.metadata.resourceVersion;
      return verdict;
    },
    renewed(lease: Lease): void {
      isOurs = true;
      resourceVersion = lease.metadata.resourceVersion;
    },
    forget(): void {
      isOurs = false;
      watch.forget();
    },
  };
};

/** The Lease as it is stored; undefined: there is none. @throws KubeError */
const readLease = async (
  client: Pick<KubeClient, 'get'>,
  key: Key,
  options: CallOptions,
): Promise<Lease | undefined> => {
  try {
    return await client.get<Lease>(LEASES, key, options);
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return undefined;
    throw error;
  }
};

/** What finding a rival needs. */
export type RivalOptions = {
  client: Pick<KubeClient, 'get'>;
  /** The Lease: `namespace/name`. */
  key: Key;
  holderIdentity: string;
  /** Ends the search: nobody was found. */
  signal: AbortSignal;
  /** Takes what is seen, for who holds the Lease afterwards; default: one of its own. */
  watch?: HolderWatch;
  /** Told once, when another holds the Lease: that takes time to judge. */
  onWait: (holder: string) => void;
  clock?: Clock;
};

/** Deadline of a reading: an API server that does not answer is away. */
const FIRST_LOOK_MS = 1_000;

/**
 * Looks, before a start, whether another process lives that holds the Lease; at once when nobody else holds it, else until it
 * has renewed it, or its lease time is over. With the API server away at the first look nothing is known, and nobody found.
 * @returns the rival's identity; null: there is none
 */
export const findRival = async (options: RivalOptions): Promise<string | null> => {
  const { client, key, holderIdentity, signal, onWait, clock = systemClock } = options;
  const { watch = createHolderWatch(holderIdentity) } = options;
  let waits = false;
  while (!signal.aborted) {
    try {
      const lease = await readLease(client, key, { timeoutMs: FIRST_LOOK_MS, signal });
      const holder = lease?.spec?.holderIdentity ?? '';
      const verdict = watch.observe(lease, clock.now());
      if (verdict === 'Free') return null;
      if (verdict === 'Rival') return holder;
      if (!waits) onWait(holder);
      waits = true;
    } catch {
      // Whoever saw another holder goes on looking: what comes from disk then is not known to be its own.
      if (!waits) return null;
      watch.forget();
    }
    await sleep(clock, LOOK_MS, signal);
  }
  return null;
};

const renew = (
  { client, key, holderIdentity, fieldManager, leaseDurationSeconds, signal }: LeaseRenewerOptions,
  intervalMs: number,
  now: { acquireTime: string; renewTime: string; resourceVersion: string | undefined },
): Promise<Lease> => {
  const { acquireTime, renewTime, resourceVersion } = now;
  const [namespace = '', name = ''] = key.split('/');
  const lease: Lease = {
    apiVersion: apiVersionOf(LEASES),
    kind: LEASES.kind,
    // With its resourceVersion it is refused if somebody has written it since.
    metadata: { name, namespace, ...(resourceVersion !== undefined && { resourceVersion }) },
    spec: {
      holderIdentity,
      leaseDurationSeconds: leaseDurationSeconds ?? Math.ceil((intervalMs * 4) / 1000),
      acquireTime,
      renewTime,
    },
  };
  // Forced: the Lease is ours, whoever touched a field of it.
  return client.apply<Lease>(
    LEASES,
    lease,
    { fieldManager, force: true },
    { timeoutMs: Math.min(RENEW_DEADLINE_MS, intervalMs), signal },
  );
};
