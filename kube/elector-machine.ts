/**
 * Leader election on a Lease by client-go's rules (tools/leaderelection), free of IO and clocks: what was seen of the Lease,
 * and what to do next. elector.ts drives it.
 *
 * Only times observed here count, never those written in the Lease: clocks may differ, their rates must not (much).
 *
 *     standing by --the Lease is free, written--> leading --renewed--> leading
 *          ^                                         |
 *          +----deadline, or somebody else holds it--+
 *
 * Who lost stands again as anybody does; each time it is elected begins a reign of its own.
 */

import { formatMicroTime } from '../runtime/time.ts';
import type { Lease } from './lease-types.ts';

/** The times of an election, in milliseconds. */
export type ElectorTimes = {
  /** A rival waits this long after it last saw the Lease change; whole seconds, as the Lease stores it. */
  leaseDurationMs: number;
  /** A leader stops leading this long after it sent its last successful renewal: more than two writes, however slow they are. */
  renewDeadlineMs: number;
  /** Between two renewals; a standby looks at least this far apart, at random up to 2.2 times that. */
  retryPeriodMs: number;
};

/** client-go's times, but for a renewDeadline of 11 s instead of 10: a leader whose every write takes 5 s goes on leading. */
export const ELECTOR_TIMES: ElectorTimes = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 11_000,
  retryPeriodMs: 2_000,
};

/** client-go's JitterFactor: a standby waits up to this share of the retry period longer. */
const JITTER = 1.2;

/** A call's share of the renewDeadline: one that hangs must not cost the lease, and one that is slow is to have its answer. */
const CALL_SHARE = 0.6;

type LeaseSpec = NonNullable<Lease['spec']>;

/** What the driver has to do; it answers each with an input. */
export type ElectorAction =
  | { do: 'read'; timeoutMs: number }
  | { do: 'create'; spec: LeaseSpec; timeoutMs: number }
  /** A PUT with the resourceVersion that was read: it loses against any write in between. */
  | { do: 'replace'; lease: Lease; timeoutMs: number }
  | { do: 'wait'; delayMs: number };

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

/** One candidate: what it knows of the Lease, and until when it leads. */
export class ElectorMachine {
  readonly #identity: string;
  /** Numbers in [0, 1). */
  readonly #random: () => number;
  readonly #times: ElectorTimes;
  readonly #callMs: number;
  #lease: Lease | undefined;
  /** Who held the Lease when it last changed. It outlives the Lease: deleting it frees nobody of the holder's time. */
  #seen: { record: string; holder: string; durationMs: number; atMs: number } | undefined;
  #isLeading = false;
  #reigns = 0;
  #deadlineMs = Number.NEGATIVE_INFINITY;
  /** When the last write began. */
  #writeAtMs = Number.NEGATIVE_INFINITY;
  #refusals = 0;

  /** @throws RangeError unless leaseDuration > renewDeadline > 1.2 x retryPeriod > 0, the lease in whole seconds */
  constructor({ identity, random, ...times }: ElectorTimes & { identity: string; random: () => number }) {
    checkTimes(times);
    this.#identity = identity;
    this.#random = random;
    this.#times = times;
    this.#callMs = Math.max(1_000, CALL_SHARE * times.renewDeadlineMs);
  }

  /** Monotonic time until which this process leads; -Infinity while it does not. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** The number of the reign under way; undefined: it does not lead. */
  get reign(): number | undefined {
    return this.#isLeading ? this.#reigns : undefined;
  }

  /**
   * Monotonic time at which a holder other than this one was last seen to change the Lease; -Infinity: never. It may write the
   * Lease and lead all the same not, if it hears no answer: then it is that one's to know.
   */
  get otherSeenMs(): number {
    const { holder, atMs } = this.#seen ?? { holder: '', atMs: 0 };
    return holder === '' || holder === this.#identity ? Number.NEGATIVE_INFINITY : atMs;
  }

  /** Who holds the Lease as it was last seen. */
  get holder(): string | undefined {
    return this.#lease?.spec?.holderIdentity || undefined;
  }

