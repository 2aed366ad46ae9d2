/** What the RFCs allow, as arithmetic of its own: no takeover may be earlier. All values are milliseconds. Pure. */
import { skewMs } from '../../demo/theory.ts';
import type { Departure, Timing } from './contender.ts';

/** Adverts that a Backup waits for in vain. */
const ADVERTS_TO_MISS = 3;

/** Skew time; of version 3 it is that share of the interval (RFC 9568 section 6.1). */
const skew = ({ version, advertisementIntervalMs }: Timing, priority: number): number =>
  version === 2 ? skewMs(priority) : (skewMs(priority) * advertisementIntervalMs) / 1000;

/** How long a Backup of this priority waits after the last advert of a Master that crashed. */
export const masterDownMs = (timing: Timing, priority: number): number =>
  ADVERTS_TO_MISS * timing.advertisementIntervalMs + skew(timing, priority);

/** From the Master's last advert, for a stop its resignation, to its successor's first. */
export const takeoverMs = (timing: Timing, priority: number, departure: Departure): number =>
  departure === 'crash' ? masterDownMs(timing, priority) : skew(timing, priority);
