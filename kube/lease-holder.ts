/**
 * Whether a Lease is free for a holder that must be the only one: pure, one reading after the other. Another holder is alive
 * when it is seen to renew, and gone when it was not seen to for the whole of its lease time. Both are timed on the reader's
 * own monotonic clock: the times in the Lease are another machine's.
 */
import type { Lease } from './lease-types.ts';

/** `Free`: nobody holds it, we do, or its holder is gone. `Unknown`: another holds it; look again. `Rival`: and lives. */
export type HolderVerdict = 'Free' | 'Unknown' | 'Rival';

export type HolderWatch = {
  /** Takes a reading into account; undefined: there is no Lease. */
  observe(lease: Lease | undefined, nowMs: number): HolderVerdict;
  /** A reading failed: the API must have been readable throughout for silence to mean anything. */
  forget(): void;
};

/** Of a holder that has written no lease time; that of an agent. */
const LEASE_SECONDS = 40;

/** Watches the Lease on behalf of `identity`. */
export const createHolderWatch = (identity: string): HolderWatch => {
  let seen: { holder: string; mark: string; sinceMs: number } | undefined;
  return {
    observe(lease, nowMs) {
      const { holderIdentity: holder = '', renewTime = '', leaseDurationSeconds } = lease?.spec ?? {};
      if (holder === '' || holder === identity) {
        seen = undefined;
        return 'Free';
      }
      const mark = `${renewTime} ${lease?.metadata.resourceVersion ?? ''}`;
      if (seen?.holder !== holder) {
        seen = { holder, mark, sinceMs: nowMs };
        return 'Unknown';
      }
      if (seen.mark !== mark) return 'Rival';
      return nowMs - seen.sinceMs >= (leaseDurationSeconds ?? LEASE_SECONDS) * 1000 ? 'Free' : 'Unknown';
    },
    forget() {
      seen = undefined;
    },
  };
};
