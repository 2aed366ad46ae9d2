/** Keeps an in-memory copy of a scope fresh: drives the state machine of watch-machine.ts against the API server. */
import type { BackoffPolicy } from '../runtime/backoff.ts';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { keyOf, type WatchSource } from './client.ts';
import { KubeError } from './errors.ts';
import { createLineSplitter } from './lines.ts';
import type { Key, KubeObject, OnChange, Resource, Scope, Store, StoreStats } from './types.ts';
import { type WatchAction, type WatchEvent, WatchMachine, type WatchStep } from './watch-machine.ts';

export type WatchOptions<T extends KubeObject = KubeObject> = {
  onChange: OnChange;
  /** Ends the watch; the store keeps what it has. */
  signal: AbortSignal;
  /** Monotonic milliseconds; default: the system's. */
  now?: Clock['now'];
  setTimer?: Clock['setTimer'];
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
  /** Default WATCH_RETRY. */
  retry?: BackoffPolicy;
  /** What is kept of an object; default: all but annotations and managedFields. */
  keep?: (object: T) => T;
  /** A watch that says nothing for so long is taken for dead; default 70,000 ms. */
  silenceMs?: number;
  /** Deadline of one page of a list, and of a watch's headers; default 15,000 ms. */
  answerMs?: number;
  log?: Log;
};

/** The API server sends a bookmark every 60 s; longer silence means a dead connection. */
const SILENCE_MS = 70_000;
/** Bound of one event; etcd holds no object above 1.5 MiB. */
const EVENT_BYTES = 8 * 1024 * 1024;
const ANSWER_MS = 15_000;

/** Starts at once and runs until the signal aborts; every error is retried. */
export const watch = <T extends KubeObject>(
  source: WatchSource,
  resource: Resource,
  scope: Scope,
  options: WatchOptions<T>,
): Store<T> => new Watcher<T>(source, resource, scope, options);

class Watcher<T extends KubeObject> implements Store<T> {
  readonly #source: WatchSource;
  readonly #resource: Resource;
  readonly #scope: Scope;
  readonly #options: WatchOptions<T>;
  readonly #now: Clock['now'];
  readonly #setTimer: Clock['setTimer'];
  readonly #machine: WatchMachine<T>;
  readonly #synced = Promise.withResolvers<void>();
  readonly #refreshes = createRefreshes();
  #lastContactMs = Number.NEGATIVE_INFINITY;
  #opened = 0;
  #events = 0;

  constructor(source: WatchSource, resource: Resource, scope: Scope, options: WatchOptions<T>) {
    const { random = Math.random, retry, keep } = options;
    this.#source = source;
    this.#resource = resource;
    this.#scope = scope;
    this.#options = options;
    this.#now = options.now ?? systemClock.now;
    this.#setTimer = options.setTimer ?? systemClock.setTimer;
    this.#machine = new WatchMachine<T>({ keyOf, random, ...(retry && { retry }), ...(keep && { keep }) });
    void this.#run();
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get(key: Key): T | undefined {
    return this.#machine.objects.get(key);
  }

  shownVersion(): string | undefined {
    return this.#machine.shownVersion;
  }

  list(): T[] {
    return [...this.#machine.objects.values()];
  }

  lastContactMs(): number {
    return this.#lastContactMs;
  }

  error(): Error | undefined {
    return this.#machine.error;
  }

  refresh(): Promise<void> {
    return this.#options.signal.aborted ? Promise.reject(this.#ended()) : this.#refreshes.ask();
  }

  stats(): StoreStats {
    return {
      relists: Math.max(0, this.#machine.lists - 1),
      reconnects: Math.max(0, this.#opened - 1),
      events: this.#events,
      objects: this.#machine.objects.size,
      lastContactMs: this.#lastContactMs,
    };
  }

  #ended(): KubeError {
    return new KubeError(`refresh ${this.#resource.plural}: the watch was ended`, { kind: 'Aborted' });
  }

  #contact(): void {
    this.#lastContactMs = this.#now();
  }

  #notify(key: Key): void {
    try {
      this.#options.onChange(key);
    } catch (error) {
      const message = `the handler of changed ${this.#resource.plural} threw`;
      this.#options.log?.error({ reason: 'WatchHandlerFailed', err: error, key }, message);
    }
  }

  /** One line when the connection is lost, one when it is back; none for each retry in between. */
  #logChange(before: Error | undefined): void {
    const { log } = this.#options;
    const { plural } = this.#resource;
    const after = this.#machine.error;
    if (!before && after)
      log?.warn({ reason: 'WatchLost', plural, error: after.message }, 'watch lost, retrying');
    if (before && !after) log?.info({ reason: 'WatchRecovered', plural }, 'watch is back');
  }

