/**
 * Credentials that are there before they are needed. The SDK fetches new ones inside the first request that finds the old
 * ones within five minutes of their end: that request could be a failover's. Here they are renewed in the background well
 * before, at the occasion of any request, and a request waits only when there are none that EC2 would still accept.
 */
import type { EC2ClientConfig } from '@aws-sdk/client-ec2';

/** Credentials of AWS, as the SDK passes them. */
export type Credentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** Absent: they do not end by themselves. */
  expiration?: Date;
};

/** Where credentials come from. Each call fetches. */
export type CredentialsSource = () => Promise<Credentials>;

/** Renewed from this long before their end. EC2 instance roles offer new ones at least five minutes before the end. */
const AHEAD_MS = 10 * 60_000;
/** Not given out any more this long before their end: a request takes a while to arrive. */
const TOO_LATE_MS = 30_000;
/** Between two attempts to renew credentials that are still good: the source may have no younger ones yet. */
const RETRY_MS = 30_000;

type CredentialsCache = {
  /** Rejects with the source's error when there are none and none can be had. */
  get(): Promise<Credentials>;
  /** EC2 did not accept them, whatever their end: the next request fetches. */
  reject(): void;
};

/** @param wall milliseconds since the Unix epoch: credentials end by the clock on the wall */
export const createCredentialsCache = (source: CredentialsSource, wall: () => number): CredentialsCache => {
  let held: Credentials | undefined;
  let fetching: Promise<Credentials> | undefined;
  let retryAtMs = 0;

  const fetch = (): Promise<Credentials> => {
    fetching ??= source().then(
      (credentials) => {
        held = credentials;
        fetching = undefined;
        return credentials;
      },
      (error: unknown) => {
        fetching = undefined;
        throw error;
      },
    );
    return fetching;
  };

  return {
    async get() {
      if (!held) return fetch();
      const leftMs = (held.expiration?.getTime() ?? Number.POSITIVE_INFINITY) - wall();
      if (leftMs < TOO_LATE_MS) return fetch();
      // A failure here costs nothing yet: the held ones are good, and the next request tries again.
      if (leftMs < AHEAD_MS && wall() >= retryAtMs) {
        retryAtMs = wall() + RETRY_MS;
        void fetch().catch(() => undefined);
      }
      return held;
    },
    reject() {
      held = undefined;
    },
  };
};

/** The cache in the form that the SDK takes; `memoized` keeps the SDK from keeping a second copy. */
export const providerOf = (cache: CredentialsCache): NonNullable<EC2ClientConfig['credentials']> =>
  Object.assign(() => cache.get(), { memoized: true });
