/**
 * Many who want to read the same things share the calls: an id that is asked for waits once, and is read by a call that begins
 * after each of them has asked. What is urgent is read first, then the shares take turns, then what was asked for first, in calls of
 * a bounded size and a few at a time, of which one is kept for what is urgent: however many ask, each thing is read once a round.
 */
import type { RawError } from './errors.ts';
import { CONCURRENCY, cutChunk, type Found, type Reader, readChunk } from './read.ts';

export type SharedReads<T, Errand> = {
  /** Reads `ids`; a call is made on the errand of who comes first in it. Never rejects. */
  read(ids: readonly string[], errand: Errand): Promise<Found<T>>;
};

/** Whose turn a reading is. */
type Turn = { isUrgent: boolean; share: string };

/** Of one id: `thing`, why there is none, or neither if the answer left it out. */
type Answer<T> = { thing?: T | null | undefined; failure?: RawError | undefined };

/** Ids that were asked for together. */
type Asked<Errand> = { ids: readonly string[]; errand: Errand };

/** Who waits, by share; the share whose turn it is comes first. */
type Lane<Errand> = Map<string, Set<Asked<Errand>>>;

/** One of each share, then the next of each. */
function* inTurn<Errand>(lane: Lane<Errand>): Generator<{ share: string; asked: Asked<Errand> }> {
  const queues = [...lane].map(([share, queue]) => ({ share, queue: queue.values() }));
  for (let left = queues; left.length > 0; ) {
    const going: typeof queues = [];
    for (const each of left) {
      const { value, done } = each.queue.next();
      if (done === true) continue;
      yield { share: each.share, asked: value };
      going.push(each);
    }
    left = going;
  }
}

/**
 * @param readerFor how to read on an errand; its `concurrency` counts for all errands together
 * @param turnOf default: all are urgent, and of one share
 */
export const createSharedReads = <T, Errand>(
  readerFor: (errand: Errand) => Reader<T>,
  turnOf: (errand: Errand) => Turn = () => ({ isUrgent: true, share: '' }),
): SharedReads<T, Errand> => {
  const waiting = new Map<string, PromiseWithResolvers<Answer<T>>>();
  const urgent: Lane<Errand> = new Map();
  const others: Lane<Errand> = new Map();
  let underWay = 0;

  const enter = (ids: readonly string[], errand: Errand): Promise<Answer<T>>[] => {
    const { isUrgent, share } = turnOf(errand);
    const lane = isUrgent ? urgent : others;
    lane.set(share, (lane.get(share) ?? new Set()).add({ ids, errand }));
    return ids.map((id) => {
      const known = waiting.get(id) ?? Promise.withResolvers<Answer<T>>();
      waiting.set(id, known);
      return known.promise;
    });
  };

  /** The first who waits for something; whoever waits for nothing any more leaves. */
  const firstIn = (lane: Lane<Errand>): Asked<Errand> | undefined => {
    for (const [share, queue] of lane) {
      for (const asked of queue) {
        if (asked.ids.some((id) => waiting.has(id))) return asked;
        queue.delete(asked);
      }
      lane.delete(share);
    }
    return undefined;
  };

  /** What the next call reads; the shares that it reads for go behind the others. */
  const cut = (lane: Lane<Errand>, weigh: Reader<T>['weigh']): string[] => {
    const shareOf = new Map<string, string>();
    const ids = function* (): Generator<string> {
      for (const { share, asked } of inTurn(lane))
        for (const id of asked.ids) {
          if (!waiting.has(id) || shareOf.has(id)) continue;
          shareOf.set(id, share);
          yield id;
        }
    };
    const chunk = cutChunk(ids(), weigh);
    for (const share of new Set(chunk.map((id) => shareOf.get(id) ?? ''))) {
      const queue = lane.get(share);
      lane.delete(share);
      if (queue) lane.set(share, queue);
    }
    return chunk;
  };

  const call = async (lane: Lane<Errand>, reader: Reader<T>): Promise<void> => {
    underWay += 1;
    const asked = cut(lane, reader.weigh).flatMap((id) => {
      const answer = waiting.get(id);
      waiting.delete(id);
      return answer ? [{ id, answer }] : [];
    });
    const { found, failure } = await readChunk(
      asked.map(({ id }) => id),
      reader,
    );
    underWay -= 1;
    for (const { id, answer } of asked) answer.resolve(id in found ? { thing: found[id] } : { failure });
    next();
  };

  /** @returns false: nobody waits in this lane, or no call may begin for it now */
  const begin = (lane: Lane<Errand>, kept: number): boolean => {
    const first = firstIn(lane);
    if (!first) return false;
    const reader = readerFor(first.errand);
    if (underWay >= Math.max(1, (reader.concurrency ?? CONCURRENCY) - kept)) return false;
    void call(lane, reader);
    return true;
  };

  const next = (): void => {
    while (begin(urgent, 0) || begin(others, 1));
  };

  return {
    async read(ids, errand) {
      const distinct = [...new Set(ids)];
      const answers = enter(distinct, errand);
      // Who asks in the same breath shares the call.
      queueMicrotask(next);
      const all: Found<T> = { found: {} };
      for (const [at, { thing, failure }] of (await Promise.all(answers)).entries()) {
        const id = distinct[at];
        if (thing !== undefined && id !== undefined) all.found[id] = thing;
        if (failure) all.failure ??= failure;
      }
      return all;
    },
  };
};
