/**
 * Credentials that are there before they are needed. The SDK fetches new ones inside the first request that finds the old
 * ones within five minutes of their end: that request could be a failover's. Here they are renewed in the background well
 * before, at the occasion of any request, and a request waits only when there are none that EC2 would still accept.
 *
 * One fetch is under way at a time, and whoever needs it joins it. It has a deadline, attempts in a row are ever further apart,
 * and what is held is given out as long as it may be good: a source that is away, or one request that EC2 refuses for a reason of
 * its own, costs the others nothing.
 */
import type { EC2ClientConfig } from '@aws-sdk/client-ec2';
import type { Clock } from '../runtime/clock.ts';
import { plainText } from '../runtime/plain-text.ts';

/** Credentials of AWS, as the SDK passes them. */
export type Credentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** Absent: they do not end by themselves. */
  expiration?: Date;
};

/** Where credentials come from. Each call fetches, and ends when the signal aborts: nobody waits for it any more. */
export type CredentialsSource = (signal: AbortSignal) => Promise<Credentials>;

/** A fetch is given up after this long: before the request that waits for it is, so that the cause can be told. */
export const FETCH_MS = 6_000;
/** Renewed from this long before their end. EC2 instance roles offer new ones at least five minutes before the end. */
const AHEAD_MS = 10 * 60_000;
/** Not given out any more this long before their end: a request takes a while to arrive. */
const TOO_LATE_MS = 30_000;
/**
 * From one attempt to the next; doubles up to a bound. While there are credentials that may be good, the source may have no
 * younger ones yet, or EC2 may refuse any; without them every request waits for the next.
 */
const PAUSE_MS = { first: 1_000, most: 60_000, mostWithoutAny: 5_000 };
/** After so long without an attempt, the next is the first of a new row. */
const CALM_MS = 10 * 60_000;

/** Of what the source says; whose credentials they are comes after it. */
const SOURCE_CHARACTERS = 300;

/** Thrown in place of a request for which no credentials could be had. Whatever their source says, it is not EC2 that says it. */
export class NoCredentialsError extends Error {
  /** @param whose such as `role arn:…` */
  constructor(whose: string, cause: unknown) {
    const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
    const word = ['Error', 'CredentialsProviderError'].includes(name) ? '' : `${name}: `;
    const words = plainText(`${word}${message}`, SOURCE_CHARACTERS).replace(/\.+$/, '');
    super(`${words} (${whose})`, { cause });
    this.name = 'NoCredentials';
  }
}

type CredentialsCache = {
  /** @throws NoCredentialsError when there are none and none can be had, with the source's words */
  get(): Promise<Credentials>;
  /**
   * EC2 did not accept these, whatever their end.
   * @param certain whoever did not accept them has accepted others before: the next request waits for younger ones, if they can
   * be had. Otherwise he may accept none at all, and they are fetched beside the requests.
   */
  reject(refused: Credentials, certain: boolean): void;
};

/** What the cache needs of its surroundings. */
type CacheOptions = {
  source: CredentialsSource;
  /** Credentials end by the clock on the wall; deadlines and pauses go by the monotonic one. */
  clock: Clock;
  /** Whose credentials they are, for people, such as `role arn:…`. */
  whose: string;
  /** Told when younger ones cannot be had: the requests do not notice it until those at hand end. Default: nobody is. */
  onNotRenewed?: ((error: Error) => void) | undefined;
};

/** One fetch, given up at its deadline. */
const fetchOnce = ({ source, clock, whose }: CacheOptions): Promise<Credentials> => {
  const late = new AbortController();
  const inTime = new Promise<Credentials>((resolve, reject) => {
    const cancel = clock.setTimer(FETCH_MS, () => {
      late.abort();
      reject(new Error(`their source has not answered within ${FETCH_MS / 1000} s`));
    });
    source(late.signal).finally(cancel).then(resolve, reject);
  });
  return inTime.catch((cause: unknown) => {
    throw new NoCredentialsError(whose, cause);
  });
};

/** Fetches nothing yet. */
export const createCredentialsCache = (options: CacheOptions): CredentialsCache => {
  const { clock, onNotRenewed } = options;
  let held: Credentials | undefined;
  let doubt: 'None' | 'Possible' | 'Certain' = 'None';
  let fetching: Promise<Credentials> | undefined;
  let attempts = 0;
  let startedAtMs = Number.NEGATIVE_INFINITY;
  /** Of the last fetch. */
  let failure: unknown;

  const endMs = (credentials: Credentials | undefined): number =>
    credentials === undefined ? 0 : (credentials.expiration?.getTime() ?? Number.POSITIVE_INFINITY);

  const keep = (credentials: Credentials): void => {
    // Ones that EC2 may refuse like those before them, or that end no later, were no success.
    if (doubt === 'None' && endMs(credentials) > endMs(held)) attempts = 0;
    held = credentials;
    doubt = 'None';
    failure = undefined;
  };

  const isDue = (mostMs: number): boolean => {
    const sinceMs = clock.now() - startedAtMs;
    if (sinceMs >= CALM_MS) attempts = 0;
    return attempts === 0 || sinceMs >= Math.min(mostMs, PAUSE_MS.first * 2 ** Math.min(attempts - 1, 20));
  };

  /** Joins the fetch under way, or begins one if it is time. Otherwise the last answer stands. */
  const fetch = (mostPauseMs: number): Promise<Credentials> => {
    if (fetching) return fetching;
    if (!isDue(mostPauseMs))
      return held && failure === undefined ? Promise.resolve(held) : Promise.reject(failure);
    attempts += 1;
    startedAtMs = clock.now();
    fetching = fetchOnce(options).then(
      (credentials) => {
        fetching = undefined;
        keep(credentials);
        return credentials;
      },
      (error: NoCredentialsError) => {
        fetching = undefined;
        failure = error;
        if (held) onNotRenewed?.(error);
        throw error;
      },
    );
    return fetching;
  };

  return {
    async get() {
      const leftMs = endMs(held) - clock.wall();
      if (!held || leftMs < TOO_LATE_MS) return fetch(PAUSE_MS.mostWithoutAny);
      const atHand = held;
      if (doubt === 'None' && leftMs >= AHEAD_MS) return atHand;
      // A failure costs nothing yet: those at hand may be good, and a later request tries again.
      const younger = fetch(PAUSE_MS.most).catch(() => atHand);
      return doubt === 'Certain' ? younger : atHand;
    },
    reject(refused, certain) {
      if (refused !== held || doubt === 'Certain') return;
      doubt = certain ? 'Certain' : 'Possible';
    },
  };
};

/** The cache in the form that the SDK takes; `memoized` keeps the SDK from keeping a second copy. */
export const providerOf = (cache: CredentialsCache): NonNullable<EC2ClientConfig['credentials']> =>
  Object.assign(() => cache.get(), { memoized: true });
