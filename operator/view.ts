/**
 * Keeps a reading of EC2 for every pair: all of them together, 30 s after the last time, single ones at once when a pair asks.
 * The periodic reading also proves credentials and keeps the connection warm, so that a failover finds both ready.
 */
import type { EC2, ReadRequest, ReadResult } from '../ec2/client.ts';
import type { CallPurpose, EC2View, ElasticIP, NetworkInterface } from '../ec2/types.ts';
import type { Key } from '../kube/types.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { EventLoopYielder } from '../runtime/event-loop-yielder.ts';
import type { Log } from '../runtime/log.ts';
import { createFactsKeeper, type FactsSubject } from './facts.ts';
import { createInterner, type Interner, isSame } from './intern.ts';
import type { EC2Reading, EC2Scope } from './plan/types.ts';

export type ViewOptions = {
  ec2: Pick<EC2, 'read' | 'facts'>;
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
  /** Asks for a reading begun at `sinceMs` or later; cheap to repeat. */
  want(key: Key, sinceMs: number): void;
  of(key: Key): EC2Reading;
  forget(key: Key): void;
  /** Reads periodically until the signal aborts. */
  run(): Promise<void>;
};

/** Pairs that ask within this time ask together. */
const COALESCE_MS = 10;
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
  /** It waits for the next batch, or for the end of its backoff. */
  isQueued: boolean;
  /** Failed readings in a row. */
  failures: number;
};

const sliceOf = (view: EC2View, { networkInterfaceIDs, allocationIDs }: EC2Scope): EC2View | undefined => {
  const slice: EC2View = { readAtMs: view.readAtMs, networkInterfaces: {}, elasticIPs: {} };
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
  return slice;
};

/** Whether two readings say the same; what is interned and equal is the same object. */
const saysTheSame = (a: EC2Reading, b: EC2Reading): boolean =>
  a.failure?.class === b.failure?.class &&
  (a.view === undefined) === (b.view === undefined) &&
  isSame(a.view?.networkInterfaces ?? {}, b.view?.networkInterfaces ?? {}) &&
  isSame(a.view?.elasticIPs ?? {}, b.view?.elasticIPs ?? {});

const union = (region: string, entries: readonly Entry[]): ReadRequest => ({
  region,
  networkInterfaceIDs: [...new Set(entries.flatMap(({ scope }) => scope.networkInterfaceIDs))],
  allocationIDs: [...new Set(entries.flatMap(({ scope }) => scope.allocationIDs))],
});

type Chosen = { key: Key; entry: Entry };

