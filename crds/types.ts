/**
 * The API group `hapair.io/v1alpha1` as TypeScript types: what a valid, defaulted object looks like.
 * The manifests beside this file are the contract; these types follow them field by field.
 */

/** API group and version of both kinds. */
export const API_GROUP = 'hapair.io';
export const API_VERSION = 'v1alpha1';
export const API_GROUP_VERSION = `${API_GROUP}/${API_VERSION}` as const;

/** The finalizer that the operator sets on a HAPair with deletionPolicy Unassign before its first EC2 write. */
export const FINALIZER = 'hapair.io/addresses';

/** Labels on every VRRPInstance. */
export const PAIR_LABEL = 'hapair.io/pair';
export const NODE_LABEL = 'hapair.io/node';

/** Name of the VRRPInstance of one pair on one node. */
export const instanceName = (pairName: string, nodeName: string): string => `${pairName}.${nodeName}`;

/** A report's term is at most so far above the stored one or `spec.termFloor`, whichever is higher: a rule of the CRD. */
export const TERM_STEP = 1_000_000;

/** Name of the Lease that an agent renews, in its ServiceAccount's namespace. */
export const agentLeaseName = (nodeName: string): string => `hapair-agent-${nodeName}`;

/** The part of metav1.ObjectMeta that hapair reads and writes. */
type ObjectMeta = {
  name: string;
  namespace: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
};

/** metav1.OwnerReference. */
type OwnerReference = {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
};

/** metav1.Condition. */
export type Condition = {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  /** At most 32,768 characters; says what is wrong and what to do. */
  message: string;
  /** RFC 3339, whole seconds; moves only when `status` does. */
  lastTransitionTime: string;
  observedGeneration?: number;
};

/** VRRP protocol version: 2 is RFC 3768 with the simple password of RFC 2338, 3 is RFC 9568. */
export type VRRPVersion = 2 | 3;

/** v3 checksum: `Pseudoheader` as keepalived computes it, `MessageOnly` as RFC 9568 section 5.2.8 does. */
export type Checksum = 'Pseudoheader' | 'MessageOnly';

/** Where the v2 password lies: a key of a Secret in the object's namespace. */
export type SecretRef = { name: string; key: string };

/** One of Kubernetes' probe actions, plus a command that the node's own configuration must allow by name. */
export type HealthCheck = {
  name: string;
  httpGet?: { port: number; path: string; host?: string; scheme: 'HTTP' | 'HTTPS' };
  tcpSocket?: { port: number; host?: string };
  command?: { name: string };
  /** Default 10. */
  periodSeconds: number;
  /** Default 1. */
  timeoutSeconds: number;
  /** Default 1. */
  successThreshold: number;
  /** Default 3. */
  failureThreshold: number;
};

/** One of the two EC2 instances. */
export type PairNode = {
  /** DNS label; unique in the cluster; what the agent is started with. */
  name: string;
  /** The ENI's primary private IPv4 address: unicast source of the adverts. */
  address: string;
  networkInterfaceID: string;
  /** The interface that carries `address`; absent: the agent finds it. */
  interface?: string;
};

/** One address the pair shares: a VIP, an EIP on a VIP, or an EIP on the holder's primary address. */
export type PairAddress = { name: string; vip?: string; eipAllocationID?: string };

/** `HAPair.spec`, with the CRD's defaults applied. */
export type HAPairSpec = {
  /** Absent: the operator's own region. */
  region?: string;
  /** Exactly two. */
  nodes: PairNode[];
  /** 1 to 16. */
  addresses: PairAddress[];
  preferredNode?: string;
  pinnedNode?: string;
  failback: {
    /** Default Manual. */
    policy: 'Manual' | 'Automatic';
    /** Default 60. */
    delaySeconds: number;
    /** RFC 3339. */
    requestedAt?: string;
    /** Default 600. */
    startingDeadlineSeconds: number;
  };
  vrrp: {
    /** Default 3. */
    version: VRRPVersion;
    /** 1-255. */
    virtualRouterID: number;
    /** 10-40950, a multiple of 10; v2: a multiple of 1000. Default 1000. */
    advertisementIntervalMilliseconds: number;
    /** v3 only; absent: Pseudoheader. */
    checksum?: Checksum;
    /** v2 only; default `name` is `hapair-vrrp`; the operator resolves a missing `key` to the HAPair's name. */
    authentication?: { secretRef: { name?: string; key?: string } };
  };
  healthChecks?: HealthCheck[];
  /** Default false. */
  paused: boolean;
  /** Default Retain. */
  deletionPolicy: 'Retain' | 'Unassign';
};

/** One address as the operator owns and sees it; a replaced one stands beside its successor until it is given up. */
export type AddressStatus = {
  name: string;
  vip?: string;
  eipAllocationID?: string;
  publicIP?: string;
  /** The node where EC2 delivers this address; absent: nowhere, or not known. */
  holder?: string;
  /** The ENIs on which the operator may ever have put this address. */
  networkInterfaceIDs: string[];
  /** The ENI on which the operator is about to put it for the first time; written before the call. */
  placing?: string;
  /** RFC 3339: since when a reading has shown on an ENI what the operator had put there; absent: it never did. */
  placedTime?: string;
  /** The same of an EIP that goes with a VIP. */
  eipPlacedTime?: string;
};

/** A node as the operator sees it. */
export type NodeStatus = {
  name: string;
  instanceID?: string;
  state: VRRPState | 'Unknown';
  agentVersion?: string;
};

