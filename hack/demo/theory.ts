/**
 * What the protocols and EC2's published times allow, as arithmetic: no event may be faster, and none should be slower by
 * more than the time our own programs take. All values are milliseconds.
 */

/** What a switch costs outside our own code. */
export type Costs = {
  advertisementIntervalMs: number;
  /** Priority of the node that takes over, 1-254. */
  priority: number;
  /** How long EC2 takes to answer a mutating call. */
  callMs: number;
  /** How long after that answer the packets follow. */
  mappingLagMs: number;
  /** How long a new Master listens before it reports. */
  listenMs: number;
};

/** Skew time of VRRP version 2, whole seconds times (256 - priority) / 256 (RFC 3768 section 6.1). */
export const skewMs = (priority: number): number => ((256 - priority) / 256) * 1000;

/** From the last advert of a dead Master to the first packet that reaches the new one. */
export const crashMs = (c: Costs): number =>
  3 * c.advertisementIntervalMs + skewMs(c.priority) + c.listenMs + c.callMs + c.mappingLagMs;

/** From a Master's resignation to the first packet that reaches the new one; nothing is lost meanwhile. */
export const resignMs = (c: Costs): number => skewMs(c.priority) + c.listenMs + c.callMs + c.mappingLagMs;

/** An excess over theory beyond this is marked in the table. */
export const EXCESS_LIMIT_MS = 300;
