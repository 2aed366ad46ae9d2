/**
 * The watcher's state machine, after kube-rs' watcher.rs: what is known, and what to do next. Free of IO and clocks: time
 * and randomness are passed in, the answers of the API server come in as inputs.
 *
 *     Listing --last page--> Watching --stream ends--> Watching (from the last resourceVersion)
 *        ^                       |
 *        +-- 410 Gone, refresh --+
 */
import { type BackoffPolicy, backoffMs } from '../runtime/backoff.ts';
import { errorOfStatus, isKubeError, KubeError, type StatusBody } from './errors.ts';
import type { Key, KubeObject } from './types.ts';

/** What the driver has to do; it answers each with an input. */
export type WatchAction =
  | { do: 'list'; continueToken: string | undefined }
  | { do: 'watch'; resourceVersion: string; timeoutSeconds: number }
  | { do: 'wait'; delayMs: number; next: WatchAction };

/** One line of a watch stream. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: StatusBody };

export type WatchInput<T> =
  | { type: 'page'; items: T[]; resourceVersion: string; continueToken: string | undefined }
  /** The watch's headers came. */
  | { type: 'opened' }
  /** The stream ended by itself, as it does after `timeoutSeconds`. */
  | { type: 'ended' }
  | { type: 'failed'; error: Error };

/**
 * Retries of a watcher by default: fast first, and never far apart, because a failover waits for nothing else: one that fell
 * into a long outage of the API server must not wait for half a minute more once it is over. A process has a handful of watches.
 */
export const WATCH_RETRY: BackoffPolicy = { firstMs: 200, baseMs: 800, maxMs: 5_000 };

/** A connection that lasted this long was a good one: the next failure is again a first one. */
const STABLE_MS = 30_000;
/** A clean end before this is not the server's timeout: without a delay it would be a hot loop. */
const SHORT_WATCH_MS = 1_000;
/** Bound of what a Retry-After may ask for. */
const RETRY_AFTER_MAX_MS = 60_000;
/** The server ends a watch after 240 to 295 s: below the common 300 s idle limit, not all watches at once. */
const TIMEOUT_SECONDS = { from: 240, to: 295 };

export type WatchMachine<T extends KubeObject> = {
  /** The store: replaced as a whole by a list, key by key by events. */
  readonly objects: ReadonlyMap<Key, T>;
  /** Complete lists so far. */
  readonly lists: number;
  /** The last failure, until the next good answer. */
  readonly error: Error | undefined;
  /** The first action; later: drops the position, so that everything is listed anew. The store stays until then. */
  start(): WatchAction;
  /** Takes the outcome of an action. `changed` are the keys that were added, changed, replaced or deleted. */
  step(input: WatchInput<T>, nowMs: number): { changed: Key[]; action: WatchAction };
  /**
   * Takes one event of the open stream.
   * @returns the key it changed, if any
   * @throws KubeError for an ERROR event, which ends the stream: pass it to `step` as `failed`.
   */
  event(event: WatchEvent<T>): Key | undefined;
};

const LIST: WatchAction = { do: 'list', continueToken: undefined };

