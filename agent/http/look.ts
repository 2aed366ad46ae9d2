/**
 * What can be seen of a running agent at one moment, for metrics and health. Ages are milliseconds before that moment; null:
 * it has never happened.
 */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPInstanceStatus, VRRPState } from '../../crds/types.ts';
import type { KubeErrorKind } from '../../kube/errors.ts';
import type { Key } from '../../kube/types.ts';
import type { CheckSnapshot } from '../checks/types.ts';

/** How often a pair went from one state to another, and why. */
export type Transition = { from: VRRPState; to: VRRPState; reason: Reason; count: number };

/** One pair on this node. */
export type PairLook = {
  /** `namespace/pairName`. */
  key: Key;
  /** The state of the election; a report may be behind it. */
  election: VRRPState;
  /** Since this process began, each combination once. */
  transitions: readonly Transition[];
  /** What the report says, or will say when it can be sent. */
  status: VRRPInstanceStatus;
  /** VIPs of the spec in force. */
  vips: number;
  /** A spec is in force. */
  isLoaded: boolean;
  /** The spec in force came from disk, and the API server has not shown one since. */
  isFromDisk: boolean;
  /** IMDS has shown the ENI on this instance. */
  isVerified: boolean;
  /** The VIPs on the interface are those that EC2 delivers here, or IMDS cannot be read. */
  isSettled: boolean;
  /** The API server has the newest report. */
  isReported: boolean;
};

/** How a call to the API server ended. */
export type CallResult = 'Success' | KubeErrorKind;

/** The link to the API server. */
export type APILook = {
  /** The last call was answered; null: none has ended yet. */
  isConnected: boolean | null;
  /** Since any sign of life of the API server, watches included. */
  silenceMs: number | null;
  /** Calls so far, by result. */
  calls: Readonly<Partial<Record<CallResult, number>>>;
  /** Why the last call was not answered; null: it was. */
  failure: { kind: KubeErrorKind; message: string } | null;
};

/** One watch on VRRPInstances. */
export type WatchLook = {
  /** Whose pairs are watched. */
  namespace: string;
  /** The instances of this node, or all instances of its pairs. */
  of: 'own' | 'pairs';
  ageMs: number | null;
  relists: number;
  reconnects: number;
  /** It is silent and knows why, so it tries again. */
  isRetrying: boolean;
};

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
