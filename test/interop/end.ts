/** One end of a pair, whoever it is: what both kinds of end can be told, and what they tell. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Checksum, VRRPVersion } from '../../crds/types.ts';
import type { Place } from './ground.ts';

/** A state that an end has entered, in its own words; `Gone`: its process has ended. */
export type Word = 'Backup' | 'Master' | 'Fault' | 'Gone';

/** What an end is configured with. Its addresses are those of its place. */
export type EndConfig = {
  version: VRRPVersion;
  intervalMs: number;
  priority: number;
  /** Default false. */
  preempt?: boolean;
  /** Default 51. */
  virtualRouterID?: number;
  /** Version 2 only; absent: none. At most eight characters. */
  password?: string;
  /** Version 3 only; default Pseudoheader. keepalived knows no other. */
  checksum?: Checksum;
  /** Addresses beside the pair's VIP; default none. */
  moreVIPs?: string[];
  /** keepalived only: `state MASTER`, as in the recipe; default `state BACKUP`. */
  startsAsMaster?: boolean;
};

/** One end of a pair. */
export type End = {
  kind: 'hapair' | 'keepalived';
  place: Place;
  /** Every state it has entered, oldest first. */
  words: readonly Word[];
  /** Of its last configuration; adverts in its name with another priority are forged. */
  priority: number;
  /** Returns once it says that it is Backup. @throws Error with what it said when that does not come. */
  start(config: EndConfig): Promise<void>;
  /** SIGKILL to all of it, and waits for its end. */
  crash(): Promise<void>;
  /** Asks it to end, as its service manager would, and waits for its end. */
  stop(): Promise<void>;
  /** Packets that it has rejected, by a cause it names in its own way. */
  rejected(cause: Rejection): Promise<number>;
  /** Times it was told by priority 0 that the Master resigns, and believed it. */
  resignationsHeard(): Promise<number>;
  /** What it has said, for the report of a failure. */
  log(): string;
};

/** Why an end may reject a packet; what both can name. */
export type Rejection = 'source' | 'ttl' | 'version' | 'checksum' | 'password' | 'interval';

/** How long anything may take that must happen. */
export const PATIENCE_MS = 25_000;
const LOOK_MS = 20;

/** Between two looks. */
export const pause = (): Promise<void> => sleep(LOOK_MS);

/**
 * Looks until there is something to return.
 * @throws Error that names `what`, with what `seen` tells then.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  seen: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS} ms. ${seen()}`);
    await pause();
  }
}
