/**
 * One leader among the replicas of a program, by a Lease: drives elector-machine.ts against the API server.
 *
 * What the caller may rely on: `isLeader()` answers from this process's own monotonic clock, so a process that was paused and
 * wakes answers false at once, before it has heard of anybody. A rival takes the Lease no earlier than `leaseDurationMs` after
 * our last renewal was stored, and we count `renewDeadlineMs` from before it was sent: at least leaseDuration - renewDeadline
 * (5 s by default) lie between our deadline and the earliest takeover, however slow or lost the requests were. That margin
 * covers clocks whose rates differ, up to leaseDuration : renewDeadline, and the time from `isLeader()` to the effect of what
 * it allowed. A Lease that is given away by `release()`, or emptied or edited by hand, has no margin.
 * CLOCK_MONOTONIC stands still while a machine is suspended (hibernated); such a machine is not covered.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import { apiVersionOf } from './client.ts';
import {
  createElectorMachine,
  ELECTOR_TIMES,
  type ElectorAction,
  type ElectorInput,
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
};

export type Elector = {
  /** Whether this process leads now, by its own clock: ask before every act that only the leader may do. */
  isLeader(): boolean;
  /** Monotonic time until which it leads unless it renews; -Infinity while it does not lead. */
  deadlineMs(): number;
  /**
   * Stands for election and renews, until leadership is lost or the signal aborts; from that moment `isLeader()` is false.
   * To be called once: a process that lost leads no more. Never rejects.
   */
  run(signal: AbortSignal): Promise<'Lost' | 'Stopped'>;
  /** Resolves when this process leads for the first time. */
  elected: Promise<void>;
  /** Monotonic time at which it was elected; Infinity: it was not yet. */
  electedAtMs(): number;
  /** Who holds the Lease as this process last saw it. */
  leaderIdentity(): string | undefined;
  /** The Lease was seen to change, by a watch: a standby looks at once instead of at its next turn; a leader does nothing. */
  nudge(): void;
  /**
   * Ends `run` and empties the Lease if it is ours, so that a standby need not wait for it to run out. Call it when nothing is
   * under way any more that only the leader may do. Failures go to `onError`; nothing but time is lost by them.
   */
  release(): Promise<void>;
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

/** @throws RangeError unless leaseDuration > renewDeadline > 1.2 x retryPeriod. */
export const createElector = (options: ElectorOptions): Elector => {
  const { client, key, clock = systemClock, random = Math.random, onError } = options;
  const times: ElectorTimes = {
    leaseDurationMs: options.leaseDurationMs ?? ELECTOR_TIMES.leaseDurationMs,
    renewDeadlineMs: options.renewDeadlineMs ?? ELECTOR_TIMES.renewDeadlineMs,
    retryPeriodMs: options.retryPeriodMs ?? ELECTOR_TIMES.retryPeriodMs,
  };
  const machine = createElectorMachine({ ...times, identity: options.identity ?? electorIdentity(), random });
  const { promise: elected, resolve: resolveElected } = Promise.withResolvers<void>();
  const stopping = new AbortController();
  let electedAtMs = Number.POSITIVE_INFINITY;
  let running: Promise<'Lost' | 'Stopped'> | undefined;
  /** Aborted by a nudge; a read begun later has seen what the nudge was about. */
  let nudged = new AbortController();

  const instant = (): Instant => ({ nowMs: clock.now(), wallMs: clock.wall() });

  const stand = async (signal: AbortSignal): Promise<'Lost' | 'Stopped'> => {
    const resign = () => machine.resign();
    signal.addEventListener('abort', resign, { once: true });
    let action = machine.step({ type: 'waited' }, instant());
    while (!signal.aborted && action.do !== 'end') {
      const input = await perform(action, signal);
      if (signal.aborted) break;
      action = machine.step(input, instant());
      if (!machine.hasLed) continue;
      electedAtMs = Math.min(electedAtMs, clock.now());
      resolveElected();
    }
    signal.removeEventListener('abort', resign);
    machine.resign();
    return signal.aborted ? 'Stopped' : 'Lost';
  };

  const perform = async (
    action: Exclude<ElectorAction, { do: 'end' }>,
    signal: AbortSignal,
  ): Promise<ElectorInput> => {
    if (action.do === 'wait') {
      await sleep(clock, action.delayMs, machine.hasLed ? signal : AbortSignal.any([signal, nudged.signal]));
      return { type: 'waited' };
    }
    const startedMs = clock.now();
    try {
      if (action.do === 'read') {
        nudged = new AbortController();
        return { type: 'read', lease: await read({ timeoutMs: action.timeoutMs, signal }) };
      }
      return { type: 'written', lease: await write(action, signal), startedMs };
    } catch (error) {
      if (signal.aborted) return { type: 'failed' };
      if (isLostRace(error)) return { type: 'refused' };
      onError(error);
      return { type: 'failed' };
    }
  };

  const read = (call: CallOptions): Promise<Lease | undefined> =>
    client.get<Lease>(LEASES, key, call).catch((error: unknown) => {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    });

  const write = (
    action: Extract<ElectorAction, { do: 'create' | 'replace' }>,
    signal: AbortSignal,
  ): Promise<Lease> => {
    const call = { timeoutMs: action.timeoutMs, signal };
    if (action.do === 'replace') return client.replace(LEASES, action.lease, call);
    const [namespace = '', name = ''] = key.split('/');
    const metadata = { name, namespace };
    return client.create(
      LEASES,
      { apiVersion: apiVersionOf(LEASES), kind: LEASES.kind, metadata, spec: action.spec },
      call,
    );
  };

  const empty = async (): Promise<void> => {
    const call = { timeoutMs: RELEASE_CALL_MS };
    let known = machine.lease;
    for (let attempt = 0; attempt < RELEASE_ATTEMPTS; attempt++) {
      // What was last seen may be older than a write whose answer never came.
      const released =
        machine.released(known, clock.wall()) ?? machine.released(await read(call), clock.wall());
      if (released === undefined) return;
      try {
        await client.replace(LEASES, released, call);
        return;
      } catch (error) {
        if (!isLostRace(error)) throw error;
        known = undefined;
      }
    }
  };

  return {
    isLeader: () => clock.now() < machine.deadlineMs,
    deadlineMs: () => machine.deadlineMs,
    run(signal) {
      running ??= stand(AbortSignal.any([signal, stopping.signal]));
      return running;
    },
    elected,
    electedAtMs: () => electedAtMs,
    leaderIdentity: () => machine.holder,
    nudge: () => nudged.abort(),
    async release() {
      machine.resign();
      stopping.abort();
      await running;
      await empty().catch(onError);
    },
  };
};
