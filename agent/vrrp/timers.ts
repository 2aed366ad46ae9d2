/** The intervals of RFC 3768 section 6.1 and RFC 9568 section 6.1, in milliseconds; exact, as all divisors are powers of two. */
import type { VirtualRouterConfig } from './types.ts';

/** A Master advertises this many times before its Backups give it up. */
export const ADVERTS_TO_MISS = 3;

type Parameters = Pick<VirtualRouterConfig, 'version' | 'priority'>;

/** Skew_Time. v2: (256 - priority) / 256 seconds; v3: the same share of Master_Adver_Interval. */
export const skewTime = ({ version, priority }: Parameters, masterAdverInterval: number): number =>
  ((256 - priority) * (version === 2 ? 1000 : masterAdverInterval)) / 256;

/** Master_Down_Interval: three adverts and the skew. */
export const masterDownInterval = (parameters: Parameters, masterAdverInterval: number): number =>
  ADVERTS_TO_MISS * masterAdverInterval + skewTime(parameters, masterAdverInterval);

/** The least time a Backup waits after an advert: it may go by any interval in force, and its priority, so its skew, is unknown. */
export const shortestWait = ({
  advertisementIntervalMs,
  accept = [],
}: Pick<VirtualRouterConfig, 'advertisementIntervalMs' | 'accept'>): number =>
  ADVERTS_TO_MISS * Math.min(advertisementIntervalMs, ...accept.map((set) => set.advertisementIntervalMs));

/**
 * The interval to expect of a Master that was not heard yet: the longest it may be sending at, so that an interval in the
 * middle of a change is not taken for silence.
 */
export const expectedInterval = ({
  advertisementIntervalMs,
  accept = [],
}: Pick<VirtualRouterConfig, 'advertisementIntervalMs' | 'accept'>): number =>
  Math.max(advertisementIntervalMs, ...accept.map((set) => set.advertisementIntervalMs));
