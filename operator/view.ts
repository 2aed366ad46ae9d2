/**
 * Keeps a reading of EC2 for every pair: all of them together, 30 s after the last time, single ones at once when a pair asks.
 * The periodic reading also proves credentials and keeps the connection warm, so that a failover finds both ready.
 */
import type { EC2, ReadRequest } from '../ec2/client.ts';
import type { CallPurpose, EC2ErrorClass, EC2View, ElasticIP, NetworkInterface } from '../ec2/types.ts';
import type { Key } from '../kube/types.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { EventLoopYielder } from '../runtime/event-loop-yielder.ts';
import type { Log } from '../runtime/log.ts';
import { createFactsKeeper, type FactsKeeper, type FactsSubject } from './facts.ts';
import { createInterner, type Interner, isSame } from './intern.ts';
import type { EC2Reading, EC2Scope } from './plan/types.ts';

type ViewOptions = {
  ec2: Pick<EC2, 'read' | 'holders' | 'facts'>;
  clock: Clock;
  random: () => number;
  /**
   * A pair's reading changed, or the one it asked for has come or failed; `asked` tells which: one change of an ENI is news to
   * every pair on it, and a failover must not wait behind them. Must not throw.
   */
  onRead: (key: Key, asked: boolean) => void;
  signal: AbortSignal;
  log: Log;
  /** Default 30,000 ms, with 10 % jitter. */
  intervalMs?: number;
  /** A call that moves addresses is under way or waits: facts for the preflight are read later. Default: never. */
  isMoving?: () => boolean;
  /** Lets the event loop turn once; default: setImmediate. */
  yieldToEventLoop?: () => Promise<unknown>;
};

export type Views = {
  /** Says what every reading for a pair covers. */
  cover(key: Key, scope: EC2Scope): void;
  /**
   * Asks for a reading begun at `sinceMs` or later; cheap to repeat. An urgent one goes before those that are not; default: it is
   * not.
   */
  want(key: Key, sinceMs: number, isUrgent?: boolean): void;
  of(key: Key): EC2Reading;
  forget(key: Key): void;
  /** Reads periodically until the signal aborts. */
  run(): Promise<void>;
};

/** Pairs that ask within this time ask together. */
const COALESCE_MS = 10;
/** Pairs of one step of the periodic reading: what it has found counts before the next begins. */
const STEP_PAIRS = 64;
/** Between two steps: nobody waits for them. */
const STEP_PAUSE_MS = 100;
/** After so many steps in a row that read nothing the others are told the same: each may last until its deadline. */
const MOST_FAILED_STEPS = 3;
/** A Region can be read again when no reading has failed for so long. */
const CALM_MS = 5_000;
/** Delay after a failed reading; doubles up to the bound. */
const RETRY_MS = { first: 200, most: 10_000 };

type Entry = {
  scope: EC2Scope;
  reading: EC2Reading;
  /** The pair waits for a reading begun at this time or later. */
  wantedSinceMs: number | undefined;
  /** The youngest reading under way that was asked for began then. */
  readingSinceMs: number;
  /** The reading that it waits for is urgent. */
  isUrgent: boolean;
  /** It waits for the next batch, or for the end of its backoff. */
  isQueued: boolean;
  /** Failed readings in a row. */
  failures: number;
};

/** What one round of readings has shown, and why some of it failed. */
type Shown = { view: EC2View; failure?: { class: EC2ErrorClass; message: string } };

/** The VIPs of a pair that, by this reading, are on none of its ENIs: somebody else may have them. None if an ENI was not read, or all are gone. */
const strayIn = (
  { networkInterfaces }: Pick<EC2View, 'networkInterfaces'>,
  { networkInterfaceIDs, privateIPAddresses }: EC2Scope,
): string[] => {
  const enis = networkInterfaceIDs.map((id) => networkInterfaces[id]);
  if (enis.includes(undefined) || enis.every((eni) => eni === null)) return [];
  const own = enis.flatMap((eni) => eni?.privateIPAddresses ?? []);
  return privateIPAddresses.filter(
    (address) => !own.some(({ privateIPAddress }) => privateIPAddress === address),
  );
};