export const createViews = (options: ViewOptions): Views => {
  const { ec2, clock, random, onRead, signal, log, intervalMs = 30_000, isMoving = () => false } = options;
  /** A reading is of all pairs: ten thousand of them are not taken at one go. */
  const yielder = new EventLoopYielder({ now: clock.now, yieldToEventLoop: options.yieldToEventLoop });
  const entries = new Map<Key, Entry>();
  /** Asked for within the present moment; each pair stands here once. */
  const batch = new Set<Key>();
  const interfaces = createInterner<NetworkInterface | null>();
  const addresses = createInterner<ElasticIP | null>();
  let isArmed = false;
  /** Regions that cannot be read, and when that was seen last. */
  const failing = new Map<string, number>();

  const subjectOf = (key: Key, { scope, reading: { view } }: Entry): FactsSubject => ({ key, scope, view });

  /** Facts reach a pair with its reading; it is told when its own have changed. */
  const withFacts = (key: Key, entry: Entry): boolean => {
    const facts = keeper.of(subjectOf(key, entry));
    if (facts === entry.reading.facts || !facts) return false;
    entry.reading = { ...entry.reading, facts };
    return true;
  };

  const keeper = createFactsKeeper({
    ec2,
    clock,
    random,
    signal,
    isMoving,
    subjects: () => [...entries].map(([key, entry]) => subjectOf(key, entry)),
    onRead: async (region) => {
      for (const [key, entry] of entries) {
        if (yielder.isDue()) await yielder.yield();
        if (entry.scope.region === region && entries.get(key) === entry && withFacts(key, entry))
          onRead(key, false);
      }
    },
  });

  const join = (key: Key): void => {
    batch.add(key);
    if (!isArmed) arm();
  };

  /** Each for itself: one that must wait for EC2 holds up no other. */
  const ask = async (keys: readonly Key[]): Promise<void> => {
    for (const key of keys) {
      if (yielder.isDue()) await yielder.yield();
      const entry = entries.get(key);
      if (entry) entry.isQueued = false;
      void read([key], 'Confirm');
    }
  };

  /** The next batch leaves soon: those who ask meanwhile share calls, which is the client's part. */
  const arm = (): void => {
    isArmed = true;
    clock.setTimer(COALESCE_MS, () => {
      isArmed = false;
      const keys = [...batch];
      batch.clear();
      void ask(keys);
    });
  };

  const queue = (key: Key, entry: Entry): void => {
    entry.isQueued = true;
    if (entry.failures === 0) {
      join(key);
      return;
    }
    const backoffMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(entry.failures - 1, 10));
    clock.setTimer(backoffMs * (0.5 + random() / 2), () => join(key));
  };

  /** The pair's part of a reading; one that is older than what it has says nothing, and one that failed takes nothing away. */
  const takeReading = (entry: Entry, result: ReadResult, slice: EC2View | undefined): void => {
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
    entry.reading = { ...kept, failure: { class: errorClass, message, atMs: clock.now() } };
  };

  const take = ({ key, entry }: Chosen, result: ReadResult, isWatch: boolean): void => {
    const before = entry.reading;
    const slice = sliceOf(result.view, entry.scope);
    takeReading(entry, result, slice);
    // Who asks next is not to wait for what nobody asked for.
    if (!slice && !isWatch) entry.failures += 1;
    const wanted = entry.wantedSinceMs;
    const isAnswered = wanted !== undefined && slice !== undefined && slice.readAtMs >= wanted;
    if (isAnswered) entry.wantedSinceMs = undefined;
    else if (wanted !== undefined && !entry.isQueued && entry.readingSinceMs < wanted) queue(key, entry);
    const isNews = !saysTheSame(before, entry.reading);
    if (isNews) keeper.observe(subjectOf(key, entry));
    const hasNewFacts = isNews && withFacts(key, entry);
    if (isAnswered || isNews || hasNewFacts) onRead(key, wanted !== undefined);
  };

  const internByTurns = async <T>(things: Record<string, T>, { intern }: Interner<T>) => {
    const interned: Record<string, T> = {};
    for (const [id, thing] of Object.entries(things)) {
      if (yielder.isDue()) await yielder.yield();
      interned[id] = intern(id, thing);
    }
    return interned;
  };

  const readRegion = async (region: string, chosen: readonly Chosen[], purpose: CallPurpose) => {
    const beganAtMs = clock.now();
    // The periodic reading takes long: who waits for an answer does not wait for that one.
    const isWatch = purpose === 'Watch';
    if (!isWatch) for (const { entry } of chosen) entry.readingSinceMs = beganAtMs;
    const request = union(
      region,
      chosen.map(({ entry }) => entry),
    );
    const { view, failure } = await ec2.read(request, purpose, signal);
    if (signal.aborted) return;
    note(region, failure?.message);
    const result: ReadResult = {
      view: {
        readAtMs: view.readAtMs,
        networkInterfaces: await internByTurns(view.networkInterfaces, interfaces),
        elasticIPs: await internByTurns(view.elasticIPs, addresses),
      },
      ...(failure && { failure }),
    };
    for (const each of chosen) {
      if (yielder.isDue()) await yielder.yield();
      const { key, entry } = each;
      if (!isWatch && entry.readingSinceMs === beganAtMs) entry.readingSinceMs = Number.NEGATIVE_INFINITY;
      if (entries.get(key) === entry) take(each, result, isWatch);
    }
  };

  const read = async (keys: readonly Key[], purpose: CallPurpose): Promise<void> => {
    if (signal.aborted) return;
    const chosen = keys.flatMap((key) => {
      const entry = entries.get(key);
      return entry && entry.scope.networkInterfaceIDs.length > 0 ? [{ key, entry }] : [];
    });
    const byRegion = Map.groupBy(chosen, ({ entry }) => entry.scope.region);
    await Promise.all([...byRegion].map(([region, some]) => readRegion(region, some, purpose)));
  };

  /** One line when reading a Region begins to fail, one when it has worked for a while: some readings fail while others do not. */
  const note = (region: string, error: string | undefined): void => {
    const failedAtMs = failing.get(region);
    if (error !== undefined) {
      if (failedAtMs === undefined)
        log.warn({ reason: 'EC2ReadFailed', region, error }, 'EC2 could not be read');
      failing.set(region, clock.now());
    } else if (failedAtMs !== undefined && clock.now() - failedAtMs >= CALM_MS) {
      failing.delete(region);
      log.info({ reason: 'EC2ReadRecovered', region }, 'EC2 can be read again');
    }
  };

  const watch = async (): Promise<void> => {
    while (!signal.aborted) {
      await sleep(clock, intervalMs * (0.9 + random() / 5), signal);
      await read([...entries.keys()], 'Watch');
    }
  };

  return {
    cover(key, scope) {
      const entry = entries.get(key);
      const none = Number.NEGATIVE_INFINITY;
      if (entry) entry.scope = scope;
      else
        entries.set(key, {
          ...{ scope, reading: {}, wantedSinceMs: undefined, readingSinceMs: none },
          ...{ isQueued: false, failures: 0 },
        });
    },
    want(key, sinceMs) {
      const entry = entries.get(key);
      if (!entry || (entry.reading.view?.readAtMs ?? Number.NEGATIVE_INFINITY) >= sinceMs) return;
      entry.wantedSinceMs = Math.max(entry.wantedSinceMs ?? Number.NEGATIVE_INFINITY, sinceMs);
      if (!entry.isQueued && entry.readingSinceMs < sinceMs) queue(key, entry);
    },
    of: (key) => entries.get(key)?.reading ?? {},
    forget(key) {
      entries.delete(key);
      keeper.forget(key);
    },
    async run() {
      await Promise.all([watch(), keeper.run()]);
    },
  };
};
