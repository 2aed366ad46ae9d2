/**
 * EC2 in every Region through the AWS SDK: readings that tell "not there" from "not read", and the calls that move and
 * release addresses.
 *
 * A Region's client is made when the Region is first named. One keep-alive agent and one cache of credentials serve reads
 * and writes alike, so the periodic reads keep both warm for a failover.
 */
import { Agent as HTTPAgent } from 'node:http';
import { Agent as HTTPSAgent } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { EC2Client } from '@aws-sdk/client-ec2';
import { AnswerSizes } from './answer-sizes.ts';
import type { Budget } from './budget.ts';
import { type CredentialsSource, createCredentialsCache, providerOf } from './credentials.ts';
import { failureOf } from './errors.ts';
import { type FactsRequest, readFacts } from './facts.ts';
import { guard } from './guard.ts';
import { inChunks, type Reader } from './read.ts';
import { createRegionRequests, type Errand, type OnAnswer, type RegionRequests } from './region.ts';
import { rawErrorOf } from './shapes.ts';
import { createSharedReads, type SharedReads } from './shared-reads.ts';
import { createTagBook, elasticIPsOn, type TagBook } from './tag-book.ts';
import type {
  CallPurpose,
  EC2Call,
  EC2Facts,
  EC2Result,
  EC2View,
  ElasticIP,
  NetworkInterface,
} from './types.ts';

export type EC2Options = {
  /** Whose default credentials chain is used; its client is the only one that is there from the start. */
  defaultRegion: string;
  /** Of every Region. Default: AWS_ENDPOINT_URL_EC2, else each Region's own. */
  endpoint?: string;
  /** Default: the SDK's chain (environment, profile, instance role). */
  credentials?: CredentialsSource;
  /** Monotonic milliseconds. */
  now: () => number;
  /** Milliseconds since the Unix epoch: credentials end by it. */
  wall: () => number;
  /**
   * Asked as the last step before a mutating request leaves this process (S4); a connection that must be opened first may
   * still take `connectTimeoutMs`. Default: always.
   */
  mayWrite?: () => boolean;
  /** Reads wait here for their turn; mutating calls have been admitted before `call`. Default: no bound. */
  budget?: Pick<Budget, 'take' | 'answered'>;
  /** Told of each request that was answered or given up. Default: nobody is. */
  onAnswer?: OnAnswer;
  /** Default 2,000 ms. */
  connectTimeoutMs?: number;
  /** Default 5,000 ms. */
  readTimeoutMs?: number;
  /** Default 10,000 ms. */
  writeTimeoutMs?: number;
  /** Between two calls of one `Watch`; default 100 ms. */
  watchPauseMs?: number;
};

export type { FactsRequest } from './facts.ts';

/** What to read; ids that EC2 does not know are told from ids that could not be read. */
export type ReadRequest = {
  region: string;
  networkInterfaceIDs: readonly string[];
  allocationIDs: readonly string[];
};

/** As much as could be read, and why the rest could not: the first failure. */
export type ReadResult = { view: EC2View; failure?: EC2Result & { ok: false } };

