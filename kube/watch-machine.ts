/**
 * The watcher's state machine, after kube-rs' watcher.rs: what is known, and what to do next. Free of IO and clocks: time
 * and randomness are passed in, the answers of the API server come in as inputs.
 *
 *     Listing --last page--> Watching --stream ends--> Watching (from the last resourceVersion)
 *        ^                    |      ^
 *        +-- 410 Gone, refresh+      +-- not older --+
 *        |                    +-- failure --> Asking for the newest version
 *        +----------------------- older -------------+
 *
 * An API server whose newest version is older than what is held here was restored from a backup: a watch from a version that it has
 * yet to reach is silent until then, bookmarks included. What is listed then is the truth, older or not.
 */
import { type BackoffPolicy, backoffMs } from '../runtime/backoff.ts';
import { errorOfStatus, isKubeError, KubeError, type StatusBody } from './errors.ts';
import { versionOf } from './resource-version.ts';
import type { Key, KubeObject } from './types.ts';

/** What the driver has to do; it answers each with an input. */
export type WatchAction =
  | { do: 'list'; continueToken: string | undefined }
  /** What is the newest version? */
  | { do: 'ask' }
  | { do: 'watch'; resourceVersion: string; timeoutSeconds: number }
  | { do: 'wait'; delayMs: number; next: WatchAction };

/** One line of a watch stream. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: StatusBody };

export type WatchInput<T> =
  | { type: 'page'; items: T[]; resourceVersion: string; continueToken: string | undefined }
  /** The API server's newest version. */
  | { type: 'newest'; resourceVersion: string }
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

/** `changed`: keys that were added, changed, replaced or deleted. */
export type WatchStep = { changed: Key[]; action: WatchAction };

const LIST: WatchAction = { do: 'list', continueToken: undefined };

