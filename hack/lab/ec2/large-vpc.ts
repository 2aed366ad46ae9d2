/** A VPC for measurements of the API alone: many pairs that share few nodes, without a fabric that could carry them. */
import type { LabVPC } from '../types.ts';
import { STANDARD_VPC } from '../vpc.ts';

/** How large the VPC is. */
export type LargeVPCOptions = { pairs: number; nodes: number /** One EIP for each pair. */; eips: boolean };

/** A pair of the large VPC: what its HAPair names. */
export type LargePair = {
  name: string;
  vip: string;
  allocationID?: string;
  /** Names of its two nodes; the first one holds the VIP at the start. */
  nodes: readonly [string, string];
};

export type LargeVPC = {
  vpc: LabVPC;
  pairs: LargePair[];
  /** Where addresses are at the start, as `--initial` and a reset take it. */
  initial: string[];
};

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
const address = (value: number): string => `10.0.${Math.floor(value / 256)}.${value % 256}`;

/** VIPs begin here, above all primaries. */
const FIRST_VIP = 64 * 256;
const FIRST_PRIMARY = 256;

/**
 * Nodes come in couples; pair number i lies on couple i modulo their number, and its VIP on one of the two by turns.
 * @param options at most 16,000 nodes and 40,000 pairs; an even number of nodes
 */
export const largeVPC = ({ pairs, nodes, eips }: LargeVPCOptions): LargeVPC => {
  if (nodes < 2 || nodes % 2 === 1 || nodes > 16_000 || pairs > 40_000)
    throw new RangeError(`a large VPC has an even number of nodes up to 16,000 and up to 40,000 pairs`);
  const instances = Array.from({ length: nodes }, (_, n) => ({
    name: `node${n + 1}`,
    instanceID: `i-0${hex(n, 16)}`,
    instanceType: 'lab.unlimited',
    networkInterfaceID: `eni-0${hex(n, 16)}`,
    macAddress: `0a:00:${hex(n >> 8, 4).slice(0, 2)}:${hex(n >> 8, 4).slice(2)}:${hex(n & 255, 2)}:01`,
    address: address(FIRST_PRIMARY + n),
    fabricDevice: `eni${n + 1}`,
    securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
  }));
  const all = Array.from({ length: pairs }, (_, i): LargePair => {
    const couple = 2 * (i % (nodes / 2));
    const turn = Math.floor(i / (nodes / 2)) % 2;
    return {
      name: `pair${i + 1}`,
      vip: address(FIRST_VIP + i),
      ...(eips && { allocationID: `eipalloc-0${hex(i, 16)}` }),
      nodes: [`node${couple + 1 + turn}`, `node${couple + 2 - turn}`],
    };
  });
  const eniOf = new Map(instances.map(({ name, networkInterfaceID }) => [name, networkInterfaceID]));
  return {
    vpc: {
      ...STANDARD_VPC,
      cidr: '10.0.0.0/16',
      instances,
      elasticIPs: all.flatMap(({ allocationID }, i) =>
        allocationID === undefined
          ? []
          : [{ allocationID, publicIP: `198.18.${Math.floor(i / 256)}.${i % 256}` }],
      ),
      lanClient: { ...STANDARD_VPC.lanClient, address: '10.0.0.100' },
    },
    pairs: all,
    initial: all.map(({ vip, nodes: [holder], allocationID }) =>
      [vip, eniOf.get(holder), ...(allocationID === undefined ? [] : [allocationID])].join('='),
    ),
  };
};
