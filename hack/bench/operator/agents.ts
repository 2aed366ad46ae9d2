/**
 * The load generator: 200 agents as the API server sees them, without a network between them. Each has its own token, its own
 * watch and its own Lease, and reports by the rules (DESIGN.md, "Who is master"); what adverts would tell is in memory. It
 * shares no code with the product but the types of the API.
 */
import { API_GROUP_VERSION, agentLeaseName, type VRRPInstance } from '../../../crds/types.ts';
import { nowMs } from '../../lab/clock.ts';
import type { API } from './api.ts';
import { type Fleet, type FleetPair, NAMESPACE } from './fleet.ts';
import { enter, inLane, microTime, otherOf, type Side, statusOf, type Wire, wireOf } from './sides.ts';

/** When a claim's report left this process and when the API server had answered it, Unix milliseconds. */
export type Claimed = { term: number; sentAtMs: number; answeredAtMs: number };

/** What the agents stand on. */
export type AgentsOptions = {
  api: API;
  fleet: Fleet;
  /** Of each instance's own ServiceAccount, in the order of `fleet.vpc.instances`. */
  tokens: readonly string[];
  /** Where the Leases are. */
  leaseNamespace: string;
  /** Told of a report that the API server did not take. */
  onError: (error: Error) => void;
};

const LEASE_MS = 10_000;
const HIGH_PRIORITY = 200;
const COLLECTION = `/apis/${API_GROUP_VERSION}/namespaces/${NAMESPACE}/vrrpinstances`;