const sliceOf = (view: EC2View, scope: EC2Scope): EC2View | undefined => {
  const { networkInterfaceIDs, allocationIDs } = scope;
  const slice: EC2View = { readAtMs: view.readAtMs, networkInterfaces: {}, elasticIPs: {}, holders: {} };
  for (const id of networkInterfaceIDs) {
    const found = view.networkInterfaces[id];
    if (found === undefined) return undefined;
    slice.networkInterfaces[id] = found;
  }
  for (const id of allocationIDs) {
    const found = view.elasticIPs[id];
    if (found === undefined) return undefined;
    slice.elasticIPs[id] = found;
  }
  for (const address of strayIn(view, scope)) {
    const found = view.holders[address];
    if (found === undefined) return undefined;
    slice.holders[address] = found;
  }
  return slice;
};

/** Whether two readings say the same; what is interned and equal is the same object. */
const saysTheSame = (a: EC2Reading, b: EC2Reading): boolean =>
  a.failure?.class === b.failure?.class &&
  (a.view === undefined) === (b.view === undefined) &&
  isSame(a.view?.networkInterfaces ?? {}, b.view?.networkInterfaces ?? {}) &&
  isSame(a.view?.elasticIPs ?? {}, b.view?.elasticIPs ?? {}) &&
  isSame(a.view?.holders ?? {}, b.view?.holders ?? {});

const union = (region: string, entries: readonly Entry[]): ReadRequest => ({
  region,
  networkInterfaceIDs: [...new Set(entries.flatMap(({ scope }) => scope.networkInterfaceIDs))],
  allocationIDs: [...new Set(entries.flatMap(({ scope }) => scope.allocationIDs))],
});

type Chosen = { key: Key; entry: Entry };

const namespaceOf = (key: Key): string => key.slice(0, Math.max(0, key.indexOf('/')));

class ReadingsOfPairs implements Views {
  readonly #ec2: ViewOptions['ec2'];
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onRead: ViewOptions['onRead'];
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #intervalMs: number;
  /** A reading is of all pairs: ten thousand of them are not taken at one go. */
  readonly #yielder: EventLoopYielder;
  readonly #keeper: FactsKeeper;
  readonly #entries = new Map<Key, Entry>();
  /** Asked for within the present moment; each pair stands here once. */
  readonly #batch = new Set<Key>();
  readonly #interfaces = createInterner<NetworkInterface | null>();
  readonly #addresses = createInterner<ElasticIP | null>();
  readonly #holders = createInterner<readonly NetworkInterface[]>();
  #isArmed = false;
  /** Regions that cannot be read, and when that was seen last. */
  readonly #failing = new Map<string, number>();
  /** Regions of which the periodic reading is under way. */
  readonly #rounds = new Set<string>();

