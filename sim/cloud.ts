/**
 * EC2 with its delays: a call's effect comes before its answer, or long after it, or not at all; readings may be stale or
 * leave something out; packets and the metadata service follow the API at their own pace.
 */

import type { EC2Call } from '../ec2/actions.ts';
import type { EC2API, EC2Connection, RequestBounds } from '../ec2/api.ts';
import type { RawError } from '../ec2/errors.ts';
import { NotLeadingError } from '../ec2/guard.ts';
import type { EC2View } from '../ec2/types.ts';
import { Cloud } from '../operator/testing/cloud.ts';
import { type Asked, askedBy, sdkError } from './ec2-answers.ts';
import { never, type Process, type Timeline } from './time.ts';

/** What becomes of one call. */
export type Fate = {
  /** When its effect comes, from its beginning; absent: never. */
  effectAfterMs?: number;
  /** `Lost`: no answer comes before the deadline. */
  answer: 'Ok' | 'Lost' | RawError;
};

/** Told of every call and reading. */
type CloudWatcher = {
  /** Before a call leaves the process; false: the process dies instead. */
  mayCall?(): boolean;
  onCall?(process: Process, call: EC2Call): void;
  onAnswer?(process: Process, call: EC2Call): void;
  /** What one answer has shown. */
  onRead?(process: Process, view: EC2View): void;
};

type Snapshot = { atMs: number; view: EC2View };

