/**
 * One leader among the replicas of a program, by a Lease: drives elector-machine.ts against the API server.
 *
 * What the caller may rely on: `isLeader()` answers from this process's own monotonic clock, so a process that was paused and
 * wakes answers false at once, before it has heard of anybody. A rival takes the Lease no earlier than `leaseDurationMs` after
 * our last renewal was stored, and we count `renewDeadlineMs` from before it was sent: at least leaseDuration - renewDeadline
 * (4 s by default) lie between our deadline and the earliest takeover, however slow or lost the requests were. That margin
 * covers clocks whose rates differ, up to leaseDuration : renewDeadline, and the time from `isLeader()` to the effect of what
 * it allowed. A Lease that is given away by `release()`, or emptied or edited by hand, has no margin.
 * CLOCK_MONOTONIC stands still while a machine is suspended (hibernated); such a machine is not covered.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import { apiVersionOf } from './client.ts';
import {
  ELECTOR_TIMES,
  type ElectorAction,
  type ElectorInput,
  ElectorMachine,
  type ElectorTimes,
  type Instant,
} from './elector-machine.ts';
import { isKubeError } from './errors.ts';
import { LEASES, type Lease } from './lease-types.ts';
import type { CallOptions, Key, KubeClient } from './types.ts';

export type ElectorOptions = Partial<ElectorTimes> & {
  client: Pick<KubeClient, 'get' | 'create' | 'replace'>;
  /** The Lease: `namespace/name`. It is created when missing. */
  key: Key;
  /** Unique per process; default: `electorIdentity()`. */
  identity?: string;
  clock?: Clock;
  /** Numbers in [0, 1); default Math.random. */
  random?: () => number;
  /** Told of each call that failed, a lost race apart; it is tried again. Must not throw. */
  onError: (error: unknown) => void;
  /** Told of each write of the Lease, however it ended, with the milliseconds that it took. Must not throw. Default: nobody is. */
  onWrite?: (tookMs: number) => void;
};

/** `hostname_uuid`, as client-go's callers name themselves: a restarted process is another one. */
export const electorIdentity = (): string => `${hostname()}_${randomUUID()}`;

/** Attempts to empty the Lease: on what is known, then on what is there. */
const RELEASE_ATTEMPTS = 3;
/** Deadline of each call that empties the Lease. */
const RELEASE_CALL_MS = 5_000;

/** Somebody else was faster: another write, a create or a delete. */
const isLostRace = (error: unknown): boolean =>
  isKubeError(error, 'Conflict') || isKubeError(error, 'AlreadyExists') || isKubeError(error, 'NotFound');

/** One candidate of the process that it runs in. */
export class Elector {
  readonly #client: ElectorOptions['client'];
  readonly #key: Key;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #machine: ElectorMachine;
  readonly #stopping = new AbortController();
  readonly #onWrite: (tookMs: number) => void;
  #electedAtMs = Number.POSITIVE_INFINITY;
  #ledUntilMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  /** Aborted by a nudge; a read begun later has seen what the nudge was about. */
  #nudged = new AbortController();

  /** @throws RangeError unless leaseDuration > renewDeadline > 1.2 x retryPeriod. */
  constructor(options: ElectorOptions) {
    const { identity = electorIdentity(), random = Math.random } = options;
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = { ...ELECTOR_TIMES, ...options };
    this.#client = options.client;
    this.#key = options.key;
    this.#clock = options.clock ?? systemClock;
    this.#onError = options.onError;
    this.#onWrite = options.onWrite ?? (() => undefined);
    this.#machine = new ElectorMachine({ leaseDurationMs, renewDeadlineMs, retryPeriodMs, identity, random });
  }

  /** Whether this process leads now, by its own clock: ask before every act that only the leader may do. */
  isLeader(): boolean {
    return this.#clock.now() < this.#machine.deadlineMs;
  }

  /** Monotonic time until which it leads unless it renews; -Infinity while it does not lead. */
  deadlineMs(): number {
    return this.#machine.deadlineMs;
  }

  /**
   * Stands for election, renews, and stands again when leadership was lost, until the signal aborts. To be called once. Never
   * rejects.
   * @param onElected told of each election with a signal that aborts when that leadership ends, from which moment `isLeader()` is
   *   false until the next one; must not throw. Default: nobody is
   */
  run(signal: AbortSignal, onElected: (reign: AbortSignal) => void = () => undefined): Promise<void> {
    this.#running ??= this.#stand(AbortSignal.any([signal, this.#stopping.signal]), onElected);
    return this.#running;
  }

  /** Monotonic time at which the leadership under way began; Infinity: this process does not lead. */
  electedAtMs(): number {
    return this.#electedAtMs;
  }

