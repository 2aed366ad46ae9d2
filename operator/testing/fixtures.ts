/** Objects for tests: the seed's own pair, with whatever a case changes. */

import type {
  HAPair,
  HAPairSpec,
  PairAddress,
  PairNode,
  VRRPInstance,
  VRRPInstanceStatus,
} from '../../crds/types.ts';
import { formatMicroTime } from '../../runtime/time.ts';

export const NODE1: PairNode = {
  name: 'node1',
  address: '10.10.10.11',
  networkInterfaceID: 'eni-0aaaaaaaaaaaaaaa1',
};
export const NODE2: PairNode = {
  name: 'node2',
  address: '10.10.10.12',
  networkInterfaceID: 'eni-0bbbbbbbbbbbbbbb2',
};
/** Takes the place of one of them. */
export const NODE3: PairNode = {
  name: 'node3',
  address: '10.10.10.13',
  networkInterfaceID: 'eni-0dddddddddddddd3',
};
export const ALLOCATION = 'eipalloc-0ccccccccccccccc3';
export const VIP = '10.10.10.10';
export const MAIN: PairAddress = { name: 'main', vip: VIP, eipAllocationID: ALLOCATION };

export const SETTINGS = {
  region: 'ap-northeast-1',
  agentUsernameTemplate: 'system:serviceaccount:hapair-system:hapair-agent-<node>',
};

/** Unix milliseconds at monotonic 0. */
export const EPOCH_MS = Date.parse('2026-11-22T10:00:00Z');

/** A spec with the CRD's defaults. */
export const specOf = (change: Partial<HAPairSpec> = {}): HAPairSpec => ({
  nodes: [NODE1, NODE2],
  addresses: [MAIN],
  failback: { policy: 'Manual', delaySeconds: 60, startingDeadlineSeconds: 600 },
  vrrp: { version: 3, virtualRouterID: 10, advertisementIntervalMilliseconds: 1000 },
  paused: false,
  deletionPolicy: 'Retain',
  ...change,
});

export const pairOf = (change: Partial<HAPairSpec> = {}): HAPair => ({
  apiVersion: 'hapair.io/v1alpha1',
  kind: 'HAPair',
  metadata: {
    name: 'web',
    namespace: 'prod',
    uid: 'uid-web',
    generation: 1,
    creationTimestamp: '2026-11-22T09:59:00Z',
  },
  spec: specOf(change),
});

/** An agent's report. */
export const reportOf = (
  state: VRRPInstanceStatus['state'],
  term: number,
  nowMs: number,
  change: Partial<VRRPInstanceStatus> = {},
): VRRPInstanceStatus => ({ state, term, since: formatMicroTime(EPOCH_MS + nowMs), ...change });

/** The stored instance of a node without a report. */
export const nodeOf = (instance: VRRPInstance): string => instance.spec.nodeName;
