/**
 * The lab's VPC as data: what the fabric builds from namespaces and what the EC2 API starts with. The lab shares no code
 * with the product, types included: two readings of docs/design/facts/AWS.md that agree prove more than one.
 */

/** An ENI, as the fabric builds it. */
export type LabInterface = {
  networkInterfaceID: string;
  macAddress: string;
  /** The ENI's primary private IPv4 address. */
  address: string;
  /** The fabric's end of the ENI's veth pair. */
  fabricDevice: string;
};

/** One EC2 instance; what it is itself is its first ENI, `eth0`. */
export type LabInstance = LabInterface & {
  /** Name of its namespace and of the HAPair node that runs on it. */
  name: string;
  instanceID: string;
  instanceType: string;
  securityGroupIDs: string[];
  /** Its ENIs from the second on, `eth1` and so on, in the same subnet. Default: none. */
  more?: LabInterface[];
  /** A subnet of another zone, as EC2 shows it; the fabric does not part them. Default: the VPC's own. */
  elsewhere?: { subnetID: string; availabilityZone: string };
};

/** A public address of the account. */
export type LabElasticIP = { allocationID: string; publicIP: string };

/** A host that only sends probes. */
export type LabClient = { name: string; address: string };

/** The VPC and everything in it at the start. */
export type LabVPC = {
  region: string;
  availabilityZone: string;
  vpcID: string;
  subnetID: string;
  /** The subnet of everything inside; its first address is the router. */
  cidr: string;
  internetGatewayID: string | null;
  instances: LabInstance[];
  elasticIPs: LabElasticIP[];
  /** In the subnet, on an ENI of its own. */
  lanClient: LabClient & LabInterface;
  /** Beyond the internet gateway. */
  internetClient: LabClient & { gateway: string };
};

/**
 * How long EC2 takes: `instant` for tests, `aws` as observed in public; `aws-quick-return` is also as slow as observed in four
 * runs when an address moves back within a minute.
 */
export const LATENCY_PROFILES = ['instant', 'aws', 'aws-quick-return'] as const;
/** The name of a profile. */
export type LatencyProfile = (typeof LATENCY_PROFILES)[number];

/** Whether a word names a profile. */
export const isLatencyProfile = (name: string): name is LatencyProfile =>
  LATENCY_PROFILES.some((known) => known === name);

/**
 * The data plane that the EC2 API moves. A packet goes where this says and nowhere else. All calls run one after another,
 * and each resolves when the kernel has it.
 */
export type Fabric = {
  /** Routes a private address to an ENI; `null`: nowhere. */
  route(privateIPAddress: string, networkInterfaceID: string | null): Promise<void>;
  /** 1:1 NAT of a public address; `null`: not associated. */
  nat(publicIP: string, privateIPAddress: string | null): Promise<void>;
};

/** What an EC2 call can suffer, by name. */
export const FAULT_KINDS = [
  /** RequestLimitExceeded, 503. */
  'throttle',
  /** The error code in `code`. */
  'error',
  /** No answer, no effect. */
  'hang-before',
  /** The effect, then no answer. */
  'hang-after',
  /** The effect happens `delayMs` after the connection was held without an answer. */
  'late-effect',
  /** The connection is cut without an effect. */
  'cut',
  /** Reads answer with the state of `ageMs` ago. */
  'stale',
  /** Reads leave out the address in `address`. */
  'omit',
  /** The call takes `delayMs` longer. */
  'slow',
  /** The whole API is away: every connection is cut, whoever calls, until the faults are cleared. `action` and `count` mean nothing. */
  'outage',
] as const;
/** The name of a kind of fault. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What the next matching EC2 calls suffer. */
export type FaultSpec = {
  kind: FaultKind;
  /** EC2 action, such as `AssignPrivateIpAddresses`; absent: any. */
  action?: string;
  /** How many calls; default 1. */
  count?: number;
  code?: string;
  delayMs?: number;
  ageMs?: number;
  address?: string;
};

/** The states of an instance that the lab can be told, by EC2's names. */
export const SETTABLE_STATES = ['running', 'stopped', 'shutting-down', 'terminated'] as const;

/** The moods of an instance's metadata, and of the source of the operator's credentials, by name. */
export const MOOD_KINDS = ['well', 'silent', 'slow', 'refusing', 'frozen', 'listing'] as const;

/** How requests are answered. `count`: so many of them, then it is well again; default: until it is told otherwise. */
export type Mood = { count?: number } & (
  | { is: 'well' }
  /** Accepted, and never answered. */
  | { is: 'silent' }
  | { is: 'slow'; delayMs: number }
  /** @property code of STS alone, such as `ExpiredToken` */
  | { is: 'refusing'; status: number; code?: string }
  /** An instance: it goes on listing the addresses that it had when this mood came. */
  | { is: 'frozen' }
  /** An instance: it lists these private addresses besides its primary, whatever is true. */
  | { is: 'listing'; addresses: readonly string[] }
);

/** How far a call can come, in this order. */
export const CALL_PHASES = ['received', 'effect', 'mapped', 'answered'] as const;
/** The name of a phase. */
export type CallPhase = (typeof CALL_PHASES)[number];

/** One line of the lab's log of EC2 calls; times are Unix milliseconds with a fraction. */
export type CallRecord = {
  id: number;
  action: string;
  parameters: Record<string, string>;
  /** The access key id that signed the call. */
  accessKeyID: string;
  userAgent: string;
  receivedAtMs: number;
  /** When the API's own state changed; absent: it did not. */
  effectAtMs?: number;
  /** When the fabric followed; absent: it did not, or has not yet. */
  mappedAtMs?: number;
  answeredAtMs?: number;
  /** HTTP status, or 0 when there was no answer. */
  status: number;
  errorCode?: string;
  fault?: FaultKind;
};
