/**
 * What can be seen of a running agent at one moment, for metrics and health. Ages are milliseconds before that moment; null:
 * it has never happened.
 */
import type { APILook } from '../api/contact.ts';
import type { WatchLook } from '../api/watches.ts';
import type { CheckSnapshot } from '../checks/types.ts';
import type { PairLook } from '../pair/look.ts';

/** Everything but what the worker counts, which it is asked for. */
export type AgentLook = {
  nodeName: string;
  pairs: readonly PairLook[];
  checks: readonly CheckSnapshot[];
  api: APILook;
  watches: readonly WatchLook[];
  /** Since the API server took a renewal of this node's Lease. */
  leaseAgeMs: number | null;
  /** Since the metadata was read. */
  imdsAgeMs: number | null;
  /** Since the worker last answered a ping; before the first answer, since the start. */
  pongAgeMs: number;
  /** Log lines withheld because they repeat a cause. */
  withheldLines: number;
};
