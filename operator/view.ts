/**
 * Keeps a reading of EC2 for every pair: all of them together every 30 s, single ones at once when a pair asks. The periodic
 * reading also proves credentials and keeps the connection warm, so that a failover finds both ready.
 */
import type { EC2, ReadRequest } from '../ec2/client.ts';
import type { EC2View } from '../ec2/types.ts';
import { type Clock, sleep } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import type { Key } from '../kube/types.ts';
import { canonical } from './plan/support.ts';
import type { EC2Reading, EC2Scope } from './plan/types.ts';

export type ViewOptions = {
  ec2: Pick<EC2, 'read'>;
  clock: Clock;
  random: () => number;
  /** A pair's reading changed, or the one it asked for has come or failed. Must not throw. */
  onRead: (key: Key) => void;
  signal: AbortSignal;
  log: Log;
  /** Default 30,000 ms, with 10 % jitter. */
  intervalMs?: number;
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

/** Pairs that ask within this time share a reading. */
const COALESCE_MS = 10;
/** Delay after a failed reading; doubles up to the bound. */
const RETRY_MS = { first: 200, most: 10_000 };

type Entry = {
  scope: EC2Scope;
  reading: EC2Reading;
  /** The pair waits for a reading begun at this time or later. */
  wantedSinceMs?: number;
  /** The youngest reading under way that covers it began then. */
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

const contentOf = ({ view, failure }: EC2Reading): string =>
  canonical([view?.networkInterfaces, view?.elasticIPs, failure?.class]);

const union = (entries: readonly Entry[]): ReadRequest => ({
  networkInterfaceIDs: [...new Set(entries.flatMap(({ scope }) => scope.networkInterfaceIDs))],
  allocationIDs: [...new Set(entries.flatMap(({ scope }) => scope.allocationIDs))],
});

export const createViews = (options: ViewOptions): Views => {
  const { ec2, clock, random, onRead, signal, log, intervalMs = 30_000 } = options;
  const entries = new Map<Key, Entry>();
  /** Asked for within the present moment; each pair stands here once. */
  const batch = new Set<Key>();
  let isFailing = false;

  const join = (key: Key): void => {
    batch.add(key);
    if (batch.size > 1) return;
    clock.setTimer(COALESCE_MS, () => {
      const keys = [...batch];
      batch.clear();
      for (const key of keys) {
        const entry = entries.get(key);
        if (entry) entry.isQueued = false;
      }
      void read(keys);
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

  const take = (key: Key, entry: Entry, result: Awaited<ReturnType<EC2['read']>>): void => {
    const before = contentOf(entry.reading);
    const slice = sliceOf(result.view, entry.scope);
    const { view } = entry.reading;
    entry.failures = slice ? 0 : entry.failures + 1;
    if (slice && !(view && view.readAtMs > slice.readAtMs)) entry.reading = { view: slice };
    if (!slice) {
      const { class: errorClass = 'Unavailable', message = 'EC2 left out what was asked for' } =
        result.failure ?? {};
      const failure = { class: errorClass, message, atMs: clock.now() };
      entry.reading = { ...(view && { view }), failure };
    }
    const wanted = entry.wantedSinceMs;
    const isAnswered = wanted !== undefined && slice !== undefined && slice.readAtMs >= wanted;
    if (isAnswered) delete entry.wantedSinceMs;
    else if (wanted !== undefined && !entry.isQueued) queue(key, entry);
    if (isAnswered || before !== contentOf(entry.reading)) onRead(key);
  };

  const read = async (keys: readonly Key[]): Promise<void> => {
    const chosen = keys.flatMap((key) => {
      const entry = entries.get(key);
      return entry && entry.scope.networkInterfaceIDs.length > 0 ? [{ key, entry }] : [];
    });
    if (chosen.length === 0 || signal.aborted) return;
    const beganAtMs = clock.now();
    for (const { entry } of chosen) entry.readingSinceMs = beganAtMs;
    const result = await ec2.read(union(chosen.map(({ entry }) => entry)), signal);
    if (signal.aborted) return;
    note(result.failure?.message);
    for (const { key, entry } of chosen) {
      if (entry.readingSinceMs === beganAtMs) entry.readingSinceMs = Number.NEGATIVE_INFINITY;
      if (entries.get(key) === entry) take(key, entry, result);
    }
  };

  /** One line when reading begins to fail, one when it works again. */
  const note = (error: string | undefined): void => {
    if (error !== undefined && !isFailing)
      log.warn({ reason: 'EC2ReadFailed', error }, 'EC2 could not be read');
    if (error === undefined && isFailing) log.info({ reason: 'Converged' }, 'EC2 can be read again');
    isFailing = error !== undefined;
  };

  return {
    cover(key, scope) {
      const entry = entries.get(key);
      const none = Number.NEGATIVE_INFINITY;
      if (entry) entry.scope = scope;
      else entries.set(key, { scope, reading: {}, readingSinceMs: none, isQueued: false, failures: 0 });
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
    },
    async run() {
      while (!signal.aborted) {
        await sleep(clock, intervalMs * (0.9 + random() / 5), signal);
        await read([...entries.keys()]);
      }
    },
  };
};
