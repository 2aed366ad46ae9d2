/** The one retry rule: how long to wait before the next attempt. Pure: randomness is passed in. */

/** How delays grow; all are milliseconds. */
export type BackoffPolicy = {
  /** Before the first retry; most troubles are over by then. */
  firstMs: number;
  /** Before the second retry; doubled for each further one. */
  baseMs: number;
  /** No delay is longer. */
  maxMs: number;
};

/**
 * Delay before retry number `attempt` (0 is the first), with jitter: between half of the nominal delay and all of it, so
 * that many clients do not come back at one instant.
 * @param random a number in [0, 1)
 */
export const backoffMs = (policy: BackoffPolicy, attempt: number, random: number): number => {
  // 2^30 seconds is past every maximum; the cap keeps the power finite.
  const nominalMs = attempt <= 0 ? policy.firstMs : policy.baseMs * 2 ** Math.min(attempt - 1, 30);
  return Math.min(policy.maxMs, nominalMs) * (1 - 0.5 * random);
};
