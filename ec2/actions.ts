/**
 * Every action of EC2 that hapair calls: one row each. Budget, guard, client, words and the check of the IAM policy read it; the
 * SDK's command is added in sdk.ts, since nothing pure may load the SDK.
 */
import type { InputOf } from './requests.ts';

/** How much a token bucket holds, and how much flows in per second. */
export type BucketSize = { capacity: number; refillPerSecond: number };

/** What each call that changes EC2 says, by action. Each names the ENI that it changes. */
type Calls = {
  AssignPrivateIpAddresses: {
    networkInterfaceID: string;
    /** Moved from wherever they are (AllowReassignment). */
    privateIPAddresses: string[];
  };
  AssociateAddress: { allocationID: string; networkInterfaceID: string; privateIPAddress: string };
  UnassignPrivateIpAddresses: { networkInterfaceID: string; privateIPAddresses: string[] };
  DisassociateAddress: {
    allocationID: string;
    associationID: string;
    /** Where the EIP was read to be; EC2 is asked by the association alone. */
    networkInterfaceID: string;
  };
};

/** An action that changes EC2. */
type EC2Mutation = keyof Calls;

type CallOf<A extends EC2Mutation> = { [Each in A]: { action: Each } & Calls[Each] }[A];

/** A call that changes EC2. */
export type EC2Call = CallOf<EC2Mutation>;

/** An action that changes EC2, as far as others must know it. */
type MutationRow<A extends EC2Mutation> = {
  /** EC2's own numbers (EC2 Developer Guide, "Request throttling"). */
  bucket: BucketSize;
  /** VIPs and allocation IDs that the call touches. */
  ids(call: Calls[A]): readonly string[];
  /** What it does, between the action's name and that of the ENI. */
  words(call: Calls[A]): string;
  request(call: Calls[A]): InputOf<A>;
};

const MUTATIONS: { readonly [A in EC2Mutation]: MutationRow<A> } = {
  AssignPrivateIpAddresses: {
    bucket: { capacity: 100, refillPerSecond: 5 },
    ids: ({ privateIPAddresses }) => privateIPAddresses,
    words: ({ privateIPAddresses }) => `of ${privateIPAddresses.join(', ')} to`,
    request: ({ networkInterfaceID, privateIPAddresses }) => ({
      NetworkInterfaceId: networkInterfaceID,
      PrivateIpAddresses: privateIPAddresses,
      AllowReassignment: true,
    }),
  },
  AssociateAddress: {
    bucket: { capacity: 50, refillPerSecond: 5 },
    ids: ({ allocationID }) => [allocationID],
    words: ({ allocationID, privateIPAddress }) => `of ${allocationID} with ${privateIPAddress} on`,
    request: ({ allocationID, networkInterfaceID, privateIPAddress }) => ({
      AllocationId: allocationID,
      NetworkInterfaceId: networkInterfaceID,
      PrivateIpAddress: privateIPAddress,
      AllowReassociation: true,
    }),
  },
  UnassignPrivateIpAddresses: {
    bucket: { capacity: 100, refillPerSecond: 5 },
    ids: ({ privateIPAddresses }) => privateIPAddresses,
    words: ({ privateIPAddresses }) => `of ${privateIPAddresses.join(', ')} from`,
    request: ({ networkInterfaceID, privateIPAddresses }) => ({
      NetworkInterfaceId: networkInterfaceID,
      PrivateIpAddresses: privateIPAddresses,
    }),
  },
  DisassociateAddress: {
    bucket: { capacity: 50, refillPerSecond: 5 },
    ids: ({ allocationID }) => [allocationID],
    words: ({ allocationID }) => `of ${allocationID} from`,
    request: ({ associationID }) => ({ AssociationId: associationID }),
  },
};

/** Filtered, paginated reads alone: hapair makes no others. */
const READ: { bucket: BucketSize } = { bucket: { capacity: 100, refillPerSecond: 20 } };

const READS = {
  DescribeNetworkInterfaces: READ,
  DescribeAddresses: READ,
  DescribeInstances: READ,
  DescribeSubnets: READ,
  DescribeSecurityGroupRules: READ,
  DescribeInstanceTypes: READ,
};

/** Every action of EC2 that hapair calls; each has a token bucket of its own. */
export type EC2Action = EC2Mutation | keyof typeof READS;

/** The rows of all actions, as far as all have them. */
export const ACTIONS: Readonly<Record<EC2Action, { bucket: BucketSize }>> = { ...MUTATIONS, ...READS };

/** The action changes EC2, unless it is a DryRun. */
export const isMutation = (action: string): action is EC2Mutation => action in MUTATIONS;

/** VIPs and allocation IDs that a call touches. */
export const idsOf = <A extends EC2Mutation>(call: CallOf<A>): readonly string[] =>
  MUTATIONS[call.action].ids(call);

/** A call in words, as logs and Events name it. @param node whose ENI it changes */
export const describeEC2Call = <A extends EC2Mutation>(call: CallOf<A>, node: string): string =>
  `${call.action} ${MUTATIONS[call.action].words(call)} ${call.networkInterfaceID} (${node})`;

/** What the SDK is asked for a call. */
export const requestOf = <A extends EC2Mutation>(call: CallOf<A>): InputOf<A> =>
  MUTATIONS[call.action].request(call);
