/**
 * Writes Events (events.k8s.io/v1), which `kubectl describe` shows with their counts. Fire and forget: an Event that
 * cannot be written is dropped and counted, and never holds up the work it tells about.
 *
 * Bounds: a few thousand waiting Events, repetitions of one counted as one; a few writers, so that a storm of Events leaves
 * connections to the calls that matter.
 */
import { type BackoffPolicy, backoffMs } from '../runtime/backoff.ts';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { formatMicroTime } from '../runtime/time.ts';
import { apiVersionOf } from './client.ts';
import { isKubeError, KubeError } from './errors.ts';
import type { KubeClient, KubeObject, Resource } from './types.ts';

export const EVENTS: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event' };

/** The object an Event is about. */
export type ObjectReference = {
  apiVersion: string;
  kind: string;
  name: string;
  namespace?: string;
  uid?: string;
};

export type EventType = 'Normal' | 'Warning';

export type EventNote = {
  regarding: ObjectReference;
  type: EventType;
  /** CamelCase, at most 128 characters. */
  reason: string;
  /** What was done, in CamelCase; default: the reason. */
  action?: string;
  /** For people; cut at 1024 bytes. */
  message: string;
};

export type EventRecorderOptions = {
  client: Pick<KubeClient, 'create' | 'patch'>;
  /** `reportingController`, such as `example.io/operator`. */
  controller: string;
  /** `reportingInstance`: this process, such as its pod's name. */
  instance: string;
  /** Events written at the same time; default 4. */
  writers?: number;
  /** Gives up what is queued. */
  signal: AbortSignal;
  clock?: Clock;
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
  log?: Log;
};

/** Waiting Events: four for each of a thousand pairs that change at once. The oldest goes first when it is full. */
const QUEUE_LIMIT = 4096;
const WRITERS = 4;
/** A full queue is told of once in this time. */
const TELL_MS = 60_000;
/** A repetition within this time of the last one is counted on the first Event instead of written anew. */
const SERIES_MS = 10 * 60_000;
/** Remembered series; the oldest is forgotten first. */
const SERIES_LIMIT = 4096;
const ATTEMPTS = 3;
const RETRY: BackoffPolicy = { firstMs: 500, baseMs: 1_000, maxMs: 5_000 };
const CALL_MS = 7_000;
const MESSAGE_BYTES = 1024;

type StoredEvent = KubeObject & {
  eventTime: string;
  type: EventType;
  reason: string;
  action: string;
  note: string;
  regarding: ObjectReference;
  reportingController: string;
  reportingInstance: string;
  series?: { count: number; lastObservedTime: string };
};

/** What was written: `namespace/name` of the Event, how often it was seen. */
type Series = { key: string; count: number; lastMs: number };

/** `times`: how often it was recorded while it waited; the times are those of the last one. */
type Pending = EventNote & { times: number; atMs: number; wallMs: number };

/** The reference of an object as the API server returned it. */
export const referenceTo = (object: KubeObject, resource: Resource): ObjectReference => ({
  apiVersion: apiVersionOf(resource),
  kind: resource.kind,
  name: object.metadata.name,
  ...(object.metadata.namespace && { namespace: object.metadata.namespace }),
  ...(object.metadata.uid && { uid: object.metadata.uid }),
});

