/** EC2 as the operator sees and changes it; names are the EC2 API's. */

/** A private IPv4 address of an ENI, with the EIP associated with it, if any. */
type PrivateIPAddress = {
  privateIPAddress: string;
  primary: boolean;
  association?: { allocationID?: string; associationID?: string; publicIP: string };
};

/** The part of DescribeNetworkInterfaces that hapair uses. */
export type NetworkInterface = {
  networkInterfaceID: string;
  subnetID: string;
  availabilityZone: string;
  instanceID?: string;
  /** The AWS account. */
  ownerID?: string;
  status: string;
  sourceDestCheck: boolean;
  securityGroupIDs: string[];
  tags: Record<string, string>;
  privateIPAddresses: PrivateIPAddress[];
};

/** The part of DescribeAddresses that hapair uses. */
export type ElasticIP = {
  allocationID: string;
  publicIP: string;
  associationID?: string;
  networkInterfaceID?: string;
  privateIPAddress?: string;
  tags: Record<string, string>;
};

/**
 * One consistent reading of EC2. An id maps to `null` only if EC2 answered that it does not exist; an id that is not a key
 * was not read. "Could not read" is never "absent".
 */
export type EC2View = {
  /** Monotonic time just before the first request of the reading was sent: no effect of a later call is in it. */
  readAtMs: number;
  networkInterfaces: Record<string, NetworkInterface | null>;
  elasticIPs: Record<string, ElasticIP | null>;
  /** By private address that none of `networkInterfaces` was seen to have: all ENIs of the Region that do, in whatever VPC. */
  holders: Record<string, readonly NetworkInterface[]>;
};

/**
 * What a call or reading is for, most urgent first. Move: a failover, which nobody asked for. Pin: the first move of a pair to a
 * pinned node within a minute. Repair: an address is put back. Order: any other move that somebody asked for. Place: for the first
 * master of a new pair. Then releases. Confirm: a reading that a pair waits for which serves, or should. Look: one that another pair
 * wants. Watch: all pairs are looked through for drift. Preflight: checks made ahead of need.
 */
export const CALL_PURPOSES = [
  ...(['Move', 'Pin', 'Repair', 'Order', 'Place', 'Release'] as const),
  ...(['Confirm', 'Look', 'Watch', 'Preflight'] as const),
] as const;
export type CallPurpose = (typeof CALL_PURPOSES)[number];

/** The part of DescribeInstances that hapair uses. */
export type Instance = {
  instanceID: string;
  /** pending | running | shutting-down | terminated | stopping | stopped */
  state: string;
  instanceType: string;
  networkInterfaceIDs: string[];
};

/** The part of DescribeSubnets that hapair uses. */
export type Subnet = { subnetID: string; cidrBlock: string; availabilityZone: string };

/** The part of DescribeSecurityGroupRules that hapair uses. */
export type SecurityGroupRule = {
  isEgress: boolean;
  /** A name, a number, or `-1` for all. */
  protocol: string;
  cidrIPv4?: string;
  referencedGroupID?: string;
};

/**
 * What changes seldom and must be right before a failover needs it. An id maps to `null` only if EC2 answered that it does
 * not exist; an id that is no key was not read.
 */
export type EC2Facts = {
  /** Monotonic time just before the first request was sent. */
  readAtMs: number;
  instances: Record<string, Instance | null>;
  subnets: Record<string, Subnet | null>;
  /** By security group. */
  securityGroupRules: Record<string, SecurityGroupRule[] | null>;
  /** NetworkInfo.Ipv4AddressesPerInterface by instance type: the limit counts the primary address too. */
  addressesPerInterface: Record<string, number>;
  /**
   * Answer of a DryRun of AssociateAddress by allocation; `Held`: something has the EIP that does not give it away. AssignPrivateIpAddresses
   * has no DryRun: nobody knows.
   */
  mayAssociate: Record<string, 'Allowed' | 'Denied' | 'Held' | 'Unknown'>;
  /**
   * Why something could not be read: the first failure. `sinceMs`, which their keeper adds: when the first of the readings in a row
   * that failed was begun, by the monotonic clock.
   */
  failure?: { class: EC2ErrorClass; message: string; sinceMs?: number };
};

/** Classes of EC2 errors by what to do about them (EC2 API Reference, "Error codes"). */
export type EC2ErrorClass =
  | 'Throttled'
  | 'Unavailable'
  | 'TimedOut'
  | 'Unreachable'
  | 'CredentialsInvalid'
  | 'Unauthorized'
  | 'TargetMissing'
  | 'AllocationMissing'
  | 'AddressInUse'
  | 'QuotaExceeded'
  | 'StateConflict'
  | 'Rejected'
  /** Not of EC2: this process no longer leads, and the call never left it (S4). */
  | 'NotLeading';

/** Outcome of a mutating call; a failure says whether its effect may have happened all the same. */
export type EC2Result =
  | { ok: true }
  | { ok: false; class: EC2ErrorClass; code: string; message: string; mayHaveHappened: boolean };