const EVENTS: readonly string[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'];

const isOlder = (version: string | undefined, held: string | undefined): boolean => {
  const of = (resourceVersion = '') => versionOf({ metadata: { name: '', resourceVersion } });
  return of(version) > 0n && of(version) < of(held);
};

export type WatchMachineOptions<T> = {
  keyOf: (object: T) => Key;
  /** Numbers in [0, 1). */
  random: () => number;
  /** Default: WATCH_RETRY. */
  retry?: BackoffPolicy;
  /** What is kept of an object; default: all but annotations and managedFields. */
  keep?: (object: T) => T;
};

/** What is known of one scope, and what its watcher has to do next. */
export class WatchMachine<T extends KubeObject> {
  readonly #keyOf: (object: T) => Key;
  readonly #random: () => number;
  readonly #retry: BackoffPolicy;
  readonly #keep: (object: T) => T;
  #objects = new Map<Key, T>();
  #pages: T[] = [];
  #continueToken: string | undefined;
  /** Where the next watch goes on; undefined: a list comes first. */
  #resourceVersion: string | undefined;
  #shownVersion: string | undefined;
  #lists = 0;
  #error: Error | undefined;
  #failures = 0;
  #openedAtMs: number | undefined;

  constructor({ keyOf, random, retry = WATCH_RETRY, keep = slim }: WatchMachineOptions<T>) {
    this.#keyOf = keyOf;
    this.#random = random;
    this.#retry = retry;
    this.#keep = keep;
  }

  /** The store: replaced as a whole by a list, key by key by events. */
  get objects(): ReadonlyMap<Key, T> {
    return this.#objects;
  }

  /** The version up to which every change is in the store; undefined: before the first list. */
  get shownVersion(): string | undefined {
    return this.#shownVersion;
  }

  /** Complete lists so far. */
  get lists(): number {
    return this.#lists;
  }

  /** The last failure, until the next good answer. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** The first action; later: drops the position, so that everything is listed anew. The store stays until then. */
  start(): WatchAction {
    this.#startOver();
    this.#openedAtMs = undefined;
    return LIST;
  }

  /** Takes the outcome of an action. `changed` are the keys that were added, changed, replaced or deleted. */
  step(input: WatchInput<T>, nowMs: number): WatchStep {
    switch (input.type) {
      case 'page':
        return this.#takePage(input);
      case 'newest':
        if (isOlder(input.resourceVersion, this.#resourceVersion)) this.#startOver();
        return { changed: [], action: this.#resume() };
      case 'opened':
        this.#error = undefined;
        this.#openedAtMs = nowMs;
        return { changed: [], action: this.#resume() };
      case 'ended':
        return { changed: [], action: this.#takeEnd(nowMs) };
      case 'failed':
        return { changed: [], action: this.#retryAfterFailure(input.error, nowMs) };
    }
  }

  /**
   * Takes one event of the open stream.
   * @returns the key it changed, if any
   * @throws KubeError for an ERROR event, for one that is older than what is held and for what is no event: each ends the stream,
   * pass it to `step` as `failed`.
   */
  event(event: WatchEvent<T>): Key | undefined {
    if (event?.type === 'ERROR') throw errorOfStatus('watch', event.object?.code ?? 500, event.object);
    if (!EVENTS.includes(event?.type) || event.object?.metadata === undefined)
      throw new KubeError('watch: a line is no event', { kind: 'Invalid' });
    if (isOlder(event.object.metadata.resourceVersion, this.#resourceVersion))
      throw new KubeError('watch: an event is older than what is held', { kind: 'Gone' });
    this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
    this.#shownVersion = this.#resourceVersion ?? this.#shownVersion;
    if (event.type === 'BOOKMARK') return undefined;
    const key = this.#keyOf(event.object);
    if (event.type === 'DELETED') this.#objects.delete(key);
    else this.#objects.set(key, this.#keep(event.object));
    return key;
  }

  #watchAction(resourceVersion: string): WatchAction {
    const { from, to } = TIMEOUT_SECONDS;
    const timeoutSeconds = from + Math.floor(this.#random() * (to - from + 1));
    return { do: 'watch', resourceVersion, timeoutSeconds };
  }

  /** Where to go on: mid-list, from the last event, or from the beginning. */
  #resume(): WatchAction {
    if (this.#resourceVersion !== undefined) return this.#watchAction(this.#resourceVersion);
    const continueToken = this.#continueToken;
    return continueToken === undefined ? LIST : { do: 'list', continueToken };
  }

  #startOver(): void {
    this.#resourceVersion = undefined;
    this.#continueToken = undefined;
    this.#pages = [];
  }

  #takePage(input: Extract<WatchInput<T>, { type: 'page' }>): WatchStep {
    this.#error = undefined;
    for (const item of input.items) this.#pages.push(this.#keep(item));
    this.#continueToken = input.continueToken;
    if (this.#continueToken !== undefined) return { changed: [], action: this.#resume() };
    const listed = new Map(this.#pages.map((object) => [this.#keyOf(object), object]));
    const changed = differences(this.#objects, listed);
    this.#objects = listed;
    this.#startOver();
    this.#resourceVersion = input.resourceVersion;
    this.#shownVersion = input.resourceVersion;
    this.#lists += 1;
    return { changed, action: this.#resume() };
  }

  #retryAfterFailure(cause: Error, nowMs: number): WatchAction {
    this.#error = cause;
    if (this.#openedAtMs !== undefined && nowMs - this.#openedAtMs >= STABLE_MS) this.#failures = 0;
    this.#openedAtMs = undefined;
    const gone = isKubeError(cause, 'Gone');
    // After Invalid (a version the server never gave out, an event nobody can read) resuming would fail for ever.
    if (gone || isKubeError(cause, 'Invalid')) this.#startOver();
    const attempt = this.#failures++;
    // The answer to an expired version is a list, at once; but not again and again.
    if (gone && attempt === 0) return this.#resume();
    const askedMs = cause instanceof KubeError ? Math.min(cause.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS) : 0;
    const delayMs = Math.max(backoffMs(this.#retry, attempt, this.#random()), askedMs);
    const next: WatchAction = this.#resourceVersion === undefined ? this.#resume() : { do: 'ask' };
    return { do: 'wait', delayMs, next };
  }

  #takeEnd(nowMs: number): WatchAction {
    const livedMs = this.#openedAtMs === undefined ? 0 : nowMs - this.#openedAtMs;
    if (livedMs < SHORT_WATCH_MS) {
      const ended = new KubeError('the watch ended at once', { kind: 'Unreachable' });
      return this.#retryAfterFailure(ended, nowMs);
    }
    if (livedMs >= STABLE_MS) this.#failures = 0;
    this.#openedAtMs = undefined;
    return this.#resume();
  }
}

/** managedFields are most of a small object, annotations may be as large as somebody likes, and nobody reads them. */
export const slim = <T extends KubeObject>(object: T): T => {
  const metadata: KubeObject['metadata'] & { managedFields?: unknown; annotations?: unknown } =
    object.metadata;
  delete metadata.managedFields;
  delete metadata.annotations;
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
