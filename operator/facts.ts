/**
 * Keeps what the preflight rests on: read for all pairs together every five minutes, and soon for a pair of which something
 * is not known. A reading that fails erases nothing. Never while addresses are being moved: these reads can wait.
 */
import type { EC2, FactsRequest } from '../ec2/client.ts';
import type { EC2Facts, EC2View } from '../ec2/types.ts';
import type { Key } from '../kube/types.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { createInterner, internAll, isSame } from './intern.ts';
import type { EC2Scope } from './plan/types.ts';

/** A pair as far as its facts depend on it. */
export type FactsSubject = { key: Key; scope: EC2Scope; view: EC2View | undefined };

type FactsOptions = {
  ec2: Pick<EC2, 'facts'>;
  clock: Clock;
  random: () => number;
  signal: AbortSignal;
  /** A call that moves addresses is under way or waits for its turn. */
  isMoving: () => boolean;
  /** All pairs. */
  subjects: () => readonly FactsSubject[];
  /** What is known of a Region has grown or changed. Must not reject. */
  onRead: (region: string) => Promise<void>;
  /** Default 300,000 ms, with 10 % jitter. */
  intervalMs?: number;
};

export type FactsKeeper = {
  /** What is known of a pair; absent: nothing yet. The same object as before while nothing changed. */
  of(subject: FactsSubject): EC2Facts | undefined;
  /** A pair's view is new or changed: what it needs and nobody knows is read soon. */
  observe(subject: FactsSubject): void;
  forget(key: Key): void;
  /** Reads until the signal aborts. */
  run(): Promise<void>;
};

/** Pairs that appear within this time share a reading. */
const SOON_MS = 2_000;
/** Between two readings, also if what was asked for stays unknown. */
const LEAST_GAP_MS = 10_000;
/** How often it is looked whether addresses are still being moved. */
const QUIET_MS = 1_000;
/** DryRuns in one request; between two, failovers are looked for. */
const DRY_RUNS = 20;
/** DryRuns in one periodic reading: at most one each second of it, of the five that EC2 allows. */
const DRY_RUNS_A_ROUND = 300;

type Known = Omit<EC2Facts, 'failure'> & { failure: EC2Facts['failure'] | undefined };
type Needs = {
  instanceIDs: string[];
  subnetIDs: string[];
  securityGroupIDs: string[];
  associations: FactsRequest['associations'][number][];
};

/** What must be known of a pair, as far as its view tells. An EIP is tried where it is not: there a failover takes it. */
const needsOf = ({ scope, view }: FactsSubject): Needs => {
  const interfaces = scope.networkInterfaceIDs.flatMap((id) => view?.networkInterfaces[id] ?? []);
  const associations = scope.allocationIDs.flatMap((allocationID) => {
    const elasticIP = view?.elasticIPs[allocationID];
    const target =
      interfaces.find((each) => each.networkInterfaceID !== elasticIP?.networkInterfaceID) ?? interfaces[0];
    const primary = target?.privateIPAddresses.find((address) => address.primary);
    if (!elasticIP || !target || !primary) return [];
    const { privateIPAddress } = primary;
    return [{ allocationID, networkInterfaceID: target.networkInterfaceID, privateIPAddress }];
  });
  return {
    instanceIDs: interfaces.flatMap(({ instanceID }) => instanceID ?? []),
    subnetIDs: interfaces.map(({ subnetID }) => subnetID),
    securityGroupIDs: interfaces.flatMap(({ securityGroupIDs }) => securityGroupIDs),
    associations,
  };
};

const pick = <T>(things: Readonly<Record<string, T>>, ids: readonly string[]): Record<string, T> => {
  const picked: Record<string, T> = {};
  for (const id of ids) {
    const thing = things[id];
    if (thing !== undefined) picked[id] = thing;
  }
  return picked;
};

const sliceOf = (known: Known, needs: Needs): EC2Facts => {
  const instances = pick(known.instances, needs.instanceIDs);
  const types = Object.values(instances).flatMap((instance) => instance?.instanceType ?? []);
  const allocations = needs.associations.map(({ allocationID }) => allocationID);
  return {
    readAtMs: known.readAtMs,
    instances,
    subnets: pick(known.subnets, needs.subnetIDs),
    securityGroupRules: pick(known.securityGroupRules, needs.securityGroupIDs),
    addressesPerInterface: pick(known.addressesPerInterface, types),
    mayAssociate: pick(known.mayAssociate, allocations),
    ...(known.failure && { failure: known.failure }),
  };
};

