/**
 * The AWS SDK behind EC2's API. A Region's client is made when the Region is first named. One keep-alive agent and one cache of
 * credentials serve reads and writes alike, so the periodic reads keep both warm for a failover.
 */
import { Agent as HTTPAgent } from 'node:http';
import { Agent as HTTPSAgent } from 'node:https';
import {
  type $Command,
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSubnetsCommand,
  DisassociateAddressCommand,
  EC2Client,
  type EC2ClientResolvedConfig,
  type ServiceInputTypes,
  type ServiceOutputTypes,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import type { EC2Action } from './actions.ts';
import type { EC2API, EC2Connection, EC2Input, EC2Output } from './api.ts';
import { type CredentialsSource, createCredentialsCache, providerOf } from './credentials.ts';
import { classify } from './errors.ts';
import { guard } from './guard.ts';
import { rawErrorOf } from './shapes.ts';

/** How the SDK reaches EC2, and with whose credentials. */
export type SDKOptions = EC2Connection & {
  /** Whose default credentials chain is used; its client is the only one that is there from the start. */
  defaultRegion: string;
  /** Of every Region. Default: AWS_ENDPOINT_URL_EC2, else each Region's own. */
  endpoint?: string;
  /** Default: the SDK's chain (environment, profile, instance role). */
  credentials?: CredentialsSource;
  /** Milliseconds since the Unix epoch: credentials end by it. */
  wall: () => number;
  /** Default 2,000 ms. */
  connectTimeoutMs?: number;
};

/** As many failovers may be under way at once as a full bucket lets through, and some reads beside them. */
const MOST_CONNECTIONS = 128;

/** What the SDK bounds one request by. */
type HTTPOptions = { requestTimeout: number; abortSignal: AbortSignal };

type Sender<Input, Output> = (client: EC2Client, input: Input, options: HTTPOptions) => Promise<Output>;

const sender =
  <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    Command: new (
      input: Input,
    ) => $Command<Input, Output, EC2ClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes>,
  ): Sender<Input, Output> =>
  (client, input, options) =>
    client.send(new Command(input), options);

/** Named one by one, so that a bundle holds these commands alone. */
const SENDERS: { [A in EC2Action]: Sender<EC2Input<A>, EC2Output<A>> } = {
  AssignPrivateIpAddresses: sender(AssignPrivateIpAddressesCommand),
  AssociateAddress: sender(AssociateAddressCommand),
  UnassignPrivateIpAddresses: sender(UnassignPrivateIpAddressesCommand),
  DisassociateAddress: sender(DisassociateAddressCommand),
  DescribeNetworkInterfaces: sender(DescribeNetworkInterfacesCommand),
  DescribeAddresses: sender(DescribeAddressesCommand),
  DescribeInstances: sender(DescribeInstancesCommand),
  DescribeSubnets: sender(DescribeSubnetsCommand),
  DescribeSecurityGroupRules: sender(DescribeSecurityGroupRulesCommand),
  DescribeInstanceTypes: sender(DescribeInstanceTypesCommand),
};

/** Opens nothing yet: the first request connects and fetches credentials. */
export const connectSDK = (options: SDKOptions): EC2API => {
  const { endpoint, wall, mayWrite = () => true, connectTimeoutMs = 2_000 } = options;
  const httpAgent = new HTTPAgent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  const httpsAgent = new HTTPSAgent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  const chain = new EC2Client({ region: options.defaultRegion });
  const cache = createCredentialsCache(
    options.credentials ?? (() => chain.config.credentials({ forceRefresh: true })),
    wall,
  );
  const clients = new Map<string, EC2Client>();

  const open = (region: string): EC2Client => {
    const client = new EC2Client({
      region,
      ...(endpoint !== undefined && { endpoint }),
      credentials: providerOf(cache),
      maxAttempts: 1,
      requestHandler: {
        httpAgent,
        httpsAgent,
        connectionTimeout: connectTimeoutMs,
        throwOnRequestTimeout: true,
      },
    });
    guard(client, mayWrite);
    clients.set(region, client);
    return client;
  };

  return {
    async send(region, action, input, { timeoutMs, signal }) {
      // The SDK's own timeout bounds the request; the signal also bounds fetching credentials before it.
      const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs + connectTimeoutMs)]);
      try {
        const client = clients.get(region) ?? open(region);
        return await SENDERS[action](client, input, { requestTimeout: timeoutMs, abortSignal });
      } catch (error) {
        if (classify(rawErrorOf(error)) === 'CredentialsInvalid') cache.reject();
        throw error;
      }
    },
    close() {
      for (const client of clients.values()) client.destroy();
      chain.destroy();
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
};