/** Memory of orders to switch: each yields at most once (S9). */
export type FailbackStatus = {
  observedPreferredNode?: string;
  /** RFC 3339. */
  lastHandledRequestedAt?: string;
  /** RFC 3339; an order waits since then. */
  pendingSince?: string;
  /** The term whose Master has been asked to yield; 0 or absent: none. */
  yieldTerm?: number;
  /** What became of the last order, or why one waits. */
  reason?: string;
};

/** One switch of master, newest first in `status.history`. */
export type HistoryEntry = {
  from?: string;
  to: string;
  term: number;
  reason: string;
  /** RFC 3339 with microseconds. */
  time: string;
  /** From the Master's own `since` to the operator's reading of the report. */
  reportMilliseconds?: number;
  /** From reading the report to EC2's answer to the mutating call. */
  callMilliseconds?: number;
  /** From reading the report to the read-back that agreed. */
  confirmMilliseconds?: number;
};

/** `HAPair.status`; written by the operator alone. */
export type HAPairStatus = {
  observedGeneration?: number;
  /** The first thing that is wrong; absent: nothing is. */
  reason?: string;
  /** The message of the condition that `reason` is from. */
  message?: string;
  /** The elected master. */
  master?: string;
  /** Where EC2 delivers; absent unless all addresses agree. */
  holder?: string;
  /** What `kubectl get` shows of several addresses in one column: a printer column shows one value. For people alone. */
  columns?: {
    /** `mixed`: the addresses are at different places. */
    holder?: string;
    /** The first, and how many there are besides: `10.10.10.10 +1`. */
    vip?: string;
    /** As `vip`, of public addresses. */
    eip?: string;
  };
  /** The node that is not master, whatever its state. */
  standby?: string;
  /** The highest term acted upon. */
  term?: number;
  addresses?: AddressStatus[];
  nodes?: NodeStatus[];
  failback?: FailbackStatus;
  damping?: { recentSwitches: number; holdUntil?: string };
  /** At most 10, newest first. */
  history?: HistoryEntry[];
  conditions?: Condition[];
};

/** A pair of EC2 instances that share addresses. */
export type HAPair = {
  apiVersion: typeof API_GROUP_VERSION;
  kind: 'HAPair';
  metadata: ObjectMeta;
  spec: HAPairSpec;
  status?: HAPairStatus;
};

/** The VRRP state of RFC 9568 section 6.4, and Fault: a node that must not be Master. */
export type VRRPState = 'Init' | 'Backup' | 'Master' | 'Fault';

/** A complete set of VRRP parameters; nothing is left to a default. */
export type VRRPParameters = {
  version: VRRPVersion;
  virtualRouterID: number;
  advertisementIntervalMilliseconds: number;
  checksum?: Checksum;
  authentication?: { secretRef: SecretRef };
};

/** An address that an agent may put up and serve; one that the HAPair has dropped stays until it is released. */
export type InstanceAddress = PairAddress & {
  /** The VIPs that this entry had, until the successor has arrived. */
  replacedVIPs?: string[];
  /** The EIP itself. */
  publicIP?: string;
};

/** `VRRPInstance.spec`; written by the operator alone. */
export type VRRPInstanceSpec = {
  pairName: string;
  nodeName: string;
  /** The user that may write this object's status. */
  agentUsername: string;
  networkInterfaceID: string;
  interface?: string;
  sourceAddress: string;
  peerAddress: string;
  /** 1-254: 200 for EC2's holder, 100 for the other. */
  priority: number;
  claim: 'Normal' | 'Always' | 'Never';
  termFloor: number;
  /** An agent that is Master in exactly this term resigns; 0: nobody. */
  yieldTerm: number;
  /** Echoed in status at once. */
  probe: number;
  onDelete: 'Keep' | 'Remove';
  /** Map list by name; absent: none yet. See {@link vipsOf}. */
  addresses?: InstanceAddress[];
  vrrp: { send: VRRPParameters; accept: VRRPParameters[] };
  healthChecks?: HealthCheck[];
};

/** Every VIP that a node may have to serve, those that have a successor last. */
export const vipsOf = ({ addresses = [] }: Pick<VRRPInstanceSpec, 'addresses'>): string[] => [
  ...addresses.flatMap(({ vip }) => vip ?? []),
  ...addresses.flatMap(({ replacedVIPs }) => replacedVIPs ?? []),
];

/** `VRRPInstance.status`; written by that node's agent alone. */
export type VRRPInstanceStatus = {
  observedGeneration?: number;
  probe?: number;
  state: VRRPState;
  /** Master: the term it holds. Otherwise the highest term it has seen. */
  term: number;
  /** RFC 3339 with microseconds: when `state` was entered. */
  since: string;
  interface?: string;
  instanceID?: string;
  vipsOnInterface?: string[];
  /** The VIPs that IMDS says arrive here; absent: IMDS could not be read. */
  vipsDelivered?: string[];
  secretResourceVersion?: string;
  checks?: { name: string; healthy: boolean; message?: string }[];
  agentVersion?: string;
  conditions?: Condition[];
};

/** One side of a pair: what the operator wants of an agent, and what the agent reports. */
export type VRRPInstance = {
  apiVersion: typeof API_GROUP_VERSION;
  kind: 'VRRPInstance';
  metadata: ObjectMeta;
  spec: VRRPInstanceSpec;
  status?: VRRPInstanceStatus;
};