/** A dry run that told nothing takes no earlier answer away. */
const answeredIn = ({ mayAssociate }: EC2Facts): EC2Facts['mayAssociate'] =>
  Object.fromEntries(Object.entries(mayAssociate).filter(([, answer]) => answer !== 'Unknown'));

const isEqual = (a: EC2Facts, b: EC2Facts): boolean =>
  isSame(a.instances, b.instances) &&
  isSame(a.subnets, b.subnets) &&
  isSame(a.securityGroupRules, b.securityGroupRules) &&
  isSame(a.addressesPerInterface, b.addressesPerInterface) &&
  isSame(a.mayAssociate, b.mayAssociate) &&
  a.failure?.class === b.failure?.class;

/** What must be known of all of them, each thing once. */
const unite = (of: readonly FactsSubject[]): Needs => {
  const needs = of.map(needsOf);
  const distinct = (ids: (each: Needs) => string[]): string[] => [...new Set(needs.flatMap(ids))];
  return {
    instanceIDs: distinct(({ instanceIDs }) => instanceIDs),
    subnetIDs: distinct(({ subnetIDs }) => subnetIDs),
    securityGroupIDs: distinct(({ securityGroupIDs }) => securityGroupIDs),
    associations: needs.flatMap(({ associations }) => associations),
  };
};

const NOTHING = { instanceIDs: [], subnetIDs: [], securityGroupIDs: [] };

const lacks = (known: Known | undefined, needs: Needs): boolean =>
  needs.instanceIDs.some((id) => known?.instances[id] === undefined) ||
  needs.subnetIDs.some((id) => known?.subnets[id] === undefined) ||
  needs.securityGroupIDs.some((id) => known?.securityGroupRules[id] === undefined) ||
  needs.associations.some(({ allocationID }) => known?.mayAssociate[allocationID] === undefined);

class Keeper implements FactsKeeper {
  readonly #options: FactsOptions;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  /** By Region. */
  readonly #known = new Map<string, Known>();
  readonly #slices = new Map<Key, EC2Facts>();
  /** Pairs of which something is to be read soon. */
  readonly #wanting = new Set<Key>();
  /** When each allocation was last tried; those never tried come first. */
  readonly #triedAtMs = new Map<string, number>();
  readonly #instances = createInterner<EC2Facts['instances'][string]>();
  readonly #subnets = createInterner<EC2Facts['subnets'][string]>();
  readonly #groups = createInterner<EC2Facts['securityGroupRules'][string]>();
  /** Ends the pause between two rounds. */
  #wake: () => void = () => undefined;

  constructor(options: FactsOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#signal = options.signal;
  }

