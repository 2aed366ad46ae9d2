/** What a pair's actor hands to its successor when the agent's program is replaced in place; state.ts fills and reads it. */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPInstanceSpec } from '../../crds/types.ts';
import type { IMDSReading, InterfaceReading } from '../ports.ts';
import type { WorkerConfig } from '../worker/messages.ts';
import type { ChecksState } from './state/checks.ts';
import type { ElectionHandover } from './state/election.ts';
import type { NetworkState } from './state/network.ts';
import type { PeerState } from './state/peer.ts';
import type { ReportState } from './state/report.ts';
import type { SteeringState } from './state/steering.ts';

/** What the worker was told about a pair. */
export type Running = {
  config: WorkerConfig;
  /** The spec that asked for it. */
  spec: VRRPInstanceSpec | null;
  fault: Reason | null;
};

/** Goes by structured clone from one version of the program to another. Monotonic times hold: it is the same machine. */
export type PairHandover = ElectionHandover &
  Pick<ReportState, 'reported' | 'stored'> &
  Pick<PeerState, 'peer' | 'peerHeard'> &
  Pick<ChecksState, 'checks'> &
  Pick<NetworkState, 'lastDelivered'> &
  Pick<SteeringState, 'yieldedTerm'> & {
    running: Running;
    highestTerm: number;
    specRead: boolean;
    /** Monotonic; null: it has never advertised. */
    lastAdvertAtMs: number | null;
  };

/** What the agent knows that its disk and its API server do not. */
export type AgentHandover = {
  /** By `namespace/pairName`. */
  pairs: Readonly<Record<string, PairHandover>>;
  /** Monotonic time of the API server's last answer; null: none yet. */
  lastContactMs: number | null;
  imds: IMDSReading | null;
  interfaces: InterfaceReading | null;
};
