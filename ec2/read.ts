/**
 * Reading many ids of which some may not exist. EC2 fails a whole Describe call for one unknown id. By filter it leaves out what
 * does not exist: two such answers that agree tell which ids are unknown, however many. Where there is no filter the chunk is
 * halved until that id stands alone.
 */
import type { RawError } from './errors.ts';

/** Ids in one call. */
const MOST_IDS = 200;
/**
 * Weight of one call. Its answer is parsed at one go, for 0.1 to 0.2 ms for each private address in it (`EC2Client`, an ENI of
 * 100 addresses, two-core machine), and a failover waits meanwhile.
 */
const MOST_WEIGHT = 128;
/** After so many failed chunks in a row of one worker the rest is given up: each may last until its deadline, and nobody was told yet. */
const MOST_FAILURES = 3;
/** Chunks under way at the same time, unless the reader says otherwise. */
export const CONCURRENCY = 4;

/** How to read one kind of thing. */
export type Reader<T> = {
  /** All of `ids`, in one call or its pages. Rejects when one is unknown. */
  read: (ids: readonly string[]) => Promise<T[]>;
  /** Those of `ids` that exist, by filter. Default: there is no filter. */
  select?: (ids: readonly string[]) => Promise<T[]>;
  idOf: (thing: T) => string;
  /** How much the answer is expected to hold for this id, by what is known when the chunk leaves; default 0. */
  weigh?: (id: string) => number;
  /** Chunks under way at the same time: answers that come together are parsed one right after the other. Default 4. */
  concurrency?: number;
  /** `inChunks` awaits it between two chunks of one worker; default: nothing. */
  pause?: () => Promise<unknown>;
  /** Error codes that say an id is unknown. */
  missingCodes: readonly string[];
  rawErrorOf: (error: unknown) => RawError;
};

/** `null`: EC2 said that it does not exist. An id that is no key could not be read, and `failure` says why. */
export type Found<T> = { found: Record<string, T | null>; failure?: RawError };

const foundIn = <T>(things: readonly T[], { idOf }: Pick<Reader<T>, 'idOf'>): Record<string, T | null> =>
  Object.fromEntries(things.map((thing) => [idOf(thing), thing]));

/** Reads `ids`, of which one at least is unknown, by filter. What two answers leave out does not exist: one may have omitted it. */
const selectFrom = async <T>(
  ids: readonly string[],
  select: NonNullable<Reader<T>['select']>,
  reader: Reader<T>,
): Promise<Found<T>> => {
  try {
    const found = foundIn(await select(ids), reader);
    const doubtful = ids.filter((id) => !(id in found));
    if (doubtful.length === 0) return { found };
    const gone = Object.fromEntries(doubtful.map((id) => [id, null]));
    return { found: { ...found, ...gone, ...foundIn(await select(doubtful), reader) } };
  } catch (error) {
    return { found: {}, failure: reader.rawErrorOf(error) };
  }
};

/** Reads `ids` in one call, and in some more as long as one of them is unknown; never rejects. */
export const readChunk = async <T>(ids: readonly string[], reader: Reader<T>): Promise<Found<T>> => {
  try {
    const things = await reader.read(ids);
    // An id that EC2 left out without an error is not proven absent: reads have been seen to omit things.
    return { found: foundIn(things, reader) };
  } catch (error) {
    const raw = reader.rawErrorOf(error);
    if (!reader.missingCodes.includes(raw.code)) return { found: {}, failure: raw };
    const [only, ...others] = ids;
    if (only !== undefined && others.length === 0) return { found: { [only]: null } };
    if (reader.select) return selectFrom(ids, reader.select, reader);
    const half = Math.ceil(ids.length / 2);
    const left = await readChunk(ids.slice(0, half), reader);
    const right = await readChunk(ids.slice(half), reader);
    const failure = left.failure ?? right.failure;
    return { found: { ...left.found, ...right.found }, ...(failure && { failure }) };
  }
};

/** The next chunk: the first ids that fit, in their order, so that those of one pair are read together. At least one. */
export const cutChunk = (ids: Iterable<string>, weigh: (id: string) => number = () => 0): string[] => {
  const chunk: string[] = [];
  let weight = 0;
  for (const id of ids) {
    weight += weigh(id);
    if (chunk.length > 0 && (chunk.length >= MOST_IDS || weight > MOST_WEIGHT)) break;
    chunk.push(id);
  }
  return chunk;
};

/** Reads `ids` in chunks; never rejects. */
export const inChunks = async <T>(ids: readonly string[], reader: Reader<T>): Promise<Found<T>> => {
  const waiting = new Set(ids);
  const all: Found<T> = { found: {} };
  const worker = async (): Promise<void> => {
    let failures = 0;
    while (waiting.size > 0) {
      const chunk = cutChunk(waiting, reader.weigh);
      for (const id of chunk) waiting.delete(id);
      const { found, failure } = await readChunk(chunk, reader);
      Object.assign(all.found, found);
      if (failure) all.failure ??= failure;
      failures = failure ? failures + 1 : 0;
      if (failures >= MOST_FAILURES) waiting.clear();
      if (waiting.size > 0) await reader.pause?.();
    }
  };
  await Promise.all(Array.from({ length: reader.concurrency ?? CONCURRENCY }, worker));
  return all;
};