/** Writes the Events of one program. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Waiting Events by identity, oldest first. */
  readonly #queue = new Map<string, Pending>();
  /** Identities being written: a repetition waits, so that it is counted instead of written beside the first. */
  readonly #inFlight = new Set<string>();
  readonly #seen = new Map<string, Series>();
  readonly #writers = new Set<Promise<void>>();
  /** Falls the moment a writer finds nothing: its promise is settled a little later. */
  #writing = 0;
  #dropped = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  /** Queues an Event; returns at once, never throws. */
  record(note: EventNote): void {
    const clock = this.#clock;
    const identity = identityOf(note);
    const waiting = this.#queue.get(identity);
    const times = (waiting?.times ?? 0) + 1;
    const [oldest] = this.#queue;
    if (!waiting && this.#queue.size >= QUEUE_LIMIT && oldest) this.#drop(...oldest);
    this.#queue.set(identity, { ...note, times, atMs: clock.now(), wallMs: clock.wall() });
    if (this.#writing >= (this.#options.writers ?? WRITERS)) return;
    this.#writing += 1;
    const writer: Promise<void> = this.#drain().finally(() => this.#writers.delete(writer));
    this.#writers.add(writer);
  }

  /** Events given up since the start: the queue was full, or the API server refused them. */
  dropped(): number {
    return this.#dropped;
  }

  /** Events that wait, repetitions of one counted as one. */
  depth(): number {
    return this.#queue.size;
  }

  /** Resolves when the queue is empty: written or given up. */
  async flush(): Promise<void> {
    while (this.#writers.size > 0) await Promise.all(this.#writers);
  }

  #next(): [identity: string, pending: Pending] | undefined {
    for (const entry of this.#queue) if (!this.#inFlight.has(entry[0])) return entry;
    return undefined;
  }

  /** One writer: ends when nothing waits but repetitions of what another writer has, which that one will find. */
  async #drain(): Promise<void> {
    for (let entry = this.#next(); entry; entry = this.#next()) {
      const [identity, pending] = entry;
      this.#queue.delete(identity);
      this.#inFlight.add(identity);
      if (this.#options.signal.aborted) this.#dropped += pending.times;
      else await this.#deliver(identity, pending);
      this.#inFlight.delete(identity);
    }
    this.#writing -= 1;
  }

  #drop(identity: string, pending: Pending): void {
    this.#queue.delete(identity);
    this.#dropped += pending.times;
    const nowMs = this.#clock.now();
    if (nowMs - this.#toldAtMs < TELL_MS) return;
    this.#toldAtMs = nowMs;
    const [dropped, waiting] = [this.#dropped, this.#queue.size];
    this.#options.log?.warn(
      { reason: 'EventsDropped', dropped, waiting },
      'more Events than can be written: the oldest are dropped',
    );
  }

  async #deliver(identity: string, pending: Pending): Promise<void> {
    const { signal, log } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#write(identity, pending);
        return;
      } catch (error) {
        // A namespace on its way out takes no Events; nothing a retry could change.
        const isFinal = isKubeError(error, 'Invalid') || isKubeError(error, 'Forbidden');
        if (isFinal || attempt + 1 >= ATTEMPTS || signal.aborted) {
          this.#dropped += pending.times;
          log?.warn(
            { reason: 'EventNotWritten', err: error, event: pending.reason },
            'an Event was not written',
          );
          return;
        }
        const askedMs = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        const delayMs = Math.max(backoffMs(RETRY, attempt, this.#random()), Math.min(askedMs, RETRY.maxMs));
        await sleep(this.#clock, delayMs, signal);
      }
    }
  }

  async #write(identity: string, pending: Pending): Promise<void> {
    const seen = this.#seen;
    const series = seen.get(identity);
    if (series && pending.atMs - series.lastMs < SERIES_MS && (await this.#countOn(series, pending))) return;
    seen.delete(identity);
    const { client, signal } = this.#options;
    const event = eventOf(pending, this.#options, this.#random);
    await client.create(EVENTS, event, { timeoutMs: CALL_MS, signal });
    const { namespace, name } = event.metadata;
    seen.set(identity, { key: `${namespace}/${name}`, count: pending.times, lastMs: pending.atMs });
    const [oldest] = seen.keys();
    if (seen.size > SERIES_LIMIT && oldest !== undefined) seen.delete(oldest);
  }

  /** @returns false when the Event has expired meanwhile. */
  async #countOn(series: Series, pending: Pending): Promise<boolean> {
    const { client, signal } = this.#options;
    const value = { count: series.count + pending.times, lastObservedTime: formatMicroTime(pending.wallMs) };
    try {
      const operations = [{ op: 'add', path: '/series', value }];
      await client.patch(EVENTS, series.key, operations, { timeoutMs: CALL_MS, signal });
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return false;
      throw error;
    }
    series.count = value.count;
    series.lastMs = pending.atMs;
    return true;
  }
}

const identityOf = ({ regarding, type, reason, message }: EventNote): string =>
  JSON.stringify([regarding.kind, regarding.namespace, regarding.name, regarding.uid, type, reason, message]);

const eventOf = (
  pending: Pending,
  { controller, instance }: EventRecorderOptions,
  random: () => number,
): StoredEvent => {
  const { regarding, type, reason, action = reason, message, times, wallMs } = pending;
  // As client-go names them: the object, a dot, the time in hex. The random part keeps two processes apart.
  const suffix = `${Math.floor(wallMs * 1000).toString(16)}${Math.floor(random() * 0xffff).toString(16)}`;
  return {
    apiVersion: apiVersionOf(EVENTS),
    kind: EVENTS.kind,
    metadata: {
      name: `${regarding.name.slice(0, 200)}.${suffix}`,
      // Events about cluster-wide objects live in `default`.
      namespace: regarding.namespace ?? 'default',
    },
    eventTime: formatMicroTime(wallMs),
    type,
    reason,
    action,
    note: cutUTF8(message, MESSAGE_BYTES),
    regarding,
    reportingController: controller,
    reportingInstance: instance,
    ...(times > 1 && { series: { count: times, lastObservedTime: formatMicroTime(wallMs) } }),
  };
};

/** The longest beginning of `text` within `limit` bytes that ends on a whole character. */
const cutUTF8 = (text: string, limit: number): string => {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  return bytes
    .subarray(0, limit)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
};
