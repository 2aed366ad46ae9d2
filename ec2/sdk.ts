/**
 * The AWS SDK behind EC2's API. A Region's client is made when the Region is first named. One keep-alive agent and one cache of
 * credentials serve reads and writes alike, so the periodic reads keep both warm for a failover.
 */
import { Agent as HTTPAgent } from 'node:http';
import { Agent as HTTPSAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
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
import type { Clock } from '../runtime/clock.ts';
import { inTime } from '../runtime/in-time.ts';
import { plainText } from '../runtime/plain-text.ts';
import type { EC2Action } from './actions.ts';
import type { EC2API, EC2Connection, EC2Input, EC2Output } from './api.ts';
import {
  type CredentialsSource,
  createCredentialsCache,
  FETCH_MS,
  NoCredentialsError,
  providerOf,
} from './credentials.ts';
import { classify } from './errors.ts';
import { guard } from './guard.ts';
import { rawErrorOf } from './shapes.ts';

/** How the SDK reaches EC2, and with whose credentials. */
export type SDKOptions = EC2Connection & {
  /** Whose default credentials chain is used. */
  defaultRegion: string;
  /** Of every Region. Default: AWS_ENDPOINT_URL_EC2, else each Region's own. */
  endpoint?: string;
  /** Default: the SDK's chain (environment, profile, instance role). */
  credentials?: CredentialsSource;
  clock: Clock;
  /** Told when credentials cannot be renewed while the old ones are still good. Default: nobody is. */
  onNotRenewed?: (error: Error) => void;
  /** Default 2,000 ms. */
  connectTimeoutMs?: number;
  /** Of the endpoints' names. Default: Node's own, which waits in libuv's threads. */
  lookup?: LookupFunction;
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

/** The SDK's chain. A client of its own each time: the SDK joins those who ask a client while it waits, also for ever. */
const chainOf =
  (region: string, connectionTimeout: number, lookup: LookupFunction | undefined): CredentialsSource =>
  async (signal) => {
    const agent = { ...(lookup && { lookup }) };
    const requestHandler = {
      ...{ httpAgent: agent, httpsAgent: agent },
      ...{ connectionTimeout, requestTimeout: FETCH_MS, throwOnRequestTimeout: true },
    };
    const client = new EC2Client({ region, requestHandler });
    signal.addEventListener('abort', () => client.destroy(), { once: true });
    try {
      return await client.config.credentials();
    } finally {
      client.destroy();
    }
  };

/** Whose credentials the chain brings, and where to look when it does not. */
const whoseCredentials = ({ AWS_ROLE_ARN: role }: NodeJS.ProcessEnv): string =>
  role === undefined || role === ''
    ? "look at the operator's role and its trust policy"
    : `role ${plainText(role)}: look at its trust policy`;

/** Opens nothing yet: the first request connects and fetches credentials. */
export const connectSDK = (options: SDKOptions): EC2API => {
  const { endpoint, clock, mayWrite = () => true, connectTimeoutMs = 2_000, lookup } = options;
  const agentOptions = { keepAlive: true, maxSockets: MOST_CONNECTIONS, ...(lookup && { lookup }) };
  const httpAgent = new HTTPAgent(agentOptions);
  const httpsAgent = new HTTPSAgent(agentOptions);
  const whose = whoseCredentials(process.env);
  const source = options.credentials ?? chainOf(options.defaultRegion, connectTimeoutMs, lookup);
  const cache = createCredentialsCache({ source, clock, whose, onNotRenewed: options.onNotRenewed });
  const clients = new Map<string, EC2Client>();
  /** Regions that have accepted credentials of ours: one that is not enabled for the account refuses all. */
  const accepting = new Set<string>();

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

  /** Not left to the SDK: it waits for them whatever the signal says. */
  const identify = async (deadline: AbortSignal, signal: AbortSignal) => {
    try {
      return await inTime(cache.get(), deadline);
    } catch (error) {
      const isLate = error === deadline.reason && !signal.aborted;
      throw isLate ? new NoCredentialsError(whose, new Error('their source is slow')) : error;
    }
  };

  return {
    async send(region, action, input, { timeoutMs, signal }) {
      // The SDK's own timeout bounds the request; this signal also what comes before it.
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs + connectTimeoutMs)]);
      const client = clients.get(region) ?? open(region);
      const credentials = await identify(deadline, signal);
      try {
        const bounds = { requestTimeout: timeoutMs, abortSignal: deadline };
        const answer = await inTime(SENDERS[action](client, input, bounds), deadline);
        accepting.add(region);
        return answer;
      } catch (error) {
        const raw = rawErrorOf(error);
        if (classify(raw) === 'CredentialsInvalid')
          cache.reject(credentials, raw.code !== 'AuthFailure' || accepting.has(region));
        else if (raw.httpStatus !== undefined && raw.httpStatus < 500) accepting.add(region);
        throw error;
      }
    },
    close() {
      for (const client of clients.values()) client.destroy();
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
};
