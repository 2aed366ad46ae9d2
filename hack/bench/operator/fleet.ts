/** N pairs on some hundred instances as data: the lab's large VPC, and the HAPairs that belong to it. */
import { API_GROUP_VERSION } from '../../../crds/types.ts';
import { largeVPC } from '../../lab/ec2/large-vpc.ts';
import type { LabVPC } from '../../lab/types.ts';

/** One HAPair of the fleet. */
export type FleetPair = {
  name: string;
  /** Indices of its two instances in `Fleet.vpc.instances`; EC2 delivers to the first one at the start. */
  nodes: readonly [number, number];
  vip: string;
  allocationID: string;
  virtualRouterID: number;
};

/** Pairs on instances, and where their addresses are at first. */
export type Fleet = {
  vpc: LabVPC;
  pairs: readonly FleetPair[];
  /** Placements for the lab's EC2: every VIP with its EIP on its holder. */
  initial: readonly string[];
};

/** Instances, unless said otherwise. */
export const NODES = 200;
/** A pair's VRID must be unique on both its instances. */
const MOST_ON_COUPLE = 255;
/** Where the HAPairs are. */
export const NAMESPACE = 'prod';

/**
 * The fleet of `count` pairs: spread evenly over couples of at most `nodes` instances, half of the holders on each side.
 * @throws RangeError when they do not fit.
 */
export const fleetOf = (count: number, nodes = NODES): Fleet => {
  const most = Math.floor(nodes / 2) * MOST_ON_COUPLE;
  if (!Number.isInteger(count) || count < 1 || count > most)
    throw new RangeError(`A fleet on ${nodes} instances has 1 to ${most} pairs, not ${count}.`);
  const couples = Math.min(count, Math.floor(nodes / 2));
  const { vpc, pairs, initial } = largeVPC({ pairs: count, nodes: 2 * couples, eips: true });
  const indexOf = new Map(vpc.instances.map(({ name }, index) => [name, index]));
  const at = (name: string): number => indexOf.get(name) ?? Number.NaN;
  return {
    vpc,
    initial,
    pairs: pairs.map(({ name, vip, allocationID = '', nodes: [holder, other] }, index) => ({
      name,
      vip,
      allocationID,
      nodes: [at(holder), at(other)],
      virtualRouterID: 1 + Math.floor(index / couples),
    })),
  };
};

/** What a user would apply. */
export const manifestOf = (fleet: Fleet, pair: FleetPair): object => ({
  apiVersion: API_GROUP_VERSION,
  kind: 'HAPair',
  metadata: { name: pair.name, namespace: NAMESPACE },
  spec: {
    nodes: pair.nodes.flatMap((index) => {
      const instance = fleet.vpc.instances[index];
      if (instance === undefined) return [];
      const { name, address, networkInterfaceID } = instance;
      return [{ name, address, networkInterfaceID, interface: 'eth0' }];
    }),
    addresses: [{ name: 'main', vip: pair.vip, eipAllocationID: pair.allocationID }],
    vrrp: { version: 3, virtualRouterID: pair.virtualRouterID },
  },
});
