/**
 * EC2 with its delays: a call's effect comes before its answer, or long after it, or not at all; readings may be stale or
 * leave something out; packets and the metadata service follow the API at their own pace.
 */
import type { EC2, FactsRequest } from '../ec2/client.ts';
import { failureOf, type RawError } from '../ec2/errors.ts';
import type { EC2Call, EC2Facts, EC2Result, EC2View } from '../ec2/types.ts';
import { Cloud } from '../operator/testing/cloud.ts';
import { never, type Process, type Timeline } from './time.ts';

/** What becomes of one call. */
export type Fate = {
  /** When its effect comes, from its beginning; absent: never. */
  effectAfterMs?: number;
  /** `Lost`: no answer comes before the deadline. */
  answer: 'Ok' | 'Lost' | RawError;
};

/** Told of every call and reading. */
export type CloudWatcher = {
  mayCall?(): boolean;
  onCall?(process: Process, call: EC2Call): void;
  onAnswer?(process: Process, call: EC2Call, result: EC2Result): void;
  onRead?(process: Process, view: EC2View): void;
};

/** The SDK's deadlines. */
const CALL_DEADLINE_MS = 10_000;
const READ_DEADLINE_MS = 5_000;

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
  connect(process: Process, watcher: CloudWatcher = {}): Pick<EC2, 'read' | 'call' | 'facts'> {
    return {
      read: (request) => {
        if (!process.isRunning) return never();
        const readAtMs = process.clock.now();
        const deadlineMs = this.isAway ? READ_DEADLINE_MS : this.readMs;
        return new Promise((resolve) => {
          let view: EC2View | undefined;
          this.#timeline.after(deadlineMs / 2, () => {
            if (!this.isAway) view = this.#reading(readAtMs);
          });
          this.#timeline.after(deadlineMs, () =>
            process.deliver(() => {
              if (view === undefined) {
                const empty = { readAtMs, networkInterfaces: {}, elasticIPs: {} };
                resolve({ view: empty, failure: failureOf({ code: 'TimeoutError', message: 'no answer' }) });
                return;
              }
              const slice = sliceOf(view, request);
              watcher.onRead?.(process, slice);
              resolve({ view: slice });
            }),
          );
        });
      },
      call: (_region, call) => {
        if (!process.isRunning || watcher.mayCall?.() === false) return never();
        this.calls.push({ atMs: this.#timeline.nowMs, by: process.name, call });
        watcher.onCall?.(process, call);
        const { effectAfterMs, answer } = this.#nextFate();
        if (effectAfterMs !== undefined) this.#timeline.after(effectAfterMs, () => this.#effect(call));
        return new Promise((resolve) => {
          const afterMs = answer === 'Lost' ? CALL_DEADLINE_MS : this.callMs;
          this.#timeline.after(afterMs, () =>
            process.deliver(() => {
              const result = resultOf(answer);
              watcher.onAnswer?.(process, call, result);
              resolve(result);
            }),
          );
        });
      },
      facts: (request) => {
        if (!process.isRunning || this.isAway) return never();
        const facts = factsFor(request, process.clock.now());
        return new Promise((resolve) =>
          this.#timeline.after(this.readMs, () => process.deliver(() => resolve(facts))),
        );
      },
    };
  }

  #nextFate(): Fate {
    if (this.isAway) return { answer: 'Lost' };
    return this.fates.shift() ?? { effectAfterMs: this.callMs / 2, answer: 'Ok' };
  }

  #effect(call: EC2Call): void {
    this.cloud.apply(call);
    this.#remember();
  }

  #remember(): void {
    this.#history.push({ atMs: this.#timeline.nowMs, view: this.cloud.view(0) });
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

const resultOf = (answer: Fate['answer']): EC2Result => {
  if (answer === 'Ok') return { ok: true };
  return failureOf(answer === 'Lost' ? { code: 'TimeoutError', message: 'no answer' } : answer);
};

/** Everything that a preflight asks for is in order. */
const factsFor = (request: FactsRequest, readAtMs: number): EC2Facts => {
  const of = <T>(ids: readonly string[], make: (id: string) => T): Record<string, T> =>
    Object.fromEntries(ids.map((id) => [id, make(id)]));
  const open = { protocol: '-1', cidrIPv4: '0.0.0.0/0' };
  return {
    readAtMs,
    instances: of(request.instanceIDs, (instanceID) => ({
      instanceID,
      state: 'running',
      instanceType: 't3.micro',
      networkInterfaceIDs: [`eni-${instanceID.slice(2)}`],
    })),
    subnets: of(request.subnetIDs, (subnetID) => ({
      subnetID,
      cidrBlock: '10.10.10.0/24',
      availabilityZone: 'ap-northeast-1a',
    })),
    securityGroupRules: of(request.securityGroupIDs, () => [
      { isEgress: false, ...open },
      { isEgress: true, ...open },
    ]),
    addressesPerInterface: { 't3.micro': 2 },
    mayAssociate: of(
      request.associations.map(({ allocationID }) => allocationID),
      () => 'Allowed',
    ),
  };
};

/** An id that EC2 does not know is null. */
const sliceOf = (
  view: EC2View,
  {
    networkInterfaceIDs,
    allocationIDs,
  }: { networkInterfaceIDs: readonly string[]; allocationIDs: readonly string[] },
): EC2View => ({
  readAtMs: view.readAtMs,
  networkInterfaces: Object.fromEntries(
    networkInterfaceIDs.map((id) => [id, view.networkInterfaces[id] ?? null]),
  ),
  elasticIPs: Object.fromEntries(allocationIDs.map((id) => [id, view.elasticIPs[id] ?? null])),
});