/** @param random numbers in [0, 1) */
export const createWatchMachine = <T extends KubeObject>(options: {
  keyOf: (object: T) => Key;
  random: () => number;
  retry?: BackoffPolicy;
}): WatchMachine<T> => {
  const { keyOf, random, retry = WATCH_RETRY } = options;
  let objects = new Map<Key, T>();
  let pages: T[] = [];
  let continueToken: string | undefined;
  let resourceVersion: string | undefined;
  let lists = 0;
  let error: Error | undefined;
  let failures = 0;
  let openedAtMs: number | undefined;

  const watchAction = (from: string): WatchAction => {
    const { from: low, to: high } = TIMEOUT_SECONDS;
    return {
      do: 'watch',
      resourceVersion: from,
      timeoutSeconds: low + Math.floor(random() * (high - low + 1)),
    };
  };

  /** Where to go on: mid-list, from the last event, or from the beginning. */
  const resume = (): WatchAction => {
    if (resourceVersion !== undefined) return watchAction(resourceVersion);
    return continueToken === undefined ? LIST : { do: 'list', continueToken };
  };

  const startOver = () => {
    resourceVersion = undefined;
    continueToken = undefined;
    pages = [];
  };

  const takePage = (
    input: Extract<WatchInput<T>, { type: 'page' }>,
  ): { changed: Key[]; action: WatchAction } => {
    error = undefined;
    for (const item of input.items) pages.push(item);
    continueToken = input.continueToken;
    if (continueToken !== undefined) return { changed: [], action: resume() };
    const listed = new Map(pages.map((object) => [keyOf(object), slim(object)]));
    const changed = differences(objects, listed);
    objects = listed;
    startOver();
    resourceVersion = input.resourceVersion;
    lists += 1;
    return { changed, action: resume() };
  };

  const retryAfterFailure = (cause: Error, nowMs: number): WatchAction => {
    error = cause;
    if (openedAtMs !== undefined && nowMs - openedAtMs >= STABLE_MS) failures = 0;
    openedAtMs = undefined;
    const gone = isKubeError(cause, 'Gone');
    // After Invalid (a version the server never gave out, an event nobody can read) resuming would fail for ever.
    if (gone || isKubeError(cause, 'Invalid')) startOver();
    const attempt = failures++;
    // The answer to an expired version is a list, at once; but not again and again.
    if (gone && attempt === 0) return resume();
    const askedMs = cause instanceof KubeError ? Math.min(cause.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS) : 0;
    const delayMs = Math.max(backoffMs(retry, attempt, random()), askedMs);
    return { do: 'wait', delayMs, next: resume() };
  };

  const takeEnd = (nowMs: number): WatchAction => {
    const livedMs = openedAtMs === undefined ? 0 : nowMs - openedAtMs;
    if (livedMs < SHORT_WATCH_MS) {
      return retryAfterFailure(new KubeError('the watch ended at once', { kind: 'Unreachable' }), nowMs);
    }
    if (livedMs >= STABLE_MS) failures = 0;
    openedAtMs = undefined;
    return resume();
  };

  return {
    get objects() {
      return objects;
    },
    get lists() {
      return lists;
    },
    get error() {
      return error;
    },
    start() {
      startOver();
      openedAtMs = undefined;
      return LIST;
    },
    step(input, nowMs) {
      switch (input.type) {
        case 'page':
          return takePage(input);
        case 'opened':
          error = undefined;
          openedAtMs = nowMs;
          return { changed: [], action: resume() };
        case 'ended':
          return { changed: [], action: takeEnd(nowMs) };
        case 'failed':
          return { changed: [], action: retryAfterFailure(input.error, nowMs) };
      }
    },
    event(event) {
      if (event.type === 'ERROR') throw errorOfStatus('watch', event.object.code ?? 500, event.object);
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
      if (event.type === 'BOOKMARK') return undefined;
      const key = keyOf(event.object);
      if (event.type === 'DELETED') objects.delete(key);
      else objects.set(key, slim(event.object));
      return key;
    },
  };
};

/** managedFields are most of a small object, and nobody reads them. */
const slim = <T extends KubeObject>(object: T): T => {
  const metadata: KubeObject['metadata'] & { managedFields?: unknown } = object.metadata;
  delete metadata.managedFields;
  return object;
};

/** Keys that a list added, changed or dropped; an object deleted and created again has another UID and version. */
const differences = <T extends KubeObject>(before: Map<Key, T>, after: Map<Key, T>): Key[] => {
  const dropped = [...before.keys()].filter((key) => !after.has(key));
  const differing = [...after].filter(([key, object]) => {
    const old = before.get(key);
    return (
      old === undefined ||
      old.metadata.uid !== object.metadata.uid ||
      old.metadata.resourceVersion !== object.metadata.resourceVersion
    );
  });
  return [...dropped, ...differing.map(([key]) => key)];
};