  async #run(): Promise<void> {
    const machine = this.#machine;
    const { signal } = this.#options;
    let action = machine.start();
    while (!signal.aborted) {
      const before = machine.error;
      const { lists } = machine;
      const interrupted = this.#refreshes.interruption();
      const result = await this.#perform(action, AbortSignal.any([signal, interrupted]));
      if (signal.aborted) break;
      this.#logChange(before);
      for (const key of result.changed) this.#notify(key);
      if (machine.lists > lists) {
        this.#synced.resolve();
        this.#refreshes.listed();
      }
      action = interrupted.aborted ? machine.start() : result.action;
    }
    this.#refreshes.abort(this.#ended());
  }

  async #perform(action: WatchAction, signal: AbortSignal): Promise<WatchStep> {
    const { answerMs: timeoutMs = ANSWER_MS } = this.#options;
    try {
      switch (action.do) {
        case 'wait':
          await sleep({ setTimer: this.#setTimer }, action.delayMs, signal);
          return { changed: [], action: action.next };
        case 'list': {
          const { continueToken } = action;
          const call = { timeoutMs, signal };
          const page = await this.#source.listPage<T>(this.#resource, this.#scope, continueToken, call);
          this.#contact();
          return this.#machine.step({ type: 'page', ...page }, this.#now());
        }
        case 'ask': {
          const call = { timeoutMs, signal, limit: 1 };
          const page = await this.#source.listPage<T>(this.#resource, this.#scope, undefined, call);
          this.#contact();
          return this.#machine.step({ type: 'newest', resourceVersion: page.resourceVersion }, this.#now());
        }
        case 'watch':
          await this.#follow(action, signal, timeoutMs);
          return this.#machine.step({ type: 'ended' }, this.#now());
      }
    } catch (error) {
      // Broken off on purpose: not the API server's failure.
      if (signal.aborted) return { changed: [], action };
      const failure = error instanceof Error ? error : new Error(String(error));
      return this.#machine.step({ type: 'failed', error: failure }, this.#now());
    }
  }

  /** Takes events until the stream ends. @throws KubeError */
  async #follow(
    from: Extract<WatchAction, { do: 'watch' }>,
    ended: AbortSignal,
    timeoutMs: number,
  ): Promise<void> {
    const { silenceMs = SILENCE_MS } = this.#options;
    const { plural } = this.#resource;
    const connection = new AbortController();
    const signal = AbortSignal.any([connection.signal, ended]);
    const silence = createSilenceTimer(this.#setTimer, silenceMs, () => connection.abort());
    try {
      const stream = await this.#source.openWatch(this.#resource, this.#scope, from, { timeoutMs, signal });
      this.#contact();
      this.#opened += 1;
      const before = this.#machine.error;
      this.#machine.step({ type: 'opened' }, this.#now());
      this.#logChange(before);
      const splitter = createLineSplitter(EVENT_BYTES);
      for await (const chunk of stream) {
        this.#contact();
        silence.restart();
        for (const line of splitter.push(chunk)) this.#take(parseEvent<T>(line, this.#resource));
      }
    } catch (error) {
      if (error instanceof RangeError)
        throw new KubeError(`watch ${plural}: ${error.message}`, { kind: 'Invalid' }, { cause: error });
      if (!connection.signal.aborted) throw error;
      const message = `watch ${plural}: silent for ${silenceMs / 1000} s`;
      throw new KubeError(message, { kind: 'TimedOut' }, { cause: error });
    } finally {
      silence.stop();
      connection.abort();
    }
  }

  #take(event: WatchEvent<T>): void {
    const key = this.#machine.event(event);
    if (key === undefined) return;
    this.#events += 1;
    this.#notify(key);
  }
}

/**
 * Who waits for a list that is still to begin. Asking interrupts whatever the watcher does, an older list included: the
 * next list answers all who have asked by then.
 */
const createRefreshes = () => {
  type Waiter = ReturnType<typeof Promise.withResolvers<void>>;
  let interrupt = new AbortController();
  const asked: Waiter[] = [];
  const begun: Waiter[] = [];
  return {
    ask(): Promise<void> {
      const waiter = Promise.withResolvers<void>();
      asked.push(waiter);
      interrupt.abort();
      return waiter.promise;
    },
    /** A step begins, which a later question will interrupt; those before it are answered by the list it begins with. */
    interruption(): AbortSignal {
      begun.push(...asked.splice(0));
      interrupt = new AbortController();
      return interrupt.signal;
    },
    /** A list is complete. */
    listed(): void {
      for (const { resolve } of begun.splice(0)) resolve();
    },
    abort(error: KubeError): void {
      for (const { reject } of [...begun.splice(0), ...asked.splice(0)]) reject(error);
    },
  };
};

/** Neither a parser's message nor the line goes into the error: the object may be a Secret. */
const parseEvent = <T>(line: string, resource: Resource): WatchEvent<T> => {
  try {
    return JSON.parse(line) as WatchEvent<T>;
  } catch {
    throw new KubeError(`watch ${resource.plural}: a line is not JSON`, { kind: 'Invalid' });
  }
};

const createSilenceTimer = (setTimer: Clock['setTimer'], silenceMs: number, onSilence: () => void) => {
  let cancel = setTimer(silenceMs, onSilence);
  return {
    restart() {
      cancel();
      cancel = setTimer(silenceMs, onSilence);
    },
    stop: () => cancel(),
  };
};
