/** Keeps an in-memory copy of a scope fresh: drives the state machine of watch-machine.ts against the API server. */
import type { BackoffPolicy } from '../runtime/backoff.ts';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { keyOf, type WatchSource } from './client.ts';
import { KubeError } from './errors.ts';
import { createLineSplitter } from './lines.ts';
import type { KubeObject, OnChange, Resource, Scope, Store } from './types.ts';
import { createWatchMachine, type WatchAction, type WatchEvent, type WatchMachine } from './watch-machine.ts';

export type WatchOptions = {
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
  options: WatchOptions,
): Store<T> => {
  const { now = systemClock.now, random = Math.random, retry, log } = options;
  const { silenceMs = SILENCE_MS, answerMs = ANSWER_MS } = options;
  const machine = createWatchMachine<T>({ keyOf, random, ...(retry && { retry }) });
  const { promise: synced, resolve: resolveSynced } = Promise.withResolvers<void>();
  const refreshes = createRefreshes();
  let lastContactMs = Number.NEGATIVE_INFINITY;
  let opened = 0;
  let events = 0;
  const contact = () => {
    lastContactMs = now();
  };
  const notify = (key: string) => {
    try {
      options.onChange(key);
    } catch (error) {
      log?.error({ err: error, key }, `the handler of changed ${resource.plural} threw`);
    }
  };

  const run = async () => {
    let action = machine.start();
    while (!options.signal.aborted) {
      const before = machine.error;
      const lists = machine.lists;
      const interrupted = refreshes.interruption();
      const result = await perform(action, AbortSignal.any([options.signal, interrupted]));
      if (options.signal.aborted) break;
      logTurn(log, resource, before, machine.error);
      for (const key of result.changed) notify(key);
      if (machine.lists > lists) {
        resolveSynced();
        refreshes.listed();
      }
      action = interrupted.aborted ? machine.start() : result.action;
    }
    refreshes.abort(new KubeError(`refresh ${resource.plural}: the watch was ended`, { kind: 'Aborted' }));
  };

  const perform = async (
    action: WatchAction,
    signal: AbortSignal,
  ): Promise<ReturnType<WatchMachine<T>['step']>> => {
    try {
      switch (action.do) {
        case 'wait':
          await sleep(
            options.setTimer ? { setTimer: options.setTimer } : systemClock,
            action.delayMs,
            signal,
          );
          return { changed: [], action: action.next };
        case 'list': {
          const call = { timeoutMs: answerMs, signal };
          const page = await source.listPage<T>(resource, scope, action.continueToken, call);
          contact();
          return machine.step({ type: 'page', ...page }, now());
        }
        case 'watch':
          await follow(action, signal);
          return machine.step({ type: 'ended' }, now());
      }
    } catch (error) {
      // Broken off on purpose: not the API server's failure.
      if (signal.aborted) return { changed: [], action };
      const failure = error instanceof Error ? error : new Error(String(error));
      return machine.step({ type: 'failed', error: failure }, now());
    }
  };

  /** Takes events until the stream ends. @throws KubeError */
  const follow = async (from: Extract<WatchAction, { do: 'watch' }>, ended: AbortSignal): Promise<void> => {
    const connection = new AbortController();
    const signal = AbortSignal.any([connection.signal, ended]);
    const setTimer = options.setTimer ?? systemClock.setTimer;
    const silence = createSilenceTimer(setTimer, silenceMs, () => connection.abort());
    try {
      const stream = await source.openWatch(resource, scope, from, { timeoutMs: answerMs, signal });
      contact();
      opened += 1;
      const before = machine.error;
      machine.step({ type: 'opened' }, now());
      logTurn(log, resource, before, machine.error);
      const splitter = createLineSplitter(EVENT_BYTES);
      for await (const chunk of stream) {
        contact();
        silence.restart();
        for (const line of splitter.push(chunk)) {
          const key = machine.event(parseEvent<T>(line, resource));
          if (key === undefined) continue;
          events += 1;
          notify(key);
        }
      }
    } catch (error) {
      if (error instanceof RangeError) {
        throw new KubeError(
          `watch ${resource.plural}: ${error.message}`,
          { kind: 'Invalid' },
          { cause: error },
        );
      }
      if (!connection.signal.aborted) throw error;
      const message = `watch ${resource.plural}: silent for ${silenceMs / 1000} s`;
      throw new KubeError(message, { kind: 'TimedOut' }, { cause: error });
    } finally {
      silence.stop();
      connection.abort();
    }
  };

  void run();
  return {
    synced,
    get: (key) => machine.objects.get(key),
    list: () => [...machine.objects.values()],
    lastContactMs: () => lastContactMs,
    error: () => machine.error,
    refresh: () =>
      options.signal.aborted
        ? Promise.reject(
            new KubeError(`refresh ${resource.plural}: the watch was ended`, { kind: 'Aborted' }),
          )
        : refreshes.ask(),
    stats: () => ({
      relists: Math.max(0, machine.lists - 1),
      reconnects: Math.max(0, opened - 1),
      events,
      objects: machine.objects.size,
      lastContactMs,
    }),
  };
};

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

/** One line when the connection is lost, one when it is back; none for each retry in between. */
const logTurn = (
  log: Log | undefined,
  resource: Resource,
  before: Error | undefined,
  after: Error | undefined,
): void => {
  if (!before && after) log?.warn({ plural: resource.plural, error: after.message }, 'watch lost, retrying');
  if (before && !after) log?.info({ plural: resource.plural }, 'watch is back');
};
