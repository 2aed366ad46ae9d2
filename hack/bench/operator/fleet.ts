/** N pairs on at most 200 instances as data: the VPC, the HAPairs, and where EC2 has their addresses at the start. */
import { API_GROUP_VERSION } from '../../../crds/types.ts';
import type { LabInstance, LabVPC } from '../../lab/types.ts';

/** One HAPair of the fleet. */
export type FleetPair = {
  name: string;
  /** Indices of its two instances in `Fleet.vpc.instances`. */
  nodes: readonly [number, number];
  /** Which of the two EC2 delivers to at the start. */
  holder: 0 | 1;
  vip: string;
  allocationID: string;
  virtualRouterID: number;
};

export type Fleet = {
  vpc: LabVPC;
  pairs: readonly FleetPair[];
  /** Placements for the lab's EC2: every VIP with its EIP on its holder. */
  initial: readonly string[];
};

/** Instances that stand opposite each other; a pair's VRID must be unique on both, so 255 pairs fit on two. */
export const NODE_PAIRS = 100;
export const MOST_PAIRS = NODE_PAIRS * 255;
/** Where the HAPairs are. */
export const NAMESPACE = 'prod';
/** A type with room for a VIP of each pair; no real one has it (50 addresses at most), and the operator never asks. */
const INSTANCE_TYPE = 'lab.roomy';
const VIPS_PER_BLOCK = 200;

const hex = (prefix: string, kind: string, index: number): string =>
  `${prefix}-0${kind}${index.toString(16).padStart(15, '0')}`;

/** Two of a node pair are neighbours in the list. */
const instanceOf = (index: number): LabInstance => ({
  name: `node-${Math.floor(index / 2)}-${index % 2 === 0 ? 'a' : 'b'}`,
  instanceID: hex('i', 'a', index),
  instanceType: INSTANCE_TYPE,
  networkInterfaceID: hex('eni', 'b', index),
  macAddress: `0a:00:00:00:00:${index.toString(16).padStart(2, '0')}`,
  address: `10.16.0.${10 + index}`,
  fabricDevice: `eni${index}`,
  securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
});

const pairOf = (index: number): FleetPair => {
  const at = index % NODE_PAIRS;
  const round = Math.floor(index / NODE_PAIRS);
  return {
    name: `pair-${index}`,
    nodes: [2 * at, 2 * at + 1],
    holder: (at + round) % 2 === 0 ? 0 : 1,
    vip: `10.16.${16 + Math.floor(index / VIPS_PER_BLOCK)}.${10 + (index % VIPS_PER_BLOCK)}`,
    allocationID: hex('eipalloc', 'c', index),
    virtualRouterID: 1 + round,
  };
};

/** RFC 2544 sets these aside for benchmarks. */
const publicIPOf = (index: number): string => `198.18.${index >> 8}.${index & 255}`;

/**
 * The fleet of `count` pairs: spread evenly over the node pairs, half of the holders on each side.
 * @throws RangeError when they do not fit.
 */
export const fleetOf = (count: number): Fleet => {
  if (!Number.isInteger(count) || count < 1 || count > MOST_PAIRS)
    throw new RangeError(`The fleet has 1 to ${MOST_PAIRS} pairs, not ${count}.`);
  const pairs = Array.from({ length: count }, (_, index) => pairOf(index));
  const instances = Array.from({ length: 2 * Math.min(count, NODE_PAIRS) }, (_, index) => instanceOf(index));
  return {
    vpc: {
      region: 'ap-northeast-1',
      availabilityZone: 'ap-northeast-1a',
      vpcID: 'vpc-0ddddddddddddddd4',
      subnetID: 'subnet-0eeeeeeeeeeeeeee5',
      cidr: '10.16.0.0/16',
      internetGatewayID: 'igw-0fffffffffffffff6',
      instances,
      elasticIPs: pairs.map(({ allocationID }, index) => ({ allocationID, publicIP: publicIPOf(index) })),
      lanClient: {
        name: 'lan',
        address: '10.16.255.10',
        networkInterfaceID: 'eni-01111111111111117',
        macAddress: '0a:10:10:10:10:64',
        fabricDevice: 'enilan',
      },
      internetClient: { name: 'internet', address: '198.51.100.10', gateway: '198.51.100.1' },
    },
    pairs,
    initial: pairs.map(({ vip, nodes, holder, allocationID }) => {
      const eni = instances[nodes[holder]]?.networkInterfaceID ?? '';
      return `${vip}=${eni}=${allocationID}`;
    }),
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