/** All agents of a fleet. */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #wires: ReadonlyMap<string, Wire>;
  readonly #byVIP: ReadonlyMap<string, Wire>;
  readonly #timers = new Set<NodeJS.Timeout>();
  #reports = 0;

  constructor(options: AgentsOptions) {
    const { fleet, tokens } = options;
    this.#options = options;
    const wires = fleet.pairs.map((pair) => wireOf(pair, fleet, tokens));
    this.#wires = new Map(wires.map((wire) => [wire.pair.name, wire]));
    this.#byVIP = new Map(wires.map((wire) => [wire.pair.vip, wire]));
  }

  /** Begins watches and Leases. */
  start(): void {
    const { api, fleet, tokens } = this.#options;
    for (const [node, instance] of fleet.vpc.instances.entries()) {
      api.watch(`${COLLECTION}?fieldSelector=spec.nodeName%3D${instance.name}`, tokens[node], (event) =>
        this.#take(node, event),
      );
      // Percentiles over the interval, as agents that were not started at once would be.
      const delayMs = (LEASE_MS * node) / fleet.vpc.instances.length;
      this.#timers.add(setTimeout(() => this.#renewRegularly(node), delayMs));
    }
  }

  /** The standby claims: reads both reports, takes a term, reports Master. The old master says nothing, as if it were dead. */
  failOver(pair: FleetPair): Promise<Claimed> {
    const wire = this.#find(pair);
    if (wire.master === undefined) throw new Error(`${pair.name} has no master that could fail`);
    const side = otherOf(wire, wire.master);
    return inLane(side, () => this.#claim(wire, side));
  }

  /** The old master lives after all: it reports Backup. */
  async comeBack(pair: FleetPair): Promise<void> {
    const wire = this.#find(pair);
    if (wire.master === undefined) return;
    const { term } = wire.master;
    const side = otherOf(wire, wire.master);
    await inLane(side, async () => {
      side.term = Math.max(side.term, term);
      if (side.state === 'Master') enter(side, 'Backup');
      await this.#report(wire, side);
    });
  }

  /** What IMDS would show from now on: this VIP arrives at this ENI. */
  delivered(vip: string, networkInterfaceID: string): void {
    const wire = this.#byVIP.get(vip);
    for (const side of wire?.sides ?? []) {
      const isDelivered = side.networkInterfaceID === networkInterfaceID;
      if (!wire || isDelivered === side.isDelivered) continue;
      side.isDelivered = isDelivered;
      // A dead master reports nothing until it comes back.
      if (side.state !== 'Master' || wire.master === side) this.#kick(wire, side);
    }
  }

  /** Reports sent so far. */
  get reports(): number {
    return this.#reports;
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #find(pair: FleetPair): Wire {
    const wire = this.#wires.get(pair.name);
    if (wire === undefined) throw new Error(`${pair.name} is not of this fleet`);
    return wire;
  }

  #take(node: number, { type, object }: { type: string; object: unknown }): void {
    const { metadata, spec } = object as VRRPInstance;
    const wire = spec && this.#wires.get(spec.pairName);
    const side = wire?.sides.find((each) => each.node === node);
    if (!wire || !side || type === 'DELETED' || metadata.generation === side.generation) return;
    side.spec = spec;
    side.generation = metadata.generation;
    this.#kick(wire, side);
  }

  #kick(wire: Wire, side: Side): void {
    void inLane(side, () => this.#step(wire, side)).catch(this.#options.onError);
  }

  async #step(wire: Wire, side: Side): Promise<void> {
    const { spec } = side;
    if (!spec) return;
    if (side.state === 'Init') {
      await this.#report(wire, side);
      enter(side, 'Backup');
      await this.#report(wire, side);
      if (spec.priority === HIGH_PRIORITY && wire.master === undefined) await this.#claim(wire, side);
      return;
    }
    if (side.state === 'Master' && spec.yieldTerm === side.term) return this.#resign(wire, side);
    if (side.state === 'Master' && wire.master === side && side.term < spec.termFloor)
      await this.#claim(wire, side);
    await this.#report(wire, side);
  }

  /** One more than the highest term of both reports, of both specs' floors and of what this side has held or seen. */
  async #claim(wire: Wire, side: Side): Promise<Claimed> {
    wire.master = side;
    enter(side, 'Master');
    const both = await Promise.all(wire.sides.map(({ name }) => this.#read(name, side.token)));
    const known = both.flatMap((each) => [each?.spec.termFloor ?? 0, each?.status?.term ?? 0]);
    side.term = 1 + Math.max(side.term, ...known);
    const sentAtMs = nowMs();
    await this.#report(wire, side);
    return { term: side.term, sentAtMs, answeredAtMs: nowMs() };
  }

  async #resign(wire: Wire, side: Side): Promise<void> {
    enter(side, 'Backup');
    await this.#report(wire, side);
    const peer = otherOf(wire, side);
    await inLane(peer, () => this.#claim(wire, peer));
  }

  /** Undefined: the operator has not created it yet. */
  async #read(name: string, token: string | undefined): Promise<VRRPInstance | undefined> {
    return (await this.#options.api.get(`${COLLECTION}/${name}`, token)) as VRRPInstance | undefined;
  }

  async #report(wire: Wire, side: Side): Promise<void> {
    const status = statusOf(wire, side);
    const text = JSON.stringify(status);
    if (text === side.reported) return;
    this.#reports += 1;
    await this.#apply(`${COLLECTION}/${side.name}/status`, side.token, {
      apiVersion: API_GROUP_VERSION,
      kind: 'VRRPInstance',
      metadata: { name: side.name, namespace: NAMESPACE },
      status,
    });
    side.reported = text;
  }

  #renewRegularly(node: number): void {
    const renew = (): void => void this.#renew(node).catch(this.#options.onError);
    renew();
    this.#timers.add(setInterval(renew, LEASE_MS));
  }

  async #renew(node: number): Promise<void> {
    const { fleet, tokens, leaseNamespace: namespace } = this.#options;
    const holderIdentity = fleet.vpc.instances[node]?.name ?? '';
    const name = agentLeaseName(holderIdentity);
    await this.#apply(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`, tokens[node], {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace },
      spec: { holderIdentity, leaseDurationSeconds: 40, renewTime: microTime() },
    });
  }

  /** Server-side apply, as an agent. */
  async #apply(path: string, token: string | undefined, body: unknown): Promise<void> {
    await this.#options.api.call({
      method: 'PATCH',
      path: `${path}?fieldManager=hapair-agent&force=true`,
      token,
      contentType: 'application/apply-patch+yaml',
      body,
    });
  }
}
