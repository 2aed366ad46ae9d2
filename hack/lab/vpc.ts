/** The VPC that demo and tests run in, and the management network beside it. */
import type { LabInstance, LabInterface, LabVPC } from './types.ts';

/**
 * The VPC of the demo and the tests: two instances that share 10.10.10.10 and 203.0.113.10, a client in their subnet and
 * one on the internet.
 */
export const STANDARD_VPC: LabVPC = {
  region: 'ap-northeast-1',
  availabilityZone: 'ap-northeast-1a',
  vpcID: 'vpc-0ddddddddddddddd4',
  subnetID: 'subnet-0eeeeeeeeeeeeeee5',
  cidr: '10.10.10.0/24',
  internetGatewayID: 'igw-0fffffffffffffff6',
  instances: [
    {
      name: 'node1',
      instanceID: 'i-0aaaaaaaaaaaaaaa1',
      instanceType: 't3.micro',
      networkInterfaceID: 'eni-0aaaaaaaaaaaaaaa1',
      macAddress: '0a:10:10:10:10:11',
      address: '10.10.10.11',
      fabricDevice: 'eni1',
      securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
    },
    {
      name: 'node2',
      instanceID: 'i-0bbbbbbbbbbbbbbb2',
      instanceType: 't3.micro',
      networkInterfaceID: 'eni-0bbbbbbbbbbbbbbb2',
      macAddress: '0a:10:10:10:10:12',
      address: '10.10.10.12',
      fabricDevice: 'eni2',
      securityGroupIDs: ['sg-0aaaaaaaaaaaaaaa1'],
    },
  ],
  elasticIPs: [{ allocationID: 'eipalloc-0ccccccccccccccc3', publicIP: '203.0.113.10' }],
  lanClient: {
    name: 'lan',
    address: '10.10.10.100',
    networkInterfaceID: 'eni-01111111111111117',
    macAddress: '0a:10:10:10:10:64',
    fabricDevice: 'enilan',
  },
  internetClient: { name: 'internet', address: '198.51.100.10', gateway: '198.51.100.1' },
};

/** The management network: outside the VPC, for the API server and the EC2 API alone. */
export const MANAGEMENT = {
  prefix: 24,
  world: '192.168.254.1',
  fabric: '192.168.254.2',
  /** Management address of the instance at `index` of the VPC. */
  node: (index: number): string => `192.168.254.${11 + index}`,
  kubernetesPort: 6443,
  ec2Port: 4566,
} as const;

/** Instance metadata, answered in the fabric. */
export const IMDS_ADDRESS = '169.254.169.254';

/** The subnet's router: the first address of the CIDR (VPC guide, "Subnet CIDR blocks"). */
export const routerAddress = (vpc: LabVPC): string => {
  const [network = ''] = vpc.cidr.split('/');
  const octets = network.split('.').map(Number);
  octets[3] = (octets[3] ?? 0) + 1;
  return octets.join('.');
};

/** Length of the subnet's prefix. */
export const prefixLength = (vpc: LabVPC): number => Number(vpc.cidr.split('/')[1]);

/** The ENIs of an instance, `eth0` first. */
export const interfacesOf = (instance: LabInstance): LabInterface[] => [instance, ...(instance.more ?? [])];

/** An ENI, the namespace that it is in, and its device there. */
export type PlacedInterface = LabInterface & { name: string; device: string };

/** Every ENI of the subnet. */
export const placedInterfaces = (vpc: LabVPC): PlacedInterface[] => [
  ...vpc.instances.flatMap((instance) =>
    interfacesOf(instance).map((eni, index) => ({ ...eni, name: instance.name, device: `eth${index}` })),
  ),
  { ...vpc.lanClient, device: 'eth0' },
];
