/**
 * EC2 of one account: a call from its arrival to its answer, with its latency, its faults and what the fabric does about it.
 */
import { nowMs, sleep } from '../clock.ts';
import type { CallRecord, FaultSpec, LabVPC, LatencyProfile } from '../types.ts';
import type { Action } from './action.ts';
import { checkRequest, findAction } from './actions.ts';
import { CallLog } from './calls.ts';
import { type AccessKey, authenticate, authorise, type SignedRequest } from './credentials.ts';
import { EC2Error, limitExceeded } from './errors.ts';
import { Faults } from './faults.ts';
import type { Mapper } from './mapper.ts';
import { Moods } from './moods.ts';
import type { Parameters } from './parameters.ts';
import { Departures } from './quick-return.ts';
import { Sessions } from './sessions.ts';
import {
  type InstanceState,
  mappingOf,
  omitAddress,
  type State,
  setGateway,
  setInstanceState,
} from './state.ts';
import { TokenBuckets } from './throttle.ts';
import type { XMLMembers } from './xml.ts';

/** How long things take, in milliseconds. */
export type Latency = {
  /** A call that changes something. */
  mutatingCallMs: number;
  /** A Describe call. */
  readCallMs: number;
  /** From the answer of a call until packets follow. */
  mappingMs: number;
  /** Instead of it, one after another, when an address comes back to an ENI that it left within the last minute. */
  quickReturnMs: readonly number[];
};

const OBSERVED: Latency = { mutatingCallMs: 1500, readCallMs: 100, mappingMs: 1000, quickReturnMs: [] };

/** What the profiles of the lab mean; `aws` as observed in public. */
export const LATENCIES: Record<LatencyProfile, Latency> = {
  instant: { mutatingCallMs: 0, readCallMs: 0, mappingMs: 0, quickReturnMs: [] },
  aws: OBSERVED,
  'aws-quick-return': { ...OBSERVED, quickReturnMs: [4_800, 16_000, 7_600, 11_200] },
};

/** A call of the query protocol, as it came in. */
export type Call = { action: string; parameters: Parameters; request: SignedRequest };

/** What becomes of a call: an answer, or (`null`) a connection that is cut without one. */
export type Answer = { record: CallRecord; outcome: XMLMembers | EC2Error | null };

const HISTORY_KEPT = 1000;
const MAX_HELD = 1000;

/** EC2 of one account in one Region. */
export class EC2API {
  readonly vpc: LabVPC;
  readonly calls = new CallLog();
  readonly faults = new Faults();
  readonly sessions = new Sessions();
  readonly moods = new Moods();
  readonly #mapper: Mapper;
  readonly #latency: Latency;
  readonly #buckets = new TokenBuckets();
  readonly #departures = new Departures();
  #quickReturns = 0;
  readonly #held = new Set<(proceed: boolean) => void>();
  readonly #closing = new AbortController();
  /** States with the time they began, oldest first; the last one is now. */
  readonly #history: { sinceMs: number; state: State }[];

  constructor(initial: State, latency: Latency, mapper: Mapper) {
    this.vpc = initial.vpc;
    this.#latency = latency;
    this.#mapper = mapper;
    this.#history = [{ sinceMs: nowMs(), state: initial }];
  }

  get state(): State {
    const newest = this.#history.at(-1);
    if (newest === undefined) throw new Error('invariant: the history of EC2 states is never empty');
    return newest.state;
  }

  /** Lets the fabric do what the state says, primaries included, without a lag. */
  async applyMapping(): Promise<void> {
    await this.#mapper.follow(mappingOf(this.state), 0, this.#closing.signal);
  }

  /** @throws Error when there is no instance of that name. */
  setInstanceState(name: string, to: InstanceState): void {
    this.#advance(setInstanceState(this.state, name, to));
  }

  /** Attaches the VPC's internet gateway, or detaches it. */
  setGateway(attached: boolean): void {
    this.#advance(setGateway(this.state, attached ? this.vpc.internetGatewayID : null));
  }

