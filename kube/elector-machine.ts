/**
 * Leader election on a Lease by client-go's rules (tools/leaderelection), free of IO and clocks: what was seen of the Lease,
 * and what to do next. elector.ts drives it.
 *
 * Only times observed here count, never those written in the Lease: clocks may differ, their rates must not (much).
 *
 *     standing by --the Lease is free, written--> leading --renewed--> leading
 *                                                    |
 *                                                    +--deadline, or somebody else holds it--> lost
 */

import { formatMicroTime } from '../runtime/time.ts';
import type { Lease } from './lease-types.ts';

/** Milliseconds. */
export type ElectorTimes = {
  /** A rival waits this long after it last saw the Lease change; whole seconds, as the Lease stores it. */
  leaseDurationMs: number;
  /** A leader stops leading this long after it sent its last successful renewal. */
  renewDeadlineMs: number;
  /** Between two renewals; a standby looks at least this far apart, at random up to 2.2 times that. */
  retryPeriodMs: number;
};

/** client-go's 15 s, 10 s and 2 s. */
export const ELECTOR_TIMES: ElectorTimes = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
};

/** client-go's JitterFactor: a standby waits up to this share of the retry period longer. */
const JITTER = 1.2;

type LeaseSpec = NonNullable<Lease['spec']>;

/** What the driver has to do; it answers each with an input. */
export type ElectorAction =
  | { do: 'read'; timeoutMs: number }
  | { do: 'create'; spec: LeaseSpec; timeoutMs: number }
  /** A PUT with the resourceVersion that was read: it loses against any write in between. */
  | { do: 'replace'; lease: Lease; timeoutMs: number }
  | { do: 'wait'; delayMs: number }
  /** Leadership is lost, for good: a process that goes on starts anew. */
  | { do: 'end' };

export type ElectorInput =
  | { type: 'waited' }
  /** `undefined`: there is no such Lease. */
  | { type: 'read'; lease: Lease | undefined }
  /** @param startedMs monotonic time before the request was sent. */
  | { type: 'written'; lease: Lease; startedMs: number }
  /** Somebody else wrote, created or deleted it meanwhile. */
  | { type: 'refused' }
  /** No answer, or none that tells anything; a write may have worked. */
  | { type: 'failed' };

/** `nowMs`: monotonic; `wallMs`: since the Unix epoch, written into the Lease for people. */
export type Instant = { nowMs: number; wallMs: number };

export type ElectorMachine = {
  /** Monotonic time until which this process leads; -Infinity while it does not. */
  readonly deadlineMs: number;
  /** Whether it leads or led. */
  readonly hasLed: boolean;
  /** Who holds the Lease as it was last seen. */
  readonly holder: string | undefined;
  /** The Lease as it was last seen. */
  readonly lease: Lease | undefined;
  /** Takes the outcome of an action and names the next; the first input is `waited`. */
  step(input: ElectorInput, at: Instant): ElectorAction;
  /** Stops leading at once, so that the Lease may be given away. */
  resign(): void;
  /** `lease` emptied, as client-go's ReleaseOnCancel leaves it; undefined when it is not ours. */
  released(lease: Lease | undefined, wallMs: number): Lease | undefined;
};

/**
 * @param random numbers in [0, 1)
 * @throws RangeError unless leaseDuration > renewDeadline > 1.2 x retryPeriod > 0, the lease in whole seconds
 */
