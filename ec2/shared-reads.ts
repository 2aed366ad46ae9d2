/**
 * Many who want to read the same things share the calls: an id that is asked for waits once, and is read by a call that begins
 * after each of them has asked. What was asked for first is read first, in calls of a bounded size and a few at a time: however
 * many ask, each thing is read once a round.
 */
import type { RawError } from './errors.ts';
import { CONCURRENCY, cutChunk, type Found, type Reader, readChunk } from './read.ts';

export type SharedReads<T, Errand> = {
  /** Reads `ids`; a call is made on the errand of who asked first for the first thing in it. Never rejects. */
  read(ids: readonly string[], errand: Errand): Promise<Found<T>>;
};

/** Of one id: `thing`, why there is none, or neither if the answer left it out. */
type Answer<T> = { thing?: T | null | undefined; failure?: RawError | undefined };

type Waiting<T, Errand> = { errand: Errand; answer: PromiseWithResolvers<Answer<T>> };

/** @param readerFor how to read on an errand; its `concurrency` counts for all errands together */
export const createSharedReads = <T, Errand>(
  readerFor: (errand: Errand) => Reader<T>,
): SharedReads<T, Errand> => {
  /** In the order in which they were first asked for. */
  const waiting = new Map<string, Waiting<T, Errand>>();
  let underWay = 0;

  const enter = (id: string, errand: Errand): Promise<Answer<T>> => {
    const known = waiting.get(id) ?? { errand, answer: Promise.withResolvers<Answer<T>>() };
    waiting.set(id, known);
    return known.answer.promise;
  };

  const call = async (reader: Reader<T>): Promise<void> => {
    underWay += 1;
    const asked = cutChunk(waiting.keys(), reader.weigh).flatMap((id) => {
      const each = waiting.get(id);
      waiting.delete(id);
      return each ? [{ id, ...each }] : [];
    });
    const { found, failure } = await readChunk(
      asked.map(({ id }) => id),
      reader,
    );
    underWay -= 1;
    for (const { id, answer } of asked) answer.resolve(id in found ? { thing: found[id] } : { failure });
    next();
  };

  const next = (): void => {
    for (;;) {
      const [first] = waiting.values();
      if (!first) return;
      const reader = readerFor(first.errand);
      if (underWay >= (reader.concurrency ?? CONCURRENCY)) return;
      void call(reader);
    }
  };

  return {
    async read(ids, errand) {
      const asked = [...new Set(ids)].map(async (id) => ({ id, ...(await enter(id, errand)) }));
      // Who asks in the same breath shares the call.
      queueMicrotask(next);
      const all: Found<T> = { found: {} };
      for (const { id, thing, failure } of await Promise.all(asked)) {
        if (thing !== undefined) all.found[id] = thing;
        if (failure) all.failure ??= failure;
      }
      return all;
    },
  };
};