  #merge(region: string, facts: EC2Facts): void {
    const before = this.#known.get(region);
    this.#known.set(region, {
      readAtMs: facts.readAtMs,
      instances: { ...before?.instances, ...internAll(facts.instances, this.#instances) },
      subnets: { ...before?.subnets, ...internAll(facts.subnets, this.#subnets) },
      securityGroupRules: {
        ...before?.securityGroupRules,
        ...internAll(facts.securityGroupRules, this.#groups),
      },
      addressesPerInterface: { ...before?.addressesPerInterface, ...facts.addressesPerInterface },
      mayAssociate: { ...facts.mayAssociate, ...before?.mayAssociate, ...answeredIn(facts) },
      failure: facts.failure && {
        ...facts.failure,
        sinceMs: before?.failure?.sinceMs ?? facts.readAtMs,
      },
    });
  }

  async #isQuiet(): Promise<boolean> {
    while (this.#options.isMoving() && !this.#signal.aborted)
      await sleep(this.#clock, QUIET_MS, this.#signal);
    return !this.#signal.aborted;
  }

  async #ask(request: FactsRequest): Promise<boolean> {
    if (!(await this.#isQuiet())) return false;
    const facts = await this.#options.ec2.facts(request, this.#signal);
    if (this.#signal.aborted) return false;
    for (const { allocationID } of request.associations) this.#triedAtMs.set(allocationID, this.#clock.now());
    this.#merge(request.region, facts);
    await this.#options.onRead(request.region);
    return facts.failure === undefined;
  }

  async #roundOf(region: string, of: readonly FactsSubject[], dryRuns: number): Promise<void> {
    const needs = unite(of);
    const associations = needs.associations
      .sort((a, b) => (this.#triedAtMs.get(a.allocationID) ?? 0) - (this.#triedAtMs.get(b.allocationID) ?? 0))
      .slice(0, dryRuns);
    let goesOn = await this.#ask({ region, ...needs, associations: associations.slice(0, DRY_RUNS) });
    for (let at = DRY_RUNS; goesOn && at < associations.length; at += DRY_RUNS)
      goesOn = await this.#ask({ region, ...NOTHING, associations: associations.slice(at, at + DRY_RUNS) });
  }

  /** Keeps what one of the pairs still needs: instances come and go for years. */
  #forgetTheRest(all: readonly FactsSubject[]): void {
    const named = new Set(all.flatMap(({ scope }) => scope.allocationIDs));
    for (const id of this.#triedAtMs.keys()) if (!named.has(id)) this.#triedAtMs.delete(id);
    for (const [region, { failure, ...facts }] of this.#known) {
      const ours = all.filter(({ scope }) => scope.region === region);
      const kept = sliceOf({ ...facts, failure: undefined }, unite(ours));
      const { addressesPerInterface } = facts;
      if (ours.length === 0) this.#known.delete(region);
      else this.#known.set(region, { ...kept, addressesPerInterface, failure });
    }
  }

  async #round(of: readonly FactsSubject[], dryRuns: number): Promise<void> {
    const seen = of.filter(({ view }) => view !== undefined);
    for (const [region, some] of Map.groupBy(seen, ({ scope }) => scope.region)) {
      if (!this.#signal.aborted) await this.#roundOf(region, some, dryRuns);
    }
  }

  /** Until `untilMs`, or two seconds after something is wanted. */
  async #pause(untilMs: number): Promise<void> {
    if (this.#wanting.size === 0) {
      const awake = new AbortController();
      this.#wake = () => awake.abort();
      await sleep(this.#clock, untilMs - this.#clock.now(), AbortSignal.any([this.#signal, awake.signal]));
    }
    if (this.#wanting.size > 0) await sleep(this.#clock, SOON_MS, this.#signal);
  }

  of(subject: FactsSubject): EC2Facts | undefined {
    const region = this.#known.get(subject.scope.region);
    if (!region) return undefined;
    const slice = sliceOf(region, needsOf(subject));
    const before = this.#slices.get(subject.key);
    if (before && isEqual(before, slice)) return before;
    this.#slices.set(subject.key, slice);
    return slice;
  }

  observe(subject: FactsSubject): void {
    if (!lacks(this.#known.get(subject.scope.region), needsOf(subject))) return;
    this.#wanting.add(subject.key);
    if (this.#wanting.size === 1) this.#wake();
  }

  forget(key: Key): void {
    this.#wanting.delete(key);
    this.#slices.delete(key);
  }

  async run(): Promise<void> {
    const { random, subjects, intervalMs = 300_000 } = this.#options;
    const next = (): number => this.#clock.now() + intervalMs * (0.9 + random() / 5);
    let nextMs = next();
    while (!this.#signal.aborted) {
      await this.#pause(nextMs);
      if (this.#signal.aborted) return;
      const isDue = this.#clock.now() >= nextMs;
      const all = subjects();
      const chosen = isDue ? all : all.filter(({ key }) => this.#wanting.has(key));
      this.#wanting.clear();
      if (isDue) {
        nextMs = next();
        this.#forgetTheRest(all);
      }
      await this.#round(chosen, isDue ? DRY_RUNS_A_ROUND : DRY_RUNS);
      await sleep(this.#clock, LEAST_GAP_MS, this.#signal);
    }
  }
}

/** Reads nothing until `run`. */
export const createFactsKeeper = (options: FactsOptions): FactsKeeper => new Keeper(options);