export const createElectorMachine = (
  options: ElectorTimes & { identity: string; random: () => number },
): ElectorMachine => {
  const { identity, random, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  checkTimes(options);
  // One request that hangs must not cost the lease.
  const callMs = Math.max(1_000, renewDeadlineMs / 2);
  let lease: Lease | undefined;
  /** Who held the Lease when it last changed. It outlives the Lease: deleting it frees nobody of the holder's time. */
  let seen: { record: string; holder: string; durationMs: number; atMs: number } | undefined;
  let hasLed = false;
  let deadlineMs = Number.NEGATIVE_INFINITY;
  let refusals = 0;

  const observe = (found: Lease | undefined, nowMs: number): void => {
    lease = found;
    if (found === undefined) return;
    const spec = found.spec ?? {};
    const record = JSON.stringify(spec);
    if (record === seen?.record) return;
    const durationMs = spec.leaseDurationSeconds ? spec.leaseDurationSeconds * 1000 : leaseDurationMs;
    seen = { record, holder: spec.holderIdentity ?? '', durationMs, atMs: nowMs };
  };

  const freeAtMs = (): number =>
    seen === undefined || seen.holder === '' || seen.holder === identity
      ? Number.NEGATIVE_INFINITY
      : seen.atMs + seen.durationMs;

  const timeoutMs = (nowMs: number): number =>
    Math.ceil(hasLed ? Math.min(callMs, deadlineMs - nowMs) : callMs);

  /** A standby also wakes the moment the Lease is free. */
  const wait = (nowMs: number): ElectorAction => {
    if (hasLed) return { do: 'wait', delayMs: Math.min(retryPeriodMs, deadlineMs - nowMs) };
    const delayMs = retryPeriodMs * (1 + JITTER * random());
    const untilFreeMs = freeAtMs() - nowMs;
    return { do: 'wait', delayMs: untilFreeMs > 0 ? Math.min(delayMs, untilFreeMs) : delayMs };
  };

  const write = ({ nowMs, wallMs }: Instant): ElectorAction => {
    const now = formatMicroTime(wallMs);
    const before = lease?.spec;
    const isOurs = before?.holderIdentity === identity;
    const transitions = before?.leaseTransitions ?? 0;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: leaseDurationMs / 1000,
      acquireTime: isOurs ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: lease === undefined || isOurs ? transitions : transitions + 1,
    };
    if (lease === undefined) return { do: 'create', spec, timeoutMs: timeoutMs(nowMs) };
    return { do: 'replace', lease: { ...lease, spec }, timeoutMs: timeoutMs(nowMs) };
  };

  const end = (): ElectorAction => {
    deadlineMs = Number.NEGATIVE_INFINITY;
    return { do: 'end' };
  };

  /** A leader writes what it holds without reading first; a write of somebody else refuses it. */
  const begin = (at: Instant): ElectorAction => {
    refusals = 0;
    return hasLed && lease !== undefined ? write(at) : { do: 'read', timeoutMs: timeoutMs(at.nowMs) };
  };

  const takeRead = (found: Lease | undefined, at: Instant): ElectorAction => {
    observe(found, at.nowMs);
    if (hasLed && found !== undefined && found.spec?.holderIdentity !== identity) return end();
    return !hasLed && at.nowMs < freeAtMs() ? wait(at.nowMs) : write(at);
  };

  const takeWritten = (written: Lease, startedMs: number, at: Instant): ElectorAction => {
    observe(written, at.nowMs);
    const untilMs = startedMs + renewDeadlineMs;
    // A process that slept over its first answer holds the Lease and leads only once it has renewed it.
    if (untilMs <= at.nowMs) return write(at);
    hasLed = true;
    deadlineMs = untilMs;
    return wait(at.nowMs);
  };

  return {
    get deadlineMs() {
      return deadlineMs;
    },
    get hasLed() {
      return hasLed;
    },
    get holder() {
      return lease?.spec?.holderIdentity || undefined;
    },
    get lease() {
      return lease;
    },
    step(input, at) {
      // Whatever comes after the deadline comes too late: in between this process was not the leader.
      if (hasLed && at.nowMs >= deadlineMs) return end();
      switch (input.type) {
        case 'waited':
          return begin(at);
        case 'read':
          return takeRead(input.lease, at);
        case 'written':
          return takeWritten(input.lease, input.startedMs, at);
        case 'refused':
          return refusals++ === 0 ? { do: 'read', timeoutMs: timeoutMs(at.nowMs) } : wait(at.nowMs);
        case 'failed':
          return wait(at.nowMs);
      }
    },
    resign() {
      deadlineMs = Number.NEGATIVE_INFINITY;
    },
    released(found, wallMs) {
      if (found?.spec?.holderIdentity !== identity) return undefined;
      const now = formatMicroTime(wallMs);
      const { leaseTransitions = 0 } = found.spec;
      const spec = {
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTime: now,
        renewTime: now,
        leaseTransitions,
      };
      return { ...found, spec };
    },
  };
};

const checkTimes = ({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }: ElectorTimes): void => {
  const problem =
    (!(retryPeriodMs > 0) && 'retryPeriodMs must be positive') ||
    (!(renewDeadlineMs > JITTER * retryPeriodMs) &&
      `renewDeadlineMs must exceed ${JITTER} x retryPeriodMs`) ||
    (!(leaseDurationMs > renewDeadlineMs) && 'leaseDurationMs must exceed renewDeadlineMs') ||
    (leaseDurationMs % 1000 !== 0 && 'leaseDurationMs must be whole seconds');
  if (problem) {
    throw new RangeError(
      `leader election: ${problem} (${leaseDurationMs}/${renewDeadlineMs}/${retryPeriodMs} ms)`,
    );
  }
};
