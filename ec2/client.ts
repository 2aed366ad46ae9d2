/**
 * EC2 in every Region, above its API (api.ts): readings that tell "not there" from "not read", and the calls that move and
 * release addresses.
 */
import { type Clock, sleep } from '../runtime/clock.ts';
import type { EC2Call } from './actions.ts';
import { AnswerSizes } from './answer-sizes.ts';
import type { EC2API } from './api.ts';
import type { Budget } from './budget.ts';
import { failureOf } from './errors.ts';
import { type FactsRequest, readFacts } from './facts.ts';
import { inChunks, type Reader } from './read.ts';
import { createRegionRequests, type Errand, type OnAnswer, type RegionRequests } from './region.ts';
import { rawErrorOf } from './shapes.ts';
import { createSharedReads, type SharedReads } from './shared-reads.ts';
import { createTagBook, elasticIPsOn, type TagBook } from './tag-book.ts';
import type { CallPurpose, EC2Facts, EC2Result, EC2View, ElasticIP, NetworkInterface } from './types.ts';

export type EC2Options = {
  api: EC2API;
  clock: Pick<Clock, 'now' | 'setTimer'>;
  /** Reads wait here for their turn; mutating calls have been admitted before `call`. Default: no bound. */
  budget?: Pick<Budget, 'take' | 'answered'>;
  /** Told of each request that was answered or given up. Default: nobody is. */
  onAnswer?: OnAnswer;
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

type Region = {
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

/** Asks nothing yet. */
export const createEC2 = (options: EC2Options): EC2 => {
  const { api, clock, budget, onAnswer, watchPauseMs = 100 } = options;
  const timeouts = { readMs: options.readTimeoutMs ?? 5_000, writeMs: options.writeTimeoutMs ?? 10_000 };
  const regions = new Map<string, Region>();

  const open = (region: string): Region => {
    const requests = createRegionRequests({
      region,
      api,
      timeouts,
      now: clock.now,
      ...(budget && { budget }),
      ...(onAnswer && { onAnswer }),
    });
    const sizes = new AnswerSizes();
    const shared = {
      interfaces: createSharedReads((errand: Errand) => interfacesReader({ requests, sizes }, errand)),
      addresses: createSharedReads((errand: Errand) => addressesReader(requests, errand)),
    };
    return { requests, tags: createTagBook(), sizes, shared };
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
      pause: () => sleep(clock, watchPauseMs, errand.signal),
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
      const readAtMs = clock.now();
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
      readFacts(regionOf(request.region).requests, request, { purpose: 'Preflight', signal }, clock.now()),

    close: () => api.close(),
  };
};
