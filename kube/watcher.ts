/** Keeps an in-memory copy of a scope fresh: drives the state machine of watch-machine.ts against the API server. */
import type { BackoffPolicy } from './backoff.ts';
import { keyOf, type WatchSource } from './client.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { KubeError } from './errors.ts';
import { createLineSplitter } from './lines.ts';
import type { Log } from './log.ts';
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
  log?: Log;
};

/** The API server sends a bookmark every 60 s; longer silence means a dead connection. */
const SILENCE_MS = 70_000;
/** Bound of one event; etcd holds no object above 1.5 MiB. */
const EVENT_BYTES = 8 * 1024 * 1024;
/** Deadline of one page of a list, and of a watch's headers. */
const ANSWER_MS = 15_000;

/** Starts at once and runs until the signal aborts; every error is retried. */
export const watch = <T extends KubeObject>(
  source: WatchSource,
  resource: Resource,
  scope: Scope,
  options: WatchOptions,
): Store<T> => {
  const { now = systemClock.now, random = Math.random, retry, log } = options;
  const machine = createWatchMachine<T>({ keyOf, random, ...(retry && { retry }) });
  const { promise: synced, resolve: resolveSynced } = Promise.withResolvers<void>();
  let lastContactMs = Number.NEGATIVE_INFINITY;
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
      const result = await perform(action);
      if (options.signal.aborted) return;
      logTurn(log, resource, before, machine.error);
      if (machine.synced) resolveSynced();
      for (const key of result.changed) notify(key);
      action = result.action;
    }
  };

  const perform = async (action: WatchAction): Promise<ReturnType<WatchMachine<T>['step']>> => {
    try {
      switch (action.do) {
        case 'wait':
          await sleep(
            options.setTimer ? { setTimer: options.setTimer } : systemClock,
            action.delayMs,
            options.signal,
          );
          return { changed: [], action: action.next };
        case 'list': {
          const call = { timeoutMs: ANSWER_MS, signal: options.signal };
          const page = await source.listPage<T>(resource, scope, action.continueToken, call);
          contact();
          return machine.step({ type: 'page', ...page }, now());
        }
        case 'watch':
          await follow(action);
          return machine.step({ type: 'ended' }, now());
      }
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      return machine.step({ type: 'failed', error: failure }, now());
    }
  };

  /** Takes events until the stream ends. @throws KubeError */
  const follow = async (from: Extract<WatchAction, { do: 'watch' }>): Promise<void> => {
    const connection = new AbortController();
    const signal = AbortSignal.any([connection.signal, options.signal]);
    const silence = createSilenceTimer(options.setTimer ?? systemClock.setTimer, () => connection.abort());
    try {
      const stream = await source.openWatch(resource, scope, from, { timeoutMs: ANSWER_MS, signal });
      contact();
      const before = machine.error;
      machine.step({ type: 'opened' }, now());
      logTurn(log, resource, before, machine.error);
      const splitter = createLineSplitter(EVENT_BYTES);
      for await (const chunk of stream) {
        contact();
        silence.restart();
        for (const line of splitter.push(chunk)) {
          const key = machine.event(parseEvent<T>(line, resource));
          if (key !== undefined) notify(key);
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
      const message = `watch ${resource.plural}: silent for ${SILENCE_MS / 1000} s`;
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

const createSilenceTimer = (setTimer: Clock['setTimer'], onSilence: () => void) => {
  let cancel = setTimer(SILENCE_MS, onSilence);
  return {
    restart() {
      cancel();
      cancel = setTimer(SILENCE_MS, onSilence);
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
