/** One pair as metrics and health see it, at one moment. */
import type { Reason } from '../../crds/conditions.ts';
import type { VRRPInstanceStatus, VRRPState } from '../../crds/types.ts';
import type { Key } from '../../kube/types.ts';

/** How often a pair went from one state to another, and why. */
export type TransitionCount = { from: VRRPState; to: VRRPState; reason: Reason; count: number };

/** One pair on this node. */
export type PairSnapshot = {
  /** `namespace/pairName`. */
  key: Key;
  /** The state of the election; a report may be behind it. */
  election: VRRPState;
  /** Since this process began, each combination once. */
  transitions: readonly TransitionCount[];
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
