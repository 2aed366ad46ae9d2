/**
 * What the agent's main thread and its VRRP worker say to each other, by structured clone. The worker owns sockets, timers
 * and the election; the main thread owns everything slow. Times are milliseconds of the process's monotonic clock
 * (`process.hrtime`), which both threads share.
 */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPState } from '../../crds/types.ts';
import type { RejectCause, VirtualRouterConfig } from '../vrrp/types.ts';

/** Everything one VRRP instance needs; a pair is named `namespace/pairName`. */
export type WorkerConfig = VirtualRouterConfig & {
  /** Bound with SO_BINDTODEVICE. */
  interface: string;
};

/** Of the Master that an instance goes on for. */
export type Resume = { lastAdvertAtMs: number; fault: Reason | null };

export type ToWorker =
  /**
   * Starts an instance, or changes a running one without leaving its state.
   * `resume`: this process replaces one that was Master (`hapair-agent reload`) and sent its last advert then: it goes on as
   * Master without a claim if the peer cannot have missed it yet, and listens first if not. `fault` is what that one was told:
   * a Master whose checks fail is one of last resort, or pinned, and stays Master.
   */
  | { type: 'set'; pair: string; config: WorkerConfig; resume?: Resume }
  /** Stops an instance: a Master resigns first (priority 0). */
  | { type: 'remove'; pair: string }
  /** A Master sends priority 0 and becomes Backup. Ignored in any other state. */
  | { type: 'resign'; pair: string; reason: Reason }
  /** Enters Fault (a Master resigns first), or leaves it for Backup. */
  | { type: 'fault'; pair: string; fault: Reason | null }
  /** Claims out of Fault, if that is for failed checks alone and no Master is heard; ignored otherwise. */
  | { type: 'lastResort'; pair: string }
  /** Becomes Master by hand (`hapair-agent claim`), unless a live Master is heard; answered by `claimByHand` with the same id. */
  | { type: 'claimByHand'; pair: string; id: number }
  /** Every Master resigns, all sockets are closed, the worker answers `stopped` and ends. */
  | { type: 'stop' }
  /** Asks for a `pong`: only a worker whose loop runs answers. */
  | { type: 'ping'; id: number };

export type FromWorker =
  | {
      type: 'state';
      pair: string;
      state: VRRPState;
      reason: Reason;
      atMs: number;
    }
  /** Still Master after about 10 ms of listening: only now is the claim worth a report. */
  | { type: 'settled'; pair: string; atMs: number }
  /** The first advert of the peer after silence; `false`: none for a master-down interval while listening. */
  | { type: 'peer'; pair: string; heard: boolean; priority: number; atMs: number }
  /** A packet was rejected; repeated causes are counted in `count` and sent at most once a second. */
  | { type: 'rejected'; pair: string; cause: RejectCause; source: string; count: number }
  /** Socket trouble of one instance; the worker retries by itself, and says `null` when it is over. */
  | { type: 'socket'; pair: string; error: string | null }
  /** `refused`: why not, a sentence for people; null: it is Master now (or was). */
  | { type: 'claimByHand'; pair: string; id: number; refused: string | null }
  /** `realtime`: the system granted real-time scheduling to the worker's thread. */
  | {
      type: 'pong';
      id: number;
      lastAdvertAtMs: Record<string, number>;
      realtime: boolean;
      stats: WorkerStats;
    }
  | { type: 'stopped' };

/** What the worker has counted since it started; cumulative. A pair that is removed leaves the table. */
export type WorkerStats = {
  pairs: Record<string, PairStats>;
  /** How late timers were served: `counts[i]` of those at most `boundsMs[i]` late, not cumulative; the last count is beyond all bounds. */
  lateness: { boundsMs: readonly number[]; counts: number[]; sumMs: number; maxMs: number };
};

/** What was counted of one pair since its instance was set up. */
export type PairStats = {
  /** With a priority above 0. */
  advertsSent: number;
  /** Adverts of priority 0. */
  resignationsSent: number;
  /** Adverts of the peer that passed every check, resignations included. */
  advertsReceived: number;
  rejected: Partial<Record<RejectCause, number>>;
  /** Times this instance stepped down or listened again because the process or machine had slept. */
  overslept: number;
};
