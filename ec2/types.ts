/** EC2 as the operator sees and changes it; names are the EC2 API's. */

/** A private IPv4 address of an ENI, with the EIP associated with it, if any. */
export type PrivateIPAddress = {
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
  status: string;
  sourceDestCheck: boolean;
  privateIPAddresses: PrivateIPAddress[];
};

/** The part of DescribeAddresses that hapair uses. */
export type ElasticIP = {
  allocationID: string;
  publicIP: string;
  associationID?: string;
  networkInterfaceID?: string;
  privateIPAddress?: string;
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
};

/** A call that changes EC2. */
export type EC2Call =
  | {
      action: 'AssignPrivateIpAddresses';
      networkInterfaceID: string;
      /** Moved from wherever they are (AllowReassignment). */
      privateIPAddresses: string[];
    }
  | {
      action: 'AssociateAddress';
      allocationID: string;
      networkInterfaceID: string;
      privateIPAddress: string;
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
  | 'Rejected';

/** Outcome of a mutating call; a failure says whether its effect may have happened all the same. */
export type EC2Result =
  | { ok: true }
  | { ok: false; class: EC2ErrorClass; code: string; message: string; mayHaveHappened: boolean };
