/** One pair as metrics and health see it, at one moment. */
import { isDeepStrictEqual } from 'node:util';
import type { Reason } from '../../crds/conditions.ts';
import { type VRRPInstanceStatus, type VRRPState, vipsOf } from '../../crds/types.ts';
import type { Key } from '../../kube/types.ts';
import type { PairPorts } from '../ports.ts';
import { sameStatus } from '../rules/report.ts';
import { isVerified } from './addresses.ts';
import { factsOf } from './derived.ts';
import { statusOf } from './lanes/report.ts';
import type { PairState } from './state.ts';

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

/** What can be seen of a pair now. */
export const snapshotOf = (
  state: PairState,
  ports: PairPorts,
  transitions: readonly TransitionCount[],
): PairSnapshot => {
  const { key, election, loaded, desired } = state;
  return {
    ...{ key, election, transitions },
    status: statusOf(state, ports),
    vips: loaded ? vipsOf(loaded.spec).length : 0,
    isLoaded: loaded !== null,
    isFromDisk: loaded !== null && desired === null,
    isVerified: loaded !== null && isVerified(state, loaded.spec),
    isSettled: isSettled(state, ports),
    isReported: isReported(state, ports),
  };
};

/** The VIPs on the interface are those that EC2 delivers here, or IMDS cannot be read. */
export const isSettled = (state: PairState, { agentVersion }: PairPorts): boolean => {
  const { vipsOnInterface, vipsDelivered } = factsOf(state, agentVersion);
  return vipsDelivered === null || isDeepStrictEqual([...vipsOnInterface].sort(), [...vipsDelivered].sort());
};

/** The API server has the newest report, or none is due any more. */
export const isReported = (state: PairState, ports: PairPorts): boolean =>
  state.gone || sameStatus(statusOf(state, ports), state.reported);
