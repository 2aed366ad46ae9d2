/**
 * What can be seen of a running agent at one moment, for metrics and health. Ages are milliseconds before that moment; null:
 * it has never happened.
 */
import type { APISnapshot } from '../api/contact.ts';
import type { WatchSnapshot } from '../api/watches.ts';
import type { CheckSnapshot } from '../checks/types.ts';
import type { PairSnapshot } from '../pair/snapshot.ts';

/** Everything but what the worker counts, which it is asked for. */
export type AgentSnapshot = {
  nodeName: string;
  pairs: readonly PairSnapshot[];
  checks: readonly CheckSnapshot[];
  api: APISnapshot;
  watches: readonly WatchSnapshot[];
  /** Since the API server took a renewal of this node's Lease. */
  leaseAgeMs: number | null;
  /** Since the metadata was read. */
  imdsAgeMs: number | null;
  /** Since the worker last answered a ping; before the first answer, since the start. */
  pongAgeMs: number;
  /** Log lines withheld because they repeat a cause. */
  withheldLines: number;
};
