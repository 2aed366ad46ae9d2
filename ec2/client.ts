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
import { MissingIDs } from './missing.ts';
import { type Found, inChunks, type Reader } from './read.ts';
import {
  type By,
  createRegionRequests,
  type Errand,
  type Holders,
  type OnAnswer,
  type RegionRequests,
} from './region.ts';
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
  /** Readers of one share take turns with those of the others, whatever their number. Default: all are of one. */
  share?: string;
};

/** As much as could be read, and why the rest could not: the first failure. */
export type ReadResult = {
  view: Omit<EC2View, 'holders'>;
  failure?: EC2Result & { ok: false };
  /** Of the ids in `view`, how many were known not to exist, and not asked for again. Default 0. */
  remembered?: number;
};

/** Of which private addresses it is asked who has them. */
export type HoldersRequest = Pick<ReadRequest, 'region' | 'share'> & {
  privateIPAddresses: readonly string[];
};

/** By private address, the ENIs that have it; one that is no key could not be read, and `failure` says why. */
export type HoldersResult = { holders: EC2View['holders']; failure?: EC2Result & { ok: false } };

export type EC2 = {
  /**
   * Reads in chunks; never rejects. Several `Confirm` and `Look` share calls, so an abort of one may fail another: they pass the same signal. A
   * `Watch` takes the EIPs that the ENIs show from there, with tags read up to some minutes before: DescribeAddresses is asked for
   * the rest alone. It pauses between its calls, and gives up when several in a row fail. It alone looks whether what is known not to
   * exist does by now, and ever less often.
   */
  read(request: ReadRequest, purpose: CallPurpose, signal: AbortSignal): Promise<ReadResult>;
  /** Reads in chunks which ENIs of a Region have private addresses; shared as above; never rejects. */
  holders(request: HoldersRequest, purpose: CallPurpose, signal: AbortSignal): Promise<HoldersResult>;
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
  missing: { interfaces: MissingIDs; addresses: MissingIDs };
  /** For `Confirm` and `Look`: many may wait for the same things. */
  shared: {
    interfaces: SharedReads<NetworkInterface, Errand>;
    addresses: SharedReads<ElasticIP, Errand>;
    holders: SharedReads<Holders, Errand>;
  };
};

const interfacesReader = (
  { requests, sizes }: Pick<Region, 'requests' | 'sizes'>,
  errand: Errand,
): Reader<NetworkInterface> => {
  const read = async (ids: readonly string[], by: By): Promise<NetworkInterface[]> => {
    const interfaces = await requests.networkInterfaces(ids, errand, by);
    // What is not there makes no answer larger.
    if (by === 'Filter') for (const id of ids) sizes.learn(id, 0);
    for (const { networkInterfaceID, privateIPAddresses } of interfaces)
      sizes.learn(networkInterfaceID, privateIPAddresses.length);
    return interfaces;
  };
  return {
    read: (ids) => read(ids, 'ID'),
    select: (ids) => read(ids, 'Filter'),
    idOf: ({ networkInterfaceID }) => networkInterfaceID,
    weigh: (id) => sizes.of(id),
    missingCodes: MISSING_INTERFACE,
    rawErrorOf,
  };
};

const addressesReader = (requests: RegionRequests, errand: Errand): Reader<ElasticIP> => ({
  read: (ids) => requests.addresses(ids, errand),
  select: (ids) => requests.addresses(ids, errand, 'Filter'),
  idOf: ({ allocationID }) => allocationID,
  missingCodes: MISSING_ADDRESS,
  rawErrorOf,
});

/** Asked for by filter, these fail nobody's request; what the answer leaves out is as it was. */
const lookAgain = async <T>(ids: readonly string[], reader: Reader<T>): Promise<Found<T>> => {
  const { select, ...others } = reader;
  const { found, failure } = await inChunks(ids, { ...others, ...(select && { read: select }) });
  if (failure) return { found, failure };
  return { found: Object.fromEntries(ids.map((id) => [id, found[id] ?? null])) };
};

/**
 * Reads `ids`, those that are known not to exist apart.
 * @param mayLook whether these may exist by now is asked, when it is time
 */
const apart = async <T>(
  ids: readonly string[],
  {
    missing,
    reader,
    nowMs,
    mayLook,
  }: { missing: MissingIDs; reader: Reader<T>; nowMs: number; mayLook: boolean },
  readOthers: (ids: readonly string[]) => Promise<Found<T>>,
): Promise<Found<T> & { remembered: number }> => {
  const known = ids.filter((id) => missing.has(id));
  const due = mayLook ? known.filter((id) => missing.isDue(id, nowMs)) : [];
  const others = await readOthers(ids.filter((id) => !missing.has(id)));
  const looked: Found<T> = due.length > 0 ? await lookAgain(due, reader) : { found: {} };
  missing.learn({ ...others.found, ...looked.found }, nowMs);
  const remembered = Object.fromEntries(known.map((id) => [id, null]));
  const failure = others.failure ?? looked.failure;
  return {
    found: { ...remembered, ...looked.found, ...others.found },
    remembered: known.filter((id) => !(id in looked.found)).length,
    ...(failure && { failure }),
  };
};

