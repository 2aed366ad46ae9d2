/**
 * EC2 through the AWS SDK: readings that tell "not there" from "not read", and the two calls that move addresses.
 *
 * Every request has a deadline of its own and one attempt: the operator's loop retries, knowing what else is urgent. One
 * keep-alive agent serves reads and writes, so the periodic reads keep connection and credentials warm for a failover. An
 * account-wide budget by action (EC2 Developer Guide, "Request throttling") belongs between the loop and this file.
 */
import { Agent as HTTPAgent } from 'node:http';
import { Agent as HTTPSAgent } from 'node:https';
import {
  type Address,
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DescribeNetworkInterfacesCommand,
  DisassociateAddressCommand,
  EC2Client,
  type EC2ClientConfig,
  type NetworkInterface as SDKNetworkInterface,
  type Tag,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import { failureOf, type RawError } from './errors.ts';
import { inChunks } from './read.ts';
import type { EC2Call, EC2Result, EC2View, ElasticIP, NetworkInterface } from './types.ts';

export type EC2Options = {
  region: string;
  /** Default: AWS_ENDPOINT_URL_EC2, else the Region's. */
  endpoint?: string;
  /** Default: the SDK's chain (environment, profile, instance role). */
  credentials?: NonNullable<EC2ClientConfig['credentials']>;
  /** Monotonic milliseconds. */
  now: () => number;
  /** Default 2,000 ms. */
  connectTimeoutMs?: number;
  /** Default 5,000 ms. */
  readTimeoutMs?: number;
  /** Default 10,000 ms. */
  writeTimeoutMs?: number;
};

/** What to read; ids that EC2 does not know are told from ids that could not be read. */
export type ReadRequest = { networkInterfaceIDs: readonly string[]; allocationIDs: readonly string[] };

/** As much as could be read, and why the rest could not: the first failure. */
export type ReadResult = { view: EC2View; failure?: EC2Result & { ok: false } };

export type EC2 = {
  /** Reads in chunks; never rejects. */
  read(request: ReadRequest, signal: AbortSignal): Promise<ReadResult>;
  /** One mutating call, one attempt; never rejects. */
  call(call: EC2Call, signal: AbortSignal): Promise<EC2Result>;
  close(): void;
};

const MISSING_INTERFACE = [
  'InvalidNetworkInterfaceID.NotFound',
  'InvalidNetworkInterfaceId.Malformed',
  'InvalidNetworkInterfaceID.Malformed',
];
const MISSING_ADDRESS = [
  'InvalidAllocationID.NotFound',
  'InvalidAllocationID.Malformed',
  'InvalidAddressID.NotFound',
  'InvalidAddress.NotFound',
];

/** Reduces what the SDK or the socket threw; an error without an HTTP answer goes by the system's word. */
export const rawErrorOf = (error: unknown): RawError => {
  const { name, code, message, $metadata } = error as {
    name?: string;
    code?: unknown;
    message?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const httpStatus = $metadata?.httpStatusCode;
  const word = httpStatus === undefined && typeof code === 'string' ? code : (name ?? 'Error');
  const text = message === undefined || message === '' ? word : message;
  return { code: word, message: text, ...(httpStatus !== undefined && { httpStatus }) };
};

const tagsOf = (tags: readonly Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));

const networkInterfaceOf = (each: SDKNetworkInterface): NetworkInterface => ({
  networkInterfaceID: each.NetworkInterfaceId ?? '',
  subnetID: each.SubnetId ?? '',
  availabilityZone: each.AvailabilityZone ?? '',
  ...(each.Attachment?.InstanceId !== undefined && { instanceID: each.Attachment.InstanceId }),
  status: each.Status ?? '',
  sourceDestCheck: each.SourceDestCheck ?? true,
  securityGroupIDs: (each.Groups ?? []).flatMap(({ GroupId }) => (GroupId === undefined ? [] : [GroupId])),
  tags: tagsOf(each.TagSet),
  privateIPAddresses: (each.PrivateIpAddresses ?? []).map(({ PrivateIpAddress, Primary, Association }) => ({
    privateIPAddress: PrivateIpAddress ?? '',
    primary: Primary ?? false,
    ...(Association?.PublicIp !== undefined && {
      association: {
        publicIP: Association.PublicIp,
        ...(Association.AllocationId !== undefined && { allocationID: Association.AllocationId }),
        ...(Association.AssociationId !== undefined && { associationID: Association.AssociationId }),
      },
    }),
  })),
});

const elasticIPOf = (each: Address): ElasticIP => ({
  allocationID: each.AllocationId ?? '',
  publicIP: each.PublicIp ?? '',
  ...(each.AssociationId !== undefined && { associationID: each.AssociationId }),
  ...(each.NetworkInterfaceId !== undefined && { networkInterfaceID: each.NetworkInterfaceId }),
  ...(each.PrivateIpAddress !== undefined && { privateIPAddress: each.PrivateIpAddress }),
  tags: tagsOf(each.Tags),
});

/** Opens nothing yet: the first read connects and fetches credentials. */
export const createEC2 = (options: EC2Options): EC2 => {
  const { readTimeoutMs = 5_000, writeTimeoutMs = 10_000, connectTimeoutMs = 2_000 } = options;
  const httpAgent = new HTTPAgent({ keepAlive: true, maxSockets: 64 });
  const httpsAgent = new HTTPSAgent({ keepAlive: true, maxSockets: 64 });
  const client = new EC2Client({
    region: options.region,
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    ...(options.credentials !== undefined && { credentials: options.credentials }),
    maxAttempts: 1,
    requestHandler: {
      httpAgent,
      httpsAgent,
      connectionTimeout: connectTimeoutMs,
      requestTimeout: readTimeoutMs,
      throwOnRequestTimeout: true,
    },
  });

  /** The SDK's own timeout bounds the request; this one also bounds fetching credentials before it. */
  const deadline = (signal: AbortSignal, timeoutMs: number) => ({
    requestTimeout: timeoutMs,
    abortSignal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs + connectTimeoutMs)]),
  });

  const readInterfaces = async (ids: readonly string[], signal: AbortSignal): Promise<NetworkInterface[]> => {
    const found: NetworkInterface[] = [];
    let NextToken: string | undefined;
    do {
      const page = { NetworkInterfaceIds: [...ids], ...(NextToken !== undefined && { NextToken }) };
      const answer = await client.send(
        new DescribeNetworkInterfacesCommand(page),
        deadline(signal, readTimeoutMs),
      );
      found.push(...(answer.NetworkInterfaces ?? []).map(networkInterfaceOf));
      NextToken = answer.NextToken;
    } while (NextToken);
    return found;
  };

  const readAddresses = async (ids: readonly string[], signal: AbortSignal): Promise<ElasticIP[]> => {
    const command = new DescribeAddressesCommand({ AllocationIds: [...ids] });
    const answer = await client.send(command, deadline(signal, readTimeoutMs));
    return (answer.Addresses ?? []).map(elasticIPOf);
  };

  const send = async (call: EC2Call, signal: AbortSignal): Promise<void> => {
    const bounds = deadline(signal, writeTimeoutMs);
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

  return {
    async read({ networkInterfaceIDs, allocationIDs }, signal) {
      const readAtMs = options.now();
      const [interfaces, addresses] = await Promise.all([
        inChunks(networkInterfaceIDs, {
          read: (ids) => readInterfaces(ids, signal),
          idOf: ({ networkInterfaceID }) => networkInterfaceID,
          missingCodes: MISSING_INTERFACE,
          rawErrorOf,
        }),
        inChunks(allocationIDs, {
          read: (ids) => readAddresses(ids, signal),
          idOf: ({ allocationID }) => allocationID,
          missingCodes: MISSING_ADDRESS,
          rawErrorOf,
        }),
      ]);
      const failure = interfaces.failure ?? addresses.failure;
      const view = { readAtMs, networkInterfaces: interfaces.found, elasticIPs: addresses.found };
      return { view, ...(failure && { failure: failureOf(failure) }) };
    },

    async call(call, signal) {
      try {
        await send(call, signal);
        return { ok: true };
      } catch (error) {
        return failureOf(rawErrorOf(error));
      }
    },

    close() {
      client.destroy();
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
};
