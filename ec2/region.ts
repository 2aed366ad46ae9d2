/**
 * EC2 of one Region through the AWS SDK: requests with a deadline of their own and one attempt, since the operator's loop
 * retries, knowing what else is urgent. Reads wait for their turn in the account's call budget, and every answer is told
 * to it.
 */
import {
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSubnetsCommand,
  DisassociateAddressCommand,
  type EC2Client,
  type InstanceTypeInfo,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import type { Budget } from './budget.ts';
import { failureOf } from './errors.ts';
import { elasticIPOf, networkInterfaceOf, rawErrorOf, securityGroupRulesOf } from './shapes.ts';
import type {
  CallPurpose,
  EC2Action,
  EC2Call,
  EC2Result,
  ElasticIP,
  Instance,
  NetworkInterface,
  SecurityGroupRule,
  Subnet,
} from './types.ts';

/** What the SDK bounds one request by. */
type HttpHandlerOptions = { requestTimeout: number; abortSignal: AbortSignal };

/** Told how one request ended, for metrics; `ms` is the time from sending it, its turn in the budget apart. */
export type OnAnswer = (action: EC2Action, result: EC2Result, ms: number) => void;

/** Bounds on one request; milliseconds. */
export type Timeouts = { connectTimeoutMs: number; readTimeoutMs: number; writeTimeoutMs: number };

/** What a Region's requests need besides the SDK's client. */
export type RegionOptions = {
  region: string;
  client: EC2Client;
  timeouts: Timeouts;
  /** Absent: reads wait for nobody, and nobody is told of answers. */
  budget?: Pick<Budget, 'take' | 'answered'>;
  /** Monotonic milliseconds. */
  now: () => number;
  /** Told of each request that was answered or given up; absent: nobody is. */
  onAnswer?: OnAnswer;
  /** EC2 did not accept the credentials. */
  onCredentialsInvalid: () => void;
};

/** On whose behalf a read is made. */
export type Errand = { purpose: CallPurpose; signal: AbortSignal };

/** Where a DryRun of AssociateAddress asks whether an EIP may go. */
export type Association = { allocationID: string; networkInterfaceID: string; privateIPAddress: string };

/** Each method makes one request, or one for each page, and rejects with what the SDK threw. */
export type RegionRequests = {
  networkInterfaces(ids: readonly string[], errand: Errand): Promise<NetworkInterface[]>;
  addresses(ids: readonly string[], errand: Errand): Promise<ElasticIP[]>;
  instances(ids: readonly string[], errand: Errand): Promise<Instance[]>;
  subnets(ids: readonly string[], errand: Errand): Promise<Subnet[]>;
  /** By group; a group without rules is an empty list. */
  securityGroupRules(
    ids: readonly string[],
    errand: Errand,
  ): Promise<{ groupID: string; rules: SecurityGroupRule[] }[]>;
  instanceTypes(names: readonly string[], errand: Errand): Promise<{ name: string; addresses: number }[]>;
  mayAssociate(association: Association, errand: Errand): Promise<'Allowed' | 'Denied' | 'Unknown'>;
  /** Never rejects. */
  call(call: EC2Call, signal: AbortSignal): Promise<EC2Result>;
};

/** Pages of one Describe call; a bound, as every loop has one. */
const MOST_PAGES = 100;

/** Sends a mutating call; what EC2 answers is read back, not believed. */
const sendCall = async (client: EC2Client, call: EC2Call, bounds: HttpHandlerOptions): Promise<void> => {
  switch (call.action) {
    case 'AssignPrivateIpAddresses': {
      const command = new AssignPrivateIpAddressesCommand({
        NetworkInterfaceId: call.networkInterfaceID,
        PrivateIpAddresses: call.privateIPAddresses,
        AllowReassignment: true,
      });
      await client.send(command, bounds);
      return;
    }
    case 'AssociateAddress': {
      const command = new AssociateAddressCommand({
        AllocationId: call.allocationID,
        NetworkInterfaceId: call.networkInterfaceID,
        PrivateIpAddress: call.privateIPAddress,
        AllowReassociation: true,
      });
      await client.send(command, bounds);
      return;
    }
    case 'UnassignPrivateIpAddresses': {
      const command = new UnassignPrivateIpAddressesCommand({
        NetworkInterfaceId: call.networkInterfaceID,
        PrivateIpAddresses: call.privateIPAddresses,
      });
      await client.send(command, bounds);
      return;
    }
    case 'DisassociateAddress':
      await client.send(new DisassociateAddressCommand({ AssociationId: call.associationID }), bounds);
      return;
  }
};

const instanceTypeOf = ({ InstanceType, NetworkInfo }: InstanceTypeInfo) =>
  InstanceType !== undefined && NetworkInfo?.Ipv4AddressesPerInterface !== undefined
    ? [{ name: InstanceType, addresses: NetworkInfo.Ipv4AddressesPerInterface }]
    : [];

export const createRegionRequests = (options: RegionOptions): RegionRequests => {
  const { region, client, budget, now, onAnswer, onCredentialsInvalid } = options;
  const { connectTimeoutMs, readTimeoutMs, writeTimeoutMs } = options.timeouts;

  /** The SDK's own timeout bounds the request; this one also bounds fetching credentials before it. */
  const deadline = (signal: AbortSignal, timeoutMs: number): HttpHandlerOptions => ({
    requestTimeout: timeoutMs,
    abortSignal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs + connectTimeoutMs)]),
  });

  const tell = (action: EC2Action, result: EC2Result, sentAtMs: number): void => {
    budget?.answered(region, action, result);
    onAnswer?.(action, result, now() - sentAtMs);
    if (!result.ok && result.class === 'CredentialsInvalid') onCredentialsInvalid();
  };

  /** One request of a read: its turn, its deadline, its answer told. */
  const read = async <T>(
    action: EC2Action,
    { purpose, signal }: Errand,
    send: (bounds: HttpHandlerOptions) => Promise<T>,
  ): Promise<T> => {
    await budget?.take(region, action, purpose, signal);
    const sentAtMs = now();
    try {
      const answer = await send(deadline(signal, readTimeoutMs));
      tell(action, { ok: true }, sentAtMs);
      return answer;
    } catch (error) {
      tell(action, failureOf(rawErrorOf(error)), sentAtMs);
      throw error;
    }
  };

  /** All pages of a read. */
  const pages = async <T extends { NextToken?: string | undefined }>(
    action: EC2Action,
    errand: Errand,
    send: (next: { NextToken?: string }, bounds: HttpHandlerOptions) => Promise<T>,
  ): Promise<T[]> => {
    const answers: T[] = [];
    let next: { NextToken?: string } = {};
    do {
      const page = next;
      const answer = await read(action, errand, (bounds) => send(page, bounds));
      answers.push(answer);
      next = answer.NextToken ? { NextToken: answer.NextToken } : {};
    } while (next.NextToken !== undefined && answers.length < MOST_PAGES);
    return answers;
  };

  return {
    async networkInterfaces(ids, errand) {
      const answers = await pages('DescribeNetworkInterfaces', errand, (next, bounds) =>
        client.send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [...ids], ...next }), bounds),
      );
      return answers.flatMap(({ NetworkInterfaces = [] }) => NetworkInterfaces.map(networkInterfaceOf));
    },

    async addresses(ids, errand) {
      const answer = await read('DescribeAddresses', errand, (bounds) =>
        client.send(new DescribeAddressesCommand({ AllocationIds: [...ids] }), bounds),
      );
      return (answer.Addresses ?? []).map(elasticIPOf);
    },

    async instances(ids, errand) {
      const answers = await pages('DescribeInstances', errand, (next, bounds) =>
        client.send(new DescribeInstancesCommand({ InstanceIds: [...ids], ...next }), bounds),
      );
      return answers
        .flatMap(({ Reservations = [] }) => Reservations.flatMap(({ Instances = [] }) => Instances))
        .map(({ InstanceId = '', State, InstanceType = '', NetworkInterfaces = [] }) => ({
          instanceID: InstanceId,
          state: State?.Name ?? '',
          instanceType: InstanceType,
          networkInterfaceIDs: NetworkInterfaces.flatMap(({ NetworkInterfaceId: id }) => id ?? []),
        }));
    },

    async subnets(ids, errand) {
      const answers = await pages('DescribeSubnets', errand, (next, bounds) =>
        client.send(new DescribeSubnetsCommand({ SubnetIds: [...ids], ...next }), bounds),
      );
      return answers
        .flatMap(({ Subnets = [] }) => Subnets)
        .map(({ SubnetId = '', CidrBlock = '', AvailabilityZone = '' }) => ({
          subnetID: SubnetId,
          cidrBlock: CidrBlock,
          availabilityZone: AvailabilityZone,
        }));
    },

    async securityGroupRules(ids, errand) {
      const Filters = [{ Name: 'group-id', Values: [...ids] }];
      const answers = await pages('DescribeSecurityGroupRules', errand, (next, bounds) =>
        client.send(new DescribeSecurityGroupRulesCommand({ Filters, ...next }), bounds),
      );
      const rules = answers.flatMap(({ SecurityGroupRules = [] }) => SecurityGroupRules);
      return ids.map((groupID) => ({
        groupID,
        rules: rules.filter(({ GroupId }) => GroupId === groupID).flatMap(securityGroupRulesOf),
      }));
    },

    async instanceTypes(names, errand) {
      // A filter, not the list of names: the SDK's type of that list knows only the types of its own day.
      const Filters = [{ Name: 'instance-type', Values: [...names] }];
      const answers = await pages('DescribeInstanceTypes', errand, (next, bounds) =>
        client.send(new DescribeInstanceTypesCommand({ Filters, ...next }), bounds),
      );
      return answers.flatMap(({ InstanceTypes = [] }) => InstanceTypes).flatMap(instanceTypeOf);
    },

    async mayAssociate({ allocationID, networkInterfaceID, privateIPAddress }, errand) {
      const command = new AssociateAddressCommand({
        AllocationId: allocationID,
        NetworkInterfaceId: networkInterfaceID,
        PrivateIpAddress: privateIPAddress,
        AllowReassociation: true,
        DryRun: true,
      });
      try {
        await read('AssociateAddress', errand, (bounds) => client.send(command, bounds));
        return 'Unknown';
      } catch (error) {
        const raw = rawErrorOf(error);
        if (raw.code === 'DryRunOperation') return 'Allowed';
        if (raw.code === 'UnauthorizedOperation') return 'Denied';
        if (raw.httpStatus === 400) return 'Unknown';
        throw error;
      }
    },

    async call(call, signal) {
      const sentAtMs = now();
      const result = await sendCall(client, call, deadline(signal, writeTimeoutMs)).then(
        (): EC2Result => ({ ok: true }),
        (error: unknown): EC2Result => failureOf(rawErrorOf(error)),
      );
      tell(call.action, result, sentAtMs);
      return result;
    },
  };
};
