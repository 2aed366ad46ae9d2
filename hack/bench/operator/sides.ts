/** What a simulated agent knows and says of its side of a pair. */
import type { VRRPInstanceSpec, VRRPInstanceStatus, VRRPState } from '../../../crds/types.ts';
import { instanceName } from '../../../crds/types.ts';
import { nowMs } from '../../lab/clock.ts';
import type { Fleet, FleetPair } from './fleet.ts';

/** One VRRPInstance and the agent's view of it. */
export type Side = {
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
export type Wire = { pair: FleetPair; sides: readonly [Side, Side]; master: Side | undefined };

const STARTED = new Date().toISOString().replace(/\.\d+/, '');

const condition = (type: string, generation: number | undefined) => ({
  type,
  status: 'True' as const,
  reason: 'Simulated',
  message: 'A simulated agent of the benchmark.',
  lastTransitionTime: STARTED,
  ...(generation !== undefined && { observedGeneration: generation }),
});

/** The status that this side reports now. */
export const statusOf = ({ pair }: Wire, side: Side): VRRPInstanceStatus => ({
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

/** Now, as a Lease and a status have it. */
export const microTime = (): string => new Date(nowMs()).toISOString().replace('Z', '000Z');

/** A pair as it is before anything happens: both sides begin, the first one has the addresses. */
export const wireOf = (pair: FleetPair, fleet: Fleet, tokens: readonly string[]): Wire => ({
  pair,
  sides: [sideOf(pair, 0, fleet, tokens), sideOf(pair, 1, fleet, tokens)],
  master: undefined,
});

const sideOf = (pair: FleetPair, at: 0 | 1, fleet: Fleet, tokens: readonly string[]): Side => {
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

/** The other side of the same pair. */
export const otherOf = ({ sides: [first, second] }: Wire, side: Side): Side =>
  side === first ? second : first;

/** Changes the VRRP state. */
export const enter = (side: Side, state: VRRPState): void => {
  side.state = state;
  side.since = microTime();
};

/** Puts a step at the end of a side's lane. */
export const inLane = <T>(side: Side, step: () => Promise<T>): Promise<T> => {
  const done = side.lane.then(step);
  side.lane = done.catch(() => undefined);
  return done;
};
