/**
 * Our estimate of one token bucket of EC2 (EC2 Developer Guide, "Request throttling"): buckets are per account, Region and
 * action, and everything else in the account drinks from them too. What EC2 says when we are wrong corrects the estimate.
 * Pure; time is passed in, in monotonic milliseconds.
 */
import { ACTIONS, type BucketSize, type EC2Action } from './actions.ts';

/** Of each bucket, the part that we leave to the rest of the account, and to clocks that do not agree. */
export const LEFT_TO_OTHERS = 0.05;

/** What we allow ourselves of an action's bucket. */
export const ownSize = (action: EC2Action): BucketSize => {
  const { capacity, refillPerSecond } = ACTIONS[action].bucket;
  const share = 1 - LEFT_TO_OTHERS;
  return { capacity: capacity * share, refillPerSecond: refillPerSecond * share };
};

/** EC2 said RequestLimitExceeded: what flows in is this much less than we thought. */
const SLOWED = 0.5;
/** Never slower than this part of the own size. */
const SLOWEST = 0.1;
/** Calls that were under way together are refused together, and count once. */
const ONE_REFUSAL_MS = 1_000;
/** Each call that worked gives this part of the own size back. */
const RECOVERY = 0.05;
/** Sums of small refills miss a whole token by less than this. */
const EPSILON = 1e-6;

export type Bucket = {
  readonly size: BucketSize;
  readonly tokens: number;
  /** The present estimate; at most that of `size`. */
  readonly refillPerSecond: number;
  /** When `tokens` was right. */
  readonly atMs: number;
  readonly refusedAtMs: number;
};

/** A bucket that nobody has drunk from yet. */
export const fullBucket = (size: BucketSize, nowMs: number): Bucket => ({
  size,
  tokens: size.capacity,
  refillPerSecond: size.refillPerSecond,
  atMs: nowMs,
  refusedAtMs: Number.NEGATIVE_INFINITY,
});

/** The bucket as it is now. */
export const filled = (bucket: Bucket, nowMs: number): Bucket => {
  const gained = (Math.max(0, nowMs - bucket.atMs) / 1_000) * bucket.refillPerSecond;
  const tokens = Math.min(bucket.size.capacity, bucket.tokens + gained);
  return { ...bucket, tokens, atMs: Math.max(bucket.atMs, nowMs) };
};

/** @param floor tokens that must remain: a reserve for what is more urgent */
export const hasToken = (bucket: Bucket, floor: number): boolean => bucket.tokens + EPSILON >= 1 + floor;

export const without = (bucket: Bucket): Bucket => ({ ...bucket, tokens: Math.max(0, bucket.tokens - 1) });

/** A token that was taken and not used. */
export const withReturned = (bucket: Bucket): Bucket => ({
  ...bucket,
  tokens: Math.min(bucket.size.capacity, bucket.tokens + 1),
});

/** Milliseconds until `hasToken(bucket, floor)`; 0: now. */
export const msUntilToken = (bucket: Bucket, floor: number): number =>
  hasToken(bucket, floor) ? 0 : ((1 + floor - bucket.tokens) / bucket.refillPerSecond) * 1_000;

/** EC2 refused a call for its rate: the bucket is empty, and fills more slowly than we thought. */
export const refused = (bucket: Bucket, nowMs: number): Bucket => {
  const isNews = nowMs - bucket.refusedAtMs >= ONE_REFUSAL_MS;
  const slowest = bucket.size.refillPerSecond * SLOWEST;
  return {
    ...filled(bucket, nowMs),
    tokens: 0,
    ...(isNews && {
      refillPerSecond: Math.max(slowest, bucket.refillPerSecond * SLOWED),
      refusedAtMs: nowMs,
    }),
  };
};

/** EC2 served a call. */
export const served = (bucket: Bucket, nowMs: number): Bucket => {
  const { size, refillPerSecond } = bucket;
  const faster = Math.min(size.refillPerSecond, refillPerSecond + size.refillPerSecond * RECOVERY);
  return { ...filled(bucket, nowMs), refillPerSecond: faster };
};
