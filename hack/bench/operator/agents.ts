/**
 * The load generator: 200 agents as the API server sees them, without a network between them. Each has its own token, its own
 * watch and its own Lease, and reports by the rules (DESIGN.md, "Who is master"); what adverts would tell is in memory. It
 * shares no code with the product but the types of the API.
 */
import {
  API_GROUP_VERSION,
  agentLeaseName,
  instanceName,
  type VRRPInstance,
  type VRRPInstanceSpec,
  type VRRPInstanceStatus,
  type VRRPState,
} from '../../../crds/types.ts';
import { nowMs } from '../../lab/clock.ts';
import type { API } from './api.ts';
import { type Fleet, type FleetPair, NAMESPACE } from './fleet.ts';

/** When a claim's report left this process and when the API server had answered it, Unix milliseconds. */
export type Claimed = { term: number; sentAtMs: number; answeredAtMs: number };

export type Agents = {
  /** The standby claims: reads both reports, takes a term, reports Master. The old master says nothing, as if it were dead. */
  failOver(pair: FleetPair): Promise<Claimed>;
  /** The old master lives after all: it reports Backup. */
  comeBack(pair: FleetPair): Promise<void>;
  /** What IMDS would show from now on: this VIP arrives at this ENI. */
  delivered(vip: string, networkInterfaceID: string): void;
  /** Reports sent so far. */
  reports(): number;
  stop(): void;
};

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

/** One VRRPInstance and the agent's view of it. */
type Side = {
  name: string;
  token: string | undefined;
  node: number;
  networkInterfaceID: string;
  instanceID: string;
  spec: VRRPInstanceSpec | undefined;
  generation: number | undefined;
  state: VRRPState;
  term: number;
  since: string;
  isDelivered: boolean;
  /** The last report, as text. */
  reported: string;
  /** Steps of one side never overlap. */
  lane: Promise<unknown>;
};

/** Both sides of a pair; `master` is what its adverts would tell. */
type Wire = { pair: FleetPair; sides: readonly [Side, Side]; master: Side | undefined };

const LEASE_MS = 10_000;
const HIGH_PRIORITY = 200;
const COLLECTION = `/apis/${API_GROUP_VERSION}/namespaces/${NAMESPACE}/vrrpinstances`;
const STARTED = new Date().toISOString().replace(/\.\d+/, '');

const microTime = (): string => new Date(nowMs()).toISOString().replace('Z', '000Z');

const condition = (type: string, generation: number | undefined) => ({
  type,
  status: 'True' as const,
  reason: 'Simulated',
  message: 'A simulated agent of the benchmark.',
  lastTransitionTime: STARTED,
  ...(generation !== undefined && { observedGeneration: generation }),
});

const statusOf = ({ pair }: Wire, side: Side): VRRPInstanceStatus => ({
  ...(side.generation !== undefined && { observedGeneration: side.generation }),
  ...(side.spec && { probe: side.spec.probe }),
  state: side.state,
  term: side.term,
  since: side.since,
  interface: 'eth0',
  instanceID: side.instanceID,
  vipsOnInterface: side.state === 'Master' || side.isDelivered ? [pair.vip] : [],
  vipsDelivered: side.isDelivered ? [pair.vip] : [],
  agentVersion: 'bench',
  conditions: ['Ready', 'PeerHeard', 'Healthy', 'SecretResolved'].map((type) =>
    condition(type, side.generation),
  ),
});