export type EC2 = {
  /**
   * Reads in chunks; never rejects. Several `Confirm` share calls, so an abort of one may fail another: they pass the same signal. A
   * `Watch` takes the EIPs that the ENIs show from there, with tags read up to some minutes before: DescribeAddresses is asked for
   * the rest alone. It pauses between its calls, and gives up when several in a row fail.
   */
  read(request: ReadRequest, purpose: CallPurpose, signal: AbortSignal): Promise<ReadResult>;
  /** One mutating call, one attempt; never rejects. Its answer is told to the budget. */
  call(region: string, call: EC2Call, signal: AbortSignal): Promise<EC2Result>;
  /** Reads what the preflight rests on, least urgent of all; never rejects. */
  facts(request: FactsRequest, signal: AbortSignal): Promise<EC2Facts>;
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

/** As many failovers may be under way at once as a full bucket lets through, and some reads beside them. */
const MOST_CONNECTIONS = 128;

type Region = {
  client: EC2Client;
  requests: RegionRequests;
  tags: TagBook;
  sizes: AnswerSizes;
  /** For `Confirm`: many may wait for the same things. */
  shared: { interfaces: SharedReads<NetworkInterface, Errand>; addresses: SharedReads<ElasticIP, Errand> };
};

const interfacesReader = (
  { requests, sizes }: Pick<Region, 'requests' | 'sizes'>,
  errand: Errand,
): Reader<NetworkInterface> => ({
  async read(ids) {
    const interfaces = await requests.networkInterfaces(ids, errand);
    for (const { networkInterfaceID, privateIPAddresses } of interfaces)
      sizes.learn(networkInterfaceID, privateIPAddresses.length);
    return interfaces;
  },
  idOf: ({ networkInterfaceID }) => networkInterfaceID,
  weigh: (id) => sizes.of(id),
  missingCodes: MISSING_INTERFACE,
  rawErrorOf,
});

const addressesReader = (requests: RegionRequests, errand: Errand): Reader<ElasticIP> => ({
  read: (ids) => requests.addresses(ids, errand),
  idOf: ({ allocationID }) => allocationID,
  missingCodes: MISSING_ADDRESS,
  rawErrorOf,
});

/** Opens nothing yet: the first read connects and fetches credentials. */
export const createEC2 = (options: EC2Options): EC2 => {
  const { endpoint, now, wall, budget, onAnswer, mayWrite = () => true } = options;
  const { readTimeoutMs = 5_000, writeTimeoutMs = 10_000, connectTimeoutMs = 2_000 } = options;
  const { watchPauseMs = 100 } = options;
  const timeouts = { readTimeoutMs, writeTimeoutMs, connectTimeoutMs };
  const httpAgent = new HTTPAgent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  const httpsAgent = new HTTPSAgent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  const chain = new EC2Client({ region: options.defaultRegion });
  const cache = createCredentialsCache(
    options.credentials ?? (() => chain.config.credentials({ forceRefresh: true })),
    wall,
  );
  const regions = new Map<string, Region>();

  const open = (region: string): Region => {
    const client = new EC2Client({
      region,
      ...(endpoint !== undefined && { endpoint }),
      credentials: providerOf(cache),
      maxAttempts: 1,
      requestHandler: {
        httpAgent,
        httpsAgent,
        connectionTimeout: connectTimeoutMs,
        requestTimeout: readTimeoutMs,
        throwOnRequestTimeout: true,
      },
    });
    guard(client, mayWrite);
    const onCredentialsInvalid = () => cache.reject();
    const requests = createRegionRequests({
      region,
      client,
      timeouts,
      now,
      onCredentialsInvalid,
      ...(budget && { budget }),
      ...(onAnswer && { onAnswer }),
    });
    const sizes = new AnswerSizes();
    const shared = {
      interfaces: createSharedReads((errand: Errand) => interfacesReader({ requests, sizes }, errand)),
      addresses: createSharedReads((errand: Errand) => addressesReader(requests, errand)),
    };
    return { client, requests, tags: createTagBook(), sizes, shared };
  };

  const regionOf = (name: string): Region => {
    const region = regions.get(name) ?? open(name);
    regions.set(name, region);
    return region;
  };

  /** ENIs first: where they show an EIP, it need not be asked for. */
  const watch = async (region: Region, request: ReadRequest, errand: Errand) => {
    const { requests, tags, sizes } = region;
    sizes.keep(new Set(request.networkInterfaceIDs));
    // Nobody waits for it, and a failover that comes meanwhile should not wait for it either.
    const leisurely = {
      concurrency: 1,
      // An abort ends the pause, and then the next call.
      pause: () => setTimeout(watchPauseMs, undefined, { signal: errand.signal }).catch(() => undefined),
    };
    const interfaces = await inChunks(request.networkInterfaceIDs, {
      ...interfacesReader(region, errand),
      ...leisurely,
    });
    const shown = elasticIPsOn(Object.values(interfaces.found), tags);
    const others = new Set(request.allocationIDs.filter((id) => !shown.has(id)));
    for (const id of tags.oldest(request.allocationIDs)) others.add(id);
    const addresses = await inChunks([...others], { ...addressesReader(requests, errand), ...leisurely });
    tags.learn(addresses.found);
    const found: Record<string, ElasticIP | null> = { ...addresses.found };
    for (const id of request.allocationIDs) {
      const elasticIP = shown.get(id);
      if (found[id] === undefined && elasticIP) found[id] = elasticIP;
    }
    return { interfaces, addresses: { ...addresses, found } };
  };

  const ask = async (region: Region, request: ReadRequest, errand: Errand) => {
    const { shared, requests, tags } = region;
    const { networkInterfaceIDs, allocationIDs } = request;
    const isShared = errand.purpose === 'Confirm';
    const [interfaces, addresses] = await Promise.all([
      isShared
        ? shared.interfaces.read(networkInterfaceIDs, errand)
        : inChunks(networkInterfaceIDs, interfacesReader(region, errand)),
      isShared
        ? shared.addresses.read(allocationIDs, errand)
        : inChunks(allocationIDs, addressesReader(requests, errand)),
    ]);
    tags.learn(addresses.found);
    return { interfaces, addresses };
  };

  return {
    async read(request, purpose, signal) {
      const readAtMs = now();
      const region = regionOf(request.region);
      const errand = { purpose, signal };
      const reading = purpose === 'Watch' ? watch : ask;
      const { interfaces, addresses } = await reading(region, request, errand);
      const failure = interfaces.failure ?? addresses.failure;
      const view = { readAtMs, networkInterfaces: interfaces.found, elasticIPs: addresses.found };
      return { view, ...(failure && { failure: failureOf(failure) }) };
    },

    call: (region, call, signal) => regionOf(region).requests.call(call, signal),

    facts: (request, signal) =>
      readFacts(regionOf(request.region).requests, request, { purpose: 'Preflight', signal }, now()),

    close() {
      for (const { client } of regions.values()) client.destroy();
      chain.destroy();
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
};