  /**
   * Monotonic time at which this process last knew of a leader: now, if it leads; else the later of the end of its own leadership
   * and the last change of the Lease by somebody else. -Infinity: it knows of none yet.
   */
  leaderSeenMs(): number {
    return this.isLeader() ? this.#clock.now() : Math.max(this.#ledUntilMs, this.#machine.otherSeenMs);
  }

  /** Who holds the Lease as this process last saw it. */
  leaderIdentity(): string | undefined {
    return this.#machine.holder;
  }

  /** The Lease was seen to change, by a watch: a standby looks at once instead of at its next turn; a leader does nothing. */
  nudge(): void {
    this.#nudged.abort();
  }

  /**
   * Ends `run` and empties the Lease if it is ours, so that a standby need not wait for it to run out. Call it when nothing is
   * under way any more that only the leader may do. Failures go to `onError`; nothing but time is lost by them.
   */
  async release(): Promise<void> {
    this.#machine.resign();
    this.#stopping.abort();
    await this.#running;
    await this.#empty().catch(this.#onError);
  }

  async #stand(signal: AbortSignal, onElected: (reign: AbortSignal) => void): Promise<void> {
    const machine = this.#machine;
    let reign: { number: number; end: AbortController } | undefined;
    const follow = (): void => {
      if (reign && reign.number !== machine.reign) {
        this.#ledUntilMs = this.#clock.now();
        this.#electedAtMs = Number.POSITIVE_INFINITY;
        reign.end.abort();
        reign = undefined;
      }
      if (reign || machine.reign === undefined) return;
      reign = { number: machine.reign, end: new AbortController() };
      this.#electedAtMs = this.#clock.now();
      onElected(reign.end.signal);
    };
    const resign = (): void => {
      machine.resign();
      follow();
    };
    signal.addEventListener('abort', resign, { once: true });
    let action = machine.step({ type: 'waited' }, this.#instant());
    while (!signal.aborted) {
      const input = await this.#perform(action, signal);
      if (signal.aborted) break;
      action = machine.step(input, this.#instant());
      follow();
    }
    signal.removeEventListener('abort', resign);
    resign();
  }

  #instant(): Instant {
    return { nowMs: this.#clock.now(), wallMs: this.#clock.wall() };
  }

  async #perform(action: ElectorAction, signal: AbortSignal): Promise<ElectorInput> {
    const clock = this.#clock;
    if (action.do === 'wait') {
      const interrupt = this.isLeader() ? signal : AbortSignal.any([signal, this.#nudged.signal]);
      await sleep(clock, action.delayMs, interrupt);
      return { type: 'waited' };
    }
    const startedMs = clock.now();
    try {
      if (action.do === 'read') {
        this.#nudged = new AbortController();
        return { type: 'read', lease: await this.#read({ timeoutMs: action.timeoutMs, signal }) };
      }
      const lease = await this.#write(action, signal).finally(() => this.#onWrite(clock.now() - startedMs));
      return { type: 'written', lease, startedMs };
    } catch (error) {
      if (signal.aborted) return { type: 'failed' };
      if (isLostRace(error)) return { type: 'refused' };
      this.#onError(error);
      return { type: 'failed' };
    }
  }

  #read(call: CallOptions): Promise<Lease | undefined> {
    return this.#client.get<Lease>(LEASES, this.#key, call).catch((error: unknown) => {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    });
  }

  #write(action: Extract<ElectorAction, { do: 'create' | 'replace' }>, signal: AbortSignal): Promise<Lease> {
    const call = { timeoutMs: action.timeoutMs, signal };
    if (action.do === 'replace') return this.#client.replace(LEASES, action.lease, call);
    const [namespace = '', name = ''] = this.#key.split('/');
    const metadata = { name, namespace };
    return this.#client.create(
      LEASES,
      { apiVersion: apiVersionOf(LEASES), kind: LEASES.kind, metadata, spec: action.spec },
      call,
    );
  }

  async #empty(): Promise<void> {
    const machine = this.#machine;
    const call = { timeoutMs: RELEASE_CALL_MS };
    let known = machine.lease;
    for (let attempt = 0; attempt < RELEASE_ATTEMPTS; attempt++) {
      const wallMs = this.#clock.wall();
      // What was last seen may be older than a write whose answer never came.
      const released =
        machine.released(known, wallMs) ?? machine.released(await this.#read(call), this.#clock.wall());
      if (released === undefined) return;
      try {
        await this.#client.replace(LEASES, released, call);
        return;
      } catch (error) {
        if (!isLostRace(error)) throw error;
        known = undefined;
      }
    }
  }
}