/** One account: the ENIs of both nodes, and a stranger's. */
export class SimulatedEC2 {
  readonly cloud = new Cloud();
  /** How long a call takes; its effect comes half-way. */
  callMs = 100;
  readMs = 40;
  /** How long the network and IMDS need to follow the API. */
  deliveryLagMs = 300;
  imdsLagMs = 1_000;
  /** Neither calls nor readings are answered. */
  isAway = false;
  /** Every request is refused with this, and does nothing. */
  refusal: RawError | undefined;
  /** Readings show EC2 as it was so long ago. */
  staleMs = 0;
  /** ENIs whose secondary addresses readings leave out. */
  readonly omitted = new Set<string>();
  /** The fates of the next calls; then all goes well. */
  readonly fates: Fate[] = [];
  /** Every call, when it was begun. */
  readonly calls: { atMs: number; by: string; call: EC2Call }[] = [];
  readonly #timeline: Timeline;
  readonly #history: Snapshot[] = [];
  readonly #listeners = new Set<() => void>();
  /** Each EIP as it was last associated. */
  readonly #placed: EC2View['elasticIPs'] = {};

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.#remember();
  }

  /** Somebody else moves a VIP: to an ENI, or off all of them. */
  steal(vip: string, networkInterfaceID: string | undefined): void {
    this.cloud.put(vip, networkInterfaceID);
    this.#remember();
  }

  /** Told after each effect. */
  listen(onEffect: () => void): void {
    this.#listeners.add(onEffect);
  }

  /** The ENI that had `vip` so long ago. */
  holderOf(vip: string, agoMs = 0): string | undefined {
    const interfaces = Object.values(this.#asOf(agoMs).networkInterfaces);
    return interfaces.find((each) =>
      each?.privateIPAddresses.some(({ privateIPAddress }) => privateIPAddress === vip),
    )?.networkInterfaceID;
  }

  /** The private addresses of an ENI so long ago. */
  addressesOf(networkInterfaceID: string, agoMs = 0): string[] {
    const found = this.#asOf(agoMs).networkInterfaces[networkInterfaceID];
    return found?.privateIPAddresses.map(({ privateIPAddress }) => privateIPAddress) ?? [];
  }

  /** EC2 as `process` reaches it. */
  connect(process: Process, { mayWrite = () => true }: EC2Connection, watcher: CloudWatcher = {}): EC2API {
    return {
      send: async (_region, action, input, bounds) => {
        if (!process.isRunning) return never();
        const asked = askedBy(action, input, this.#placed);
        const { call } = asked;
        if (call === undefined) {
          const view = await this.#look(process, bounds);
          const output = asked.answer(view);
          watcher.onRead?.(process, shownBy(asked, view));
          return output;
        }
        if (!mayWrite()) throw new NotLeadingError();
        if (watcher.mayCall?.() === false) return never();
        watcher.onCall?.(process, call);
        const answered = this.#call(process, call, bounds);
        return asked.answer(await answered.finally(() => watcher.onAnswer?.(process, call)));
      },
      close: () => undefined,
    };
  }

  /** What is there half-way between question and answer. */
  #look(process: Process, bounds: RequestBounds): Promise<EC2View> {
    const readAtMs = process.clock.now();
    const answerMs = this.isAway ? bounds.timeoutMs : this.readMs;
    let view: EC2View | undefined;
    this.#timeline.after(answerMs / 2, () => {
      if (!this.isAway) view = this.#reading(readAtMs);
    });
    return this.#answer(process, bounds, answerMs, () => {
      if (this.refusal !== undefined) throw sdkError(this.refusal);
      if (view === undefined) throw sdkError(NO_ANSWER);
      return view;
    });
  }

  #call(process: Process, call: EC2Call, bounds: RequestBounds): Promise<EC2View> {
    this.calls.push({ atMs: this.#timeline.nowMs, by: process.name, call });
    const { effectAfterMs, answer } = this.#nextFate();
    if (effectAfterMs !== undefined) this.#timeline.after(effectAfterMs, () => this.#effect(call));
    return this.#answer(process, bounds, answer === 'Lost' ? bounds.timeoutMs : this.callMs, () => {
      if (answer !== 'Ok') throw sdkError(answer === 'Lost' ? NO_ANSWER : answer);
      return this.#asOf(0);
    });
  }

  /** Reaches the process after so long, unless it gives up before. */
  #answer<T>(process: Process, { signal }: RequestBounds, afterMs: number, make: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const giveUp = (): void => reject(sdkError({ code: 'AbortError', message: 'given up' }));
    signal.addEventListener('abort', giveUp, { once: true });
    this.#timeline.after(afterMs, () =>
      process.deliver(() => {
        signal.removeEventListener('abort', giveUp);
        try {
          resolve(make());
        } catch (error) {
          reject(error);
        }
      }),
    );
    return promise;
  }

  #nextFate(): Fate {
    if (this.isAway) return { answer: 'Lost' };
    if (this.refusal !== undefined) return { answer: this.refusal };
    return this.fates.shift() ?? { effectAfterMs: this.callMs / 2, answer: 'Ok' };
  }

  #effect(call: EC2Call): void {
    this.cloud.apply(call);
    this.#remember();
  }

  #remember(): void {
    const view = this.cloud.view(0);
    this.#history.push({ atMs: this.#timeline.nowMs, view });
    for (const each of Object.values(view.elasticIPs))
      if (each?.associationID !== undefined) this.#placed[each.allocationID] = each;
    for (const listener of this.#listeners) listener();
  }

  #asOf(agoMs: number): EC2View {
    const atMs = this.#timeline.nowMs - agoMs;
    const found = this.#history.findLast((snapshot) => snapshot.atMs <= atMs) ?? this.#history[0];
    if (found === undefined) throw new Error('EC2 has no history');
    return found.view;
  }

  #reading(readAtMs: number): EC2View {
    const view = structuredClone(this.#asOf(this.staleMs));
    for (const id of this.omitted) {
      const found = view.networkInterfaces[id];
      if (found) found.privateIPAddresses = found.privateIPAddresses.filter(({ primary }) => primary);
    }
    return { ...view, readAtMs };
  }
}

const NO_ANSWER: RawError = { code: 'TimeoutError', message: 'no answer' };

type Shown = Pick<Asked<'DescribeAddresses'>, 'networkInterfaceIDs' | 'allocationIDs'>;

/** What an answer shows of where addresses are: on an ENI, the EIPs of its addresses too. */
const shownBy = ({ networkInterfaceIDs = [], allocationIDs = [] }: Shown, view: EC2View): EC2View => {
  const isShown = (elasticIP: EC2View['elasticIPs'][string]): boolean =>
    networkInterfaceIDs.some((id) =>
      view.networkInterfaces[id]?.privateIPAddresses.some(
        ({ privateIPAddress }) =>
          elasticIP?.networkInterfaceID === id && elasticIP.privateIPAddress === privateIPAddress,
      ),
    );
  return {
    readAtMs: view.readAtMs,
    holders: {},
    networkInterfaces: Object.fromEntries(
      networkInterfaceIDs.map((id) => [id, view.networkInterfaces[id] ?? null]),
    ),
    elasticIPs: Object.fromEntries(
      Object.entries(view.elasticIPs).filter(
        ([id, elasticIP]) => allocationIDs.includes(id) || isShown(elasticIP),
      ),
    ),
  };
};