  /** Lets every held call go on (`proceed`) or cuts its connection. */
  release(proceed: boolean): number {
    const released = this.#held.size;
    for (const resume of [...this.#held]) resume(proceed);
    return released;
  }

  /** Cuts held calls and forgets effects and mappings that are still to come. */
  close(): void {
    this.#closing.abort();
    this.release(false);
  }

  /** One call, from its arrival to its answer. Never throws. */
  async handle({ action: name, parameters, request }: Call, gone: AbortSignal): Promise<Answer> {
    const record = this.calls.open({
      action: name,
      parameters,
      accessKeyID: /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? '',
      userAgent: request.headers['user-agent'] ?? '',
      receivedAtMs: nowMs(),
    });
    if (this.faults.isAway) {
      this.calls.update(record, { fault: 'outage' });
      return { record, outcome: null };
    }
    try {
      const key = authenticate(request, this.vpc.region, nowMs(), this.sessions);
      const action = findAction(name);
      return { record, outcome: await this.#serve(record, action, key, gone) };
    } catch (error) {
      if (error instanceof EC2Error) {
        this.calls.update(record, { errorCode: error.code });
        return { record, outcome: error };
      }
      if (this.#closing.signal.aborted) return { record, outcome: null };
      throw error;
    }
  }

  async #serve(
    record: CallRecord,
    action: Action,
    key: AccessKey,
    gone: AbortSignal,
  ): Promise<XMLMembers | null> {
    const fault = this.faults.take(record.action, action.mutating);
    if (fault !== undefined) this.calls.update(record, { fault: fault.kind });
    const throttled = !this.#buckets.take(record.action, action, record.parameters, nowMs());
    if (throttled || fault?.kind === 'throttle') throw limitExceeded();
    if (fault?.kind === 'cut' || (fault?.kind === 'hang-before' && !(await this.#hold(gone)))) return null;
    const latencyMs = action.mutating ? this.#latency.mutatingCallMs : this.#latency.readCallMs;
    const lateMs = fault?.kind === 'slow' || fault?.kind === 'late-effect' ? (fault.delayMs ?? 0) : 0;
    await sleep(latencyMs + lateMs, this.#closing.signal);
    if (fault?.kind === 'error')
      throw new EC2Error(fault.code ?? 'InternalError', 'An error that the lab was told to answer.');
    checkRequest(action, record.parameters, () => authorise(key, record.action));
    const answer = this.#execute(record, action, fault);
    const unanswered = fault?.kind === 'hang-after' || fault?.kind === 'late-effect';
    return unanswered && !(await this.#hold(gone)) ? null : answer;
  }

  #execute(record: CallRecord, action: Action, fault: FaultSpec | undefined): XMLMembers {
    const before = this.state;
    const { state, answer } = action.run(this.#seenBy(fault), record.parameters);
    if (action.mutating && state !== before) {
      this.calls.update(record, { effectAtMs: nowMs() });
      this.#advance(state, () => this.calls.update(record, { mappedAtMs: nowMs() }));
    }
    return answer;
  }

  /** The state that a call sees: the newest one, unless a fault says otherwise. */
  #seenBy(fault: FaultSpec | undefined): State {
    if (fault?.kind === 'stale') {
      const atMs = nowMs() - (fault.ageMs ?? 0);
      return (
        (this.#history.findLast(({ sinceMs }) => sinceMs <= atMs) ?? this.#history[0])?.state ?? this.state
      );
    }
    return fault?.kind === 'omit' ? omitAddress(this.state, fault.address ?? '') : this.state;
  }

  #advance(state: State, mapped: () => void = () => undefined): void {
    const lagMs = this.#departures.note(this.state, state, nowMs())
      ? this.#slowLagMs()
      : this.#latency.mappingMs;
    this.#history.push({ sinceMs: nowMs(), state });
    if (this.#history.length > HISTORY_KEPT) this.#history.shift();
    this.#mapper.follow(mappingOf(state), lagMs, this.#closing.signal).then(mapped, (error: unknown) => {
      if (!this.#closing.signal.aborted) throw error;
    });
  }

  #slowLagMs(): number {
    const { quickReturnMs, mappingMs } = this.#latency;
    return quickReturnMs[this.#quickReturns++ % quickReturnMs.length] ?? mappingMs;
  }

  /** Holds a call without an answer until it is released, or its caller has gone. True: it may go on. */
  async #hold(gone: AbortSignal): Promise<boolean> {
    if (this.#held.size >= MAX_HELD)
      throw new EC2Error('ServiceUnavailable', `The lab holds ${MAX_HELD} calls already; release them.`);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const leave = () => resolve(false);
    gone.addEventListener('abort', leave, { once: true });
    this.#held.add(resolve);
    if (gone.aborted || this.#closing.signal.aborted) leave();
    const proceed = await promise;
    this.#held.delete(resolve);
    gone.removeEventListener('abort', leave);
    return proceed;
  }
}
