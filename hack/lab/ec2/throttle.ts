/** Request throttling by token buckets (EC2 Developer Guide, "Request throttling"). */
import type { Action, BucketSize } from './action.ts';
import type { Parameters } from './parameters.ts';

/** Whether a Describe call is filtered or paginated. */
const isBounded = (parameters: Parameters): boolean =>
  Object.keys(parameters).some((name) => name !== 'DryRun' && name !== 'NextToken');

type Bucket = { tokens: number; filledAtMs: number };

/**
 * The token buckets of one account in one Region: one per action, whoever calls it. Time is passed in, in milliseconds of
 * any clock that does not go back.
 */
export class TokenBuckets {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes a token for a call; false: none was left, and the call must be refused. */
  take(name: string, action: Action, parameters: Parameters, nowMs: number): boolean {
    const unbounded = action.unfilteredBucket !== undefined && !isBounded(parameters);
    const size = unbounded ? (action.unfilteredBucket ?? action.bucket) : action.bucket;
    return this.#takeFrom(unbounded ? `${name} (unfiltered)` : name, size, nowMs);
  }

  #takeFrom(key: string, size: BucketSize, nowMs: number): boolean {
    const bucket = this.#buckets.get(key) ?? { tokens: size.capacity, filledAtMs: nowMs };
    const gained = ((nowMs - bucket.filledAtMs) / 1000) * size.refillPerSecond;
    const tokens = Math.min(size.capacity, bucket.tokens + Math.max(0, gained));
    const taken = tokens >= 1;
    this.#buckets.set(key, { tokens: taken ? tokens - 1 : tokens, filledAtMs: nowMs });
    return taken;
  }
}