  constructor(options: ViewOptions) {
    const { ec2, clock, random, onRead, signal, isMoving = () => false } = options;
    this.#ec2 = ec2;
    this.#clock = clock;
    this.#random = random;
    this.#onRead = onRead;
    this.#signal = signal;
    this.#log = options.log;
    this.#intervalMs = options.intervalMs ?? 30_000;
    this.#yielder = new EventLoopYielder({ now: clock.now, yieldToEventLoop: options.yieldToEventLoop });
    this.#keeper = createFactsKeeper({
      ...{ ec2, clock, random, signal, isMoving },
      subjects: () => [...this.#entries].map(([key, entry]) => this.#subjectOf(key, entry)),
      onRead: (region) => this.#shareFacts(region),
    });
  }

  #subjectOf(key: Key, { scope, reading: { view } }: Entry): FactsSubject {
    return { key, scope, view };
  }

  /** Facts reach a pair with its reading; it is told when its own have changed. */
  #withFacts(key: Key, entry: Entry): boolean {
    const facts = this.#keeper.of(this.#subjectOf(key, entry));
    if (facts === entry.reading.facts || !facts) return false;
    entry.reading = { ...entry.reading, facts };
    return true;
  }

  async #shareFacts(region: string): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (this.#yielder.isDue()) await this.#yielder.yield();
      if (entry.scope.region === region && this.#entries.get(key) === entry && this.#withFacts(key, entry))
        this.#onRead(key, false);
    }
  }

  #join(key: Key): void {
    this.#batch.add(key);
    if (!this.#isArmed) this.#arm();
  }

  /** Each for itself: one that must wait for EC2 holds up no other. */
  async #ask(keys: readonly Key[]): Promise<void> {
    for (const key of keys) {
      if (this.#yielder.isDue()) await this.#yielder.yield();
      const entry = this.#entries.get(key);
      if (entry) entry.isQueued = false;
      if (entry) void this.#readOne({ key, entry });
    }
  }

  /** The next batch leaves soon: those who ask meanwhile share calls, which is the client's part. */
  #arm(): void {
    this.#isArmed = true;
    this.#clock.setTimer(COALESCE_MS, () => {
      this.#isArmed = false;
      const keys = [...this.#batch];
      this.#batch.clear();
      void this.#ask(keys);
    });
  }

  #queue(key: Key, entry: Entry): void {
    entry.isQueued = true;
    if (entry.failures === 0) {
      this.#join(key);
      return;
    }
    const backoffMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(entry.failures - 1, 10));
    this.#clock.setTimer(backoffMs * (0.5 + this.#random() / 2), () => this.#join(key));
  }

  /** The pair's part of a reading; one that is older than what it has says nothing, and one that failed takes nothing away. */
  #takeReading(entry: Entry, result: Shown, slice: EC2View | undefined): void {
    const { view, facts } = entry.reading;
    if (view !== undefined && view.readAtMs > result.view.readAtMs) return;
    const kept = { ...(view && { view }), ...(facts && { facts }) };
    if (slice) {
      entry.failures = 0;
      entry.reading = { ...kept, view: slice };
      return;
    }
    const { class: errorClass = 'Unavailable', message = 'EC2 left out what was asked for' } =
      result.failure ?? {};
    entry.reading = { ...kept, failure: { class: errorClass, message, atMs: this.#clock.now() } };
  }

  #take({ key, entry }: Chosen, result: Shown, isWatch: boolean): void {
    const before = entry.reading;
    const slice = sliceOf(result.view, entry.scope);
    this.#takeReading(entry, result, slice);
    // Who asks next is not to wait for what nobody asked for.
    if (!slice && !isWatch) entry.failures += 1;
    const wanted = entry.wantedSinceMs;
    const isAnswered = wanted !== undefined && slice !== undefined && slice.readAtMs >= wanted;
    if (isAnswered) Object.assign(entry, { wantedSinceMs: undefined, isUrgent: false });
    else if (wanted !== undefined && !entry.isQueued && entry.readingSinceMs < wanted)
      this.#queue(key, entry);
    const isNews = !saysTheSame(before, entry.reading);
    if (isNews) this.#keeper.observe(this.#subjectOf(key, entry));
    const hasNewFacts = isNews && this.#withFacts(key, entry);
    if (isAnswered || isNews || hasNewFacts) this.#onRead(key, wanted !== undefined);
  }

  async #internByTurns<T>(things: Record<string, T>, { intern }: Interner<T>) {
    const interned: Record<string, T> = {};
    for (const [id, thing] of Object.entries(things)) {
      if (this.#yielder.isDue()) await this.#yielder.yield();
      interned[id] = intern(id, thing);
    }
    return interned;
  }

  async #readRegion(
    region: string,
    chosen: readonly Chosen[],
    { purpose, share }: { purpose: CallPurpose; share?: string },
  ): Promise<Shown | undefined> {
    const beganAtMs = this.#clock.now();
    // The periodic reading takes long: who waits for an answer does not wait for that one.
    const isWatch = purpose === 'Watch';
    if (!isWatch) for (const { entry } of chosen) entry.readingSinceMs = beganAtMs;
    const request = union(
      region,
      chosen.map(({ entry }) => entry),
    );
    const asked = { ...request, ...(share !== undefined && { share }) };
    const { view, failure: unread } = await this.#ec2.read(asked, purpose, this.#signal);
    if (this.#signal.aborted) return undefined;
    // Where all is well there is none, and nothing more to ask.
    const stray = [...new Set(chosen.flatMap(({ entry }) => strayIn(view, entry.scope)))];
    const { holders, failure: unfound } =
      stray.length === 0
        ? { holders: {} }
        : await this.#ec2.holders({ ...asked, privateIPAddresses: stray }, purpose, this.#signal);
    if (this.#signal.aborted) return undefined;
    const failure = unread ?? unfound;
    this.#note(region, failure?.message);
    const result: Shown = {
      view: {
        readAtMs: view.readAtMs,
        networkInterfaces: await this.#internByTurns(view.networkInterfaces, this.#interfaces),
        elasticIPs: await this.#internByTurns(view.elasticIPs, this.#addresses),
        holders: await this.#internByTurns(holders, this.#holders),
      },
      ...(failure && { failure }),
    };
    for (const { entry } of chosen)
      if (!isWatch && entry.readingSinceMs === beganAtMs) entry.readingSinceMs = Number.NEGATIVE_INFINITY;
    await this.#takeAll(chosen, result, isWatch);
    return result;
  }

  async #takeAll(chosen: readonly Chosen[], result: Shown, isWatch: boolean): Promise<void> {
    for (const each of chosen) {
      if (this.#yielder.isDue()) await this.#yielder.yield();
      if (this.#entries.get(each.key) === each.entry) this.#take(each, result, isWatch);
    }
  }

  async #readOne(chosen: Chosen): Promise<void> {
    const { key, entry } = chosen;
    if (this.#signal.aborted || entry.scope.networkInterfaceIDs.length === 0) return;
    const purpose = entry.isUrgent ? 'Confirm' : 'Look';
    await this.#readRegion(entry.scope.region, [chosen], { purpose, share: namespaceOf(key) });
  }

  /** All pairs of a Region, some at a time. */
  async #round(region: string, chosen: readonly Chosen[]): Promise<void> {
    let failed = 0;
    for (let at = 0; at < chosen.length && !this.#signal.aborted; at += STEP_PAIRS) {
      if (at > 0) await sleep(this.#clock, STEP_PAUSE_MS, this.#signal);
      const some = chosen.slice(at, at + STEP_PAIRS);
      const result = await this.#readRegion(region, some, { purpose: 'Watch' });
      const hasRead = Object.keys(result?.view.networkInterfaces ?? {}).length > 0;
      failed = result?.failure && !hasRead ? failed + 1 : 0;
      if (result === undefined || failed < MOST_FAILED_STEPS) continue;
      await this.#takeAll(chosen.slice(at + STEP_PAIRS), result, true);
      return;
    }
  }

  /** One line when reading a Region begins to fail, one when it has worked for a while: some readings fail while others do not. */
  #note(region: string, error: string | undefined): void {
    const failedAtMs = this.#failing.get(region);
    if (error !== undefined) {
      if (failedAtMs === undefined)
        this.#log.warn({ reason: 'EC2ReadFailed', region, error }, 'EC2 could not be read');
      this.#failing.set(region, this.#clock.now());
    } else if (failedAtMs !== undefined && this.#clock.now() - failedAtMs >= CALM_MS) {
      this.#failing.delete(region);
      this.#log.info({ reason: 'EC2ReadRecovered', region }, 'EC2 can be read again');
    }
  }

  /** Region by Region: one that is slow, or full of what is not there, keeps no other waiting. */
  async #watch(): Promise<void> {
    while (!this.#signal.aborted) {
      await sleep(this.#clock, this.#intervalMs * (0.9 + this.#random() / 5), this.#signal);
      const chosen = [...this.#entries].flatMap(([key, entry]) =>
        entry.scope.networkInterfaceIDs.length > 0 ? [{ key, entry }] : [],
      );
      for (const [region, some] of Map.groupBy(chosen, ({ entry }) => entry.scope.region)) {
        if (this.#signal.aborted || this.#rounds.has(region)) continue;
        this.#rounds.add(region);
        void this.#round(region, some).finally(() => this.#rounds.delete(region));
      }
    }
  }

  cover(key: Key, scope: EC2Scope): void {
    const entry = this.#entries.get(key);
    const none = Number.NEGATIVE_INFINITY;
    if (entry) entry.scope = scope;
    else
      this.#entries.set(key, {
        ...{ scope, reading: {}, wantedSinceMs: undefined, readingSinceMs: none },
        ...{ isUrgent: false, isQueued: false, failures: 0 },
      });
  }

  want(key: Key, sinceMs: number, isUrgent = false): void {
    const entry = this.#entries.get(key);
    if (!entry || (entry.reading.view?.readAtMs ?? Number.NEGATIVE_INFINITY) >= sinceMs) return;
    entry.wantedSinceMs = Math.max(entry.wantedSinceMs ?? Number.NEGATIVE_INFINITY, sinceMs);
    const isHurried = isUrgent && !entry.isUrgent;
    entry.isUrgent ||= isUrgent;
    if (!entry.isQueued && (isHurried || entry.readingSinceMs < sinceMs)) this.#queue(key, entry);
  }

  of(key: Key): EC2Reading {
    return this.#entries.get(key)?.reading ?? {};
  }

  forget(key: Key): void {
    this.#entries.delete(key);
    this.#keeper.forget(key);
  }

  async run(): Promise<void> {
    await Promise.all([this.#watch(), this.#keeper.run()]);
  }
}

/** Reads nothing until `run`, or until a pair asks. */
export const createViews = (options: ViewOptions): Views => new ReadingsOfPairs(options);