/** Starts watches and Leases at once. */
export const startAgents = ({ api, fleet, tokens, leaseNamespace, onError }: AgentsOptions): Agents => {
  const wires = new Map<string, Wire>();
  const byVIP = new Map<string, Wire>();
  const timers = new Set<NodeJS.Timeout>();
  let reports = 0;

  const sideOf = (pair: FleetPair, at: 0 | 1): Side => {
    const node = pair.nodes[at];
    const instance = fleet.vpc.instances[node];
    if (instance === undefined) throw new Error(`invariant: ${pair.name} names an instance of the fleet`);
    return {
      name: instanceName(pair.name, instance.name),
      token: tokens[node],
      node,
      networkInterfaceID: instance.networkInterfaceID,
      instanceID: instance.instanceID,
      spec: undefined,
      generation: undefined,
      state: 'Init',
      term: 0,
      since: microTime(),
      isDelivered: at === 0,
      reported: '',
      lane: Promise.resolve(),
    };
  };

  for (const pair of fleet.pairs) {
    const wire: Wire = { pair, sides: [sideOf(pair, 0), sideOf(pair, 1)], master: undefined };
    wires.set(pair.name, wire);
    byVIP.set(pair.vip, wire);
  }

  const report = async (wire: Wire, side: Side): Promise<void> => {
    const status = statusOf(wire, side);
    const text = JSON.stringify(status);
    if (text === side.reported) return;
    reports += 1;
    await api.call({
      method: 'PATCH',
      path: `${COLLECTION}/${side.name}/status?fieldManager=hapair-agent&force=true`,
      token: side.token,
      contentType: 'application/apply-patch+yaml',
      body: {
        apiVersion: API_GROUP_VERSION,
        kind: 'VRRPInstance',
        metadata: { name: side.name, namespace: NAMESPACE },
        status,
      },
    });
    side.reported = text;
  };

  const enter = (side: Side, state: VRRPState): void => {
    side.state = state;
    side.since = microTime();
  };

  /** Absent: the operator has not created it yet. */
  const read = async (name: string, token: string | undefined): Promise<VRRPInstance | undefined> =>
    (await api.get(`${COLLECTION}/${name}`, token)) as VRRPInstance | undefined;

  /** One more than the highest term of both reports, of both specs' floors and of what this side has held or seen. */
  const claim = async (wire: Wire, side: Side): Promise<Claimed> => {
    wire.master = side;
    enter(side, 'Master');
    const both = await Promise.all(wire.sides.map(({ name }) => read(name, side.token)));
    const known = both.flatMap((each) => [each?.spec.termFloor ?? 0, each?.status?.term ?? 0]);
    side.term = 1 + Math.max(side.term, ...known);
    const sentAtMs = nowMs();
    await report(wire, side);
    return { term: side.term, sentAtMs, answeredAtMs: nowMs() };
  };

  const otherOf = ({ sides: [first, second] }: Wire, side: Side): Side => (side === first ? second : first);

  /** Puts a step at the end of a side's lane. */
  const inLane = <T>(side: Side, step: () => Promise<T>): Promise<T> => {
    const done = side.lane.then(step);
    side.lane = done.catch(() => undefined);
    return done;
  };

  const resign = async (wire: Wire, side: Side): Promise<void> => {
    enter(side, 'Backup');
    await report(wire, side);
    const peer = otherOf(wire, side);
    await inLane(peer, () => claim(wire, peer));
  };

  const step = async (wire: Wire, side: Side): Promise<void> => {
    const { spec } = side;
    if (!spec) return;
    if (side.state === 'Init') {
      await report(wire, side);
      enter(side, 'Backup');
      await report(wire, side);
      if (spec.priority === HIGH_PRIORITY && wire.master === undefined) await claim(wire, side);
      return;
    }
    if (side.state === 'Master' && spec.yieldTerm === side.term) return resign(wire, side);
    if (side.state === 'Master' && wire.master === side && side.term < spec.termFloor)
      await claim(wire, side);
    await report(wire, side);
  };

  const kick = (wire: Wire, side: Side): void =>
    void inLane(side, () => step(wire, side)).catch((error: Error) => onError(error));

  const take = (node: number, { type, object }: { type: string; object: unknown }): void => {
    const { metadata, spec } = object as VRRPInstance;
    const wire = spec && wires.get(spec.pairName);
    const side = wire?.sides.find((each) => each.node === node);
    if (!wire || !side || type === 'DELETED' || metadata.generation === side.generation) return;
    side.spec = spec;
    side.generation = metadata.generation;
    kick(wire, side);
  };

  const renew = async (node: number): Promise<void> => {
    const holderIdentity = fleet.vpc.instances[node]?.name ?? '';
    const name = agentLeaseName(holderIdentity);
    await api.call({
      method: 'PATCH',
      path: `/apis/coordination.k8s.io/v1/namespaces/${leaseNamespace}/leases/${name}?fieldManager=hapair-agent&force=true`,
      token: tokens[node],
      contentType: 'application/apply-patch+yaml',
      body: {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace: leaseNamespace },
        spec: { holderIdentity, leaseDurationSeconds: 40, renewTime: microTime() },
      },
    });
  };

  const every = (node: number): void => {
    void renew(node).catch((error: Error) => onError(error));
    timers.add(setInterval(() => void renew(node).catch((error: Error) => onError(error)), LEASE_MS));
  };

  for (const [node, instance] of fleet.vpc.instances.entries()) {
    api.watch(`${COLLECTION}?fieldSelector=spec.nodeName%3D${instance.name}`, tokens[node], (event) =>
      take(node, event),
    );
    // Spread over the interval, as agents that were not started at once would be.
    timers.add(setTimeout(() => every(node), (LEASE_MS * node) / fleet.vpc.instances.length));
  }

  const wireOf = (pair: FleetPair): Wire => {
    const wire = wires.get(pair.name);
    if (wire === undefined) throw new Error(`${pair.name} is not of this fleet`);
    return wire;
  };

  return {
    failOver(pair) {
      const wire = wireOf(pair);
      if (wire.master === undefined) throw new Error(`${pair.name} has no master that could fail`);
      const side = otherOf(wire, wire.master);
      return inLane(side, () => claim(wire, side));
    },
    comeBack(pair) {
      const wire = wireOf(pair);
      if (wire.master === undefined) return Promise.resolve();
      const { term } = wire.master;
      const side = otherOf(wire, wire.master);
      return inLane(side, async () => {
        side.term = Math.max(side.term, term);
        if (side.state === 'Master') enter(side, 'Backup');
        await report(wire, side);
      });
    },
    delivered(vip, networkInterfaceID) {
      const wire = byVIP.get(vip);
      for (const side of wire?.sides ?? []) {
        const isDelivered = side.networkInterfaceID === networkInterfaceID;
        if (!wire || isDelivered === side.isDelivered) continue;
        side.isDelivered = isDelivered;
        // A dead master reports nothing until it comes back.
        if (side.state !== 'Master' || wire.master === side) kick(wire, side);
      }
    },
    reports: () => reports,
    stop() {
      for (const timer of timers) clearInterval(timer);
    },
  };
};