  /** The Lease as it was last seen. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** Takes the outcome of an action and names the next; the first input is `waited`. `reign` may be another one afterwards. */
  step(input: ElectorInput, at: Instant): ElectorAction {
    // Whatever comes after the deadline comes too late: in between this process was not the leader.
    if (this.#isLeading && at.nowMs >= this.#deadlineMs) this.resign();
    switch (input.type) {
      case 'waited':
        return this.#begin(at);
      case 'read':
        return this.#takeRead(input.lease, at);
      case 'written':
        return this.#takeWritten(input.lease, input.startedMs, at);
      case 'refused':
        return this.#refusals++ === 0
          ? { do: 'read', timeoutMs: this.#timeoutMs(at.nowMs) }
          : this.#wait(at.nowMs);
      case 'failed':
        return this.#wait(at.nowMs);
    }
  }

  /** Stops leading at once, so that the Lease may be given away. */
  resign(): void {
    this.#isLeading = false;
    this.#deadlineMs = Number.NEGATIVE_INFINITY;
  }

  /** `lease` emptied, as client-go's ReleaseOnCancel leaves it; undefined when it is not ours. */
  released(lease: Lease | undefined, wallMs: number): Lease | undefined {
    if (lease?.spec?.holderIdentity !== this.#identity) return undefined;
    const now = formatMicroTime(wallMs);
    const { leaseTransitions = 0 } = lease.spec;
    const spec = {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions,
    };
    return { ...lease, spec };
  }

  #observe(found: Lease | undefined, nowMs: number): void {
    this.#lease = found;
    if (found === undefined) return;
    const spec = found.spec ?? {};
    const record = JSON.stringify(spec);
    if (record === this.#seen?.record) return;
    const { leaseDurationMs } = this.#times;
    const durationMs = spec.leaseDurationSeconds ? spec.leaseDurationSeconds * 1000 : leaseDurationMs;
    this.#seen = { record, holder: spec.holderIdentity ?? '', durationMs, atMs: nowMs };
  }

  #freeAtMs(): number {
    const seen = this.#seen;
    return seen === undefined || seen.holder === '' || seen.holder === this.#identity
      ? Number.NEGATIVE_INFINITY
      : seen.atMs + seen.durationMs;
  }

  #timeoutMs(nowMs: number): number {
    return Math.ceil(this.#isLeading ? Math.min(this.#callMs, this.#deadlineMs - nowMs) : this.#callMs);
  }

  /** A leader renews once in a retry period, whatever a renewal took. A standby also wakes the moment the Lease is free. */
  #wait(nowMs: number): ElectorAction {
    const { retryPeriodMs } = this.#times;
    if (this.#isLeading) {
      const untilDueMs = Math.max(0, this.#writeAtMs + retryPeriodMs - nowMs);
      return { do: 'wait', delayMs: Math.min(untilDueMs, this.#deadlineMs - nowMs) };
    }
    const delayMs = retryPeriodMs * (1 + JITTER * this.#random());
    const untilFreeMs = this.#freeAtMs() - nowMs;
    return { do: 'wait', delayMs: untilFreeMs > 0 ? Math.min(delayMs, untilFreeMs) : delayMs };
  }

  #write({ nowMs, wallMs }: Instant): ElectorAction {
    const now = formatMicroTime(wallMs);
    const lease = this.#lease;
    const before = lease?.spec;
    const isOurs = before?.holderIdentity === this.#identity;
    const transitions = before?.leaseTransitions ?? 0;
    const spec = {
      holderIdentity: this.#identity,
      leaseDurationSeconds: this.#times.leaseDurationMs / 1000,
      acquireTime: isOurs ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: lease === undefined || isOurs ? transitions : transitions + 1,
    };
    const timeoutMs = this.#timeoutMs(nowMs);
    this.#writeAtMs = nowMs;
    if (lease === undefined) return { do: 'create', spec, timeoutMs };
    return { do: 'replace', lease: { ...lease, spec }, timeoutMs };
  }

  /** A leader writes what it holds without reading first; a write of somebody else refuses it. */
  #begin(at: Instant): ElectorAction {
    this.#refusals = 0;
    return this.#isLeading && this.#lease !== undefined
      ? this.#write(at)
      : { do: 'read', timeoutMs: this.#timeoutMs(at.nowMs) };
  }

  #takeRead(found: Lease | undefined, at: Instant): ElectorAction {
    this.#observe(found, at.nowMs);
    if (found !== undefined && found.spec?.holderIdentity !== this.#identity) this.resign();
    return !this.#isLeading && at.nowMs < this.#freeAtMs() ? this.#wait(at.nowMs) : this.#write(at);
  }

  #takeWritten(written: Lease, startedMs: number, at: Instant): ElectorAction {
    this.#observe(written, at.nowMs);
    const untilMs = startedMs + this.#times.renewDeadlineMs;
    // A process that slept over its first answer holds the Lease and leads only once it has renewed it.
    if (untilMs <= at.nowMs) return this.#write(at);
    if (!this.#isLeading) this.#reigns += 1;
    this.#isLeading = true;
    this.#deadlineMs = untilMs;
    return this.#wait(at.nowMs);
  }
}

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
