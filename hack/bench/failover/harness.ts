/**
 * Where recipe and product are compared: one lab, one EC2 with the times observed at AWS, two pairs of instances, each
 * with a VIP and an EIP of its own. The pairs share nothing but the machine, so neither has to be cleared away for the
 * other's turn.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { tapAdverts } from '../../lab/advert-tap.ts';
import type { SeenAdvert } from '../../lab/adverts.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { installProduct, type Product } from '../../lab/product.ts';
import type { LabInstance, LabVPC } from '../../lab/types.ts';
import { STANDARD_VPC } from '../../lab/vpc.ts';

/** What a pair shares and whose it is; the first node is the preferred one. */
export type Pair = {
  nodes: readonly [LabInstance, LabInstance];
  vip: string;
  publicIP: string;
  allocationID: string;
};

/** The recipe's two instances, beside those of the demo. */
const RECIPE_INSTANCES: [LabInstance, LabInstance] = [
  {
    name: 'recipe1',
    instanceID: 'i-0aaaaaaaaaaaaaa21',
    instanceType: 't3.micro',
    networkInterfaceID: 'eni-0aaaaaaaaaaaaaa21',
    macAddress: '0a:10:10:10:10:15',
    address: '10.10.10.21',
    fabricDevice: 'eni21',
    securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
  },
  {
    name: 'recipe2',
    instanceID: 'i-0bbbbbbbbbbbbbb22',
    instanceType: 't3.micro',
    networkInterfaceID: 'eni-0bbbbbbbbbbbbbb22',
    macAddress: '0a:10:10:10:10:16',
    address: '10.10.10.22',
    fabricDevice: 'eni22',
    securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
  },
];

const RECIPE_EIP = { allocationID: 'eipalloc-0cccccccccccccc23', publicIP: '203.0.113.20' };

const VPC: LabVPC = {
  ...STANDARD_VPC,
  instances: [...STANDARD_VPC.instances, ...RECIPE_INSTANCES],
  elasticIPs: [...STANDARD_VPC.elasticIPs, RECIPE_EIP],
};

/** @throws Error when the VPC has none of that name. */
const instance = (name: string): LabInstance => {
  const found = VPC.instances.find((one) => one.name === name);
  if (found === undefined) throw new Error(`The VPC has no instance ${name}.`);
  return found;
};

/** The pair of hack/demo/hapair.yaml. */
export const HAPAIR_PAIR: Pair = {
  nodes: [instance('node1'), instance('node2')],
  vip: '10.10.10.10',
  publicIP: '203.0.113.10',
  allocationID: 'eipalloc-0ccccccccccccccc3',
};

/** The recipe's pair. */
export const RECIPE_PAIR: Pair = {
  nodes: RECIPE_INSTANCES,
  vip: '10.10.10.20',
  ...RECIPE_EIP,
};

/** Both nodes, the one at `place` first. */
export const nodesFrom = ({ nodes }: Pair, place: 0 | 1): LabInstance[] =>
  place === 0 ? [...nodes] : nodes.toReversed();

/** The lab with the product on the first pair. */
export type Harness = {
  lab: Lab;
  product: Product;
  /** All that the fabric has carried so far, of both pairs. */
  adverts: readonly SeenAdvert[];
};

/**
 * Builds it: about fifteen seconds.
 * @param dir emptied first; holds state and logs
 * @throws Error that says what could not be started; nothing is left running then.
 */
export const openHarness = async (dir: string, onLog: (line: string) => void): Promise<Harness> => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const vips = [HAPAIR_PAIR.vip, RECIPE_PAIR.vip];
  const lab = await startLab({ dir, profile: 'aws', vpc: VPC, vips, kube: true, onLog });
  try {
    const nodes = HAPAIR_PAIR.nodes.map(({ name }) => name);
    const product = await installProduct(lab, { nodes, onLog });
    return { lab, product, adverts: await tapAdverts(lab) };
  } catch (error) {
    await lab.down();
    throw error;
  }
};