/** Those of a pair that serves, or should, go first. */
const turnOf = ({ purpose, share = '' }: Errand) => ({ isUrgent: purpose === 'Confirm', share });
/** A filter finds nothing where nobody has an address: none is ever missing. */
const holdersReader = (requests: RegionRequests, errand: Errand): Reader<Holders> => ({
  read: (addresses) => requests.holders(addresses, errand),
  idOf: ({ address }) => address,
  missingCodes: [],
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
      interfaces: createSharedReads(
        (errand: Errand) => interfacesReader({ requests, sizes }, errand),
        turnOf,
      ),
      addresses: createSharedReads((errand: Errand) => addressesReader(requests, errand), turnOf),
      holders: createSharedReads((errand: Errand) => holdersReader(requests, errand), turnOf),
    };
    const missing = { interfaces: new MissingIDs(), addresses: new MissingIDs() };
    return { requests, tags: createTagBook(), sizes, missing, shared };
  };

  const regionOf = (name: string): Region => {
    const region = regions.get(name) ?? open(name);
    regions.set(name, region);
    return region;
  };

  /** ENIs first: where they show an EIP, it need not be asked for. */
  const watch = async (region: Region, request: ReadRequest, errand: Errand) => {
    const { requests, tags, missing } = region;
    const nowMs = clock.now();
    // Nobody waits for it, and a failover that comes meanwhile should not wait for it either.
    const leisurely = {
      concurrency: 1,
      // An abort ends the pause, and then the next call.
      pause: () => sleep(clock, watchPauseMs, errand.signal),
    };
    const ofInterfaces = { ...interfacesReader(region, errand), ...leisurely };
    const ofAddresses = { ...addressesReader(requests, errand), ...leisurely };
    const interfaces = await apart(
      request.networkInterfaceIDs,
      { missing: missing.interfaces, reader: ofInterfaces, nowMs, mayLook: true },
      (ids) => inChunks(ids, ofInterfaces),
    );
    const shown = elasticIPsOn(Object.values(interfaces.found), (id) => tags.of(id, nowMs));
    const others = new Set(request.allocationIDs.filter((id) => !shown.has(id)));
    for (const id of tags.due(nowMs)) others.add(id);
    const addresses = await apart(
      [...others],
      { missing: missing.addresses, reader: ofAddresses, nowMs, mayLook: true },
      (ids) => inChunks(ids, ofAddresses),
    );
    tags.learn(addresses.found, nowMs);
    const found: Record<string, ElasticIP | null> = { ...addresses.found };
    for (const id of request.allocationIDs) {
      const elasticIP = shown.get(id);
      if (found[id] === undefined && elasticIP) found[id] = elasticIP;
    }
    return { interfaces, addresses: { ...addresses, found } };
  };

  const ask = async (region: Region, request: ReadRequest, errand: Errand) => {
    const { shared, requests, tags, missing } = region;
    const { networkInterfaceIDs, allocationIDs } = request;
    const nowMs = clock.now();
    const ofInterfaces = interfacesReader(region, errand);
    const ofAddresses = addressesReader(requests, errand);
    const [interfaces, addresses] = await Promise.all([
      apart(
        networkInterfaceIDs,
        { missing: missing.interfaces, reader: ofInterfaces, nowMs, mayLook: false },
        (ids) => shared.interfaces.read(ids, errand),
      ),
      apart(
        allocationIDs,
        { missing: missing.addresses, reader: ofAddresses, nowMs, mayLook: false },
        (ids) => shared.addresses.read(ids, errand),
      ),
    ]);
    tags.learn(addresses.found, nowMs);
    return { interfaces, addresses };
  };

  /** What somebody wants to know now, whatever was known. */
  const askAnew = async (region: Region, request: ReadRequest, errand: Errand) => {
    const [interfaces, addresses] = await Promise.all([
      inChunks(request.networkInterfaceIDs, interfacesReader(region, errand)),
      inChunks(request.allocationIDs, addressesReader(region.requests, errand)),
    ]);
    return { interfaces: { ...interfaces, remembered: 0 }, addresses: { ...addresses, remembered: 0 } };
  };

  const readingFor = (purpose: CallPurpose): typeof ask => {
    if (purpose === 'Watch') return watch;
    return purpose === 'Confirm' || purpose === 'Look' ? ask : askAnew;
  };

  return {
    async read(request, purpose, signal) {
      const readAtMs = clock.now();
      const region = regionOf(request.region);
      const { share } = request;
      const errand = { purpose, signal, ...(share !== undefined && { share }) };
      const { interfaces, addresses } = await readingFor(purpose)(region, request, errand);
      const failure = interfaces.failure ?? addresses.failure;
      const view = { readAtMs, networkInterfaces: interfaces.found, elasticIPs: addresses.found };
      const remembered = interfaces.remembered + addresses.remembered;
      return { view, remembered, ...(failure && { failure: failureOf(failure) }) };
    },

    async holders({ region, privateIPAddresses, share }, purpose, signal) {
      const { requests, shared } = regionOf(region);
      const errand = { purpose, signal, ...(share !== undefined && { share }) };
      const { found, failure } = await (purpose === 'Watch'
        ? inChunks(privateIPAddresses, { ...holdersReader(requests, errand), concurrency: 1 })
        : shared.holders.read(privateIPAddresses, errand));
      const holders = Object.fromEntries(
        Object.values(found).flatMap((each) => (each ? [[each.address, each.networkInterfaces]] : [])),
      );
      return { holders, ...(failure && { failure: failureOf(failure) }) };
    },

    call: (region, call, signal) => regionOf(region).requests.call(call, signal),

    facts: (request, signal) =>
      readFacts(regionOf(request.region).requests, request, { purpose: 'Preflight', signal }, clock.now()),

    close: () => api.close(),
  };
};
