/** What EC2 answers to a request, in the SDK's shapes: the state of the account at one instant, or the error that the SDK would throw. */
import type { NetworkInterface as SDKNetworkInterface, Tag } from '@aws-sdk/client-ec2';
import type { EC2Call } from '../ec2/actions.ts';
import type { EC2Input, EC2Output, EC2Requests } from '../ec2/api.ts';
import type { RawError } from '../ec2/errors.ts';
import type { EC2View, ElasticIP, NetworkInterface } from '../ec2/types.ts';

/** An error as the SDK throws it. */
export const sdkError = ({ code, message, httpStatus }: RawError): Error =>
  Object.assign(new Error(message), {
    name: code,
    $metadata: httpStatus === undefined ? {} : { httpStatusCode: httpStatus },
  });

const refusal = (code: string): Error => sdkError({ code, message: `${code}, says EC2`, httpStatus: 400 });

/** What a request asks for. */
export type Asked<A extends keyof EC2Requests> = {
  /** What it changes; absent: nothing. */
  call?: EC2Call;
  /** What it reads of where addresses are; default: nothing. */
  networkInterfaceIDs?: readonly string[];
  allocationIDs?: readonly string[];
  /** From what is there when it is read. @throws Error as the SDK does */
  answer(view: EC2View): EC2Output<A>;
};

/** Nothing is believed that the answer to a call says. */
const done = () => ({});

const tagsOf = (tags: Readonly<Record<string, string>>): Tag[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** EC2 shows on an ENI which of its addresses has an EIP. */
const interfaceOf = (each: NetworkInterface, elasticIPs: readonly ElasticIP[]): SDKNetworkInterface => ({
  NetworkInterfaceId: each.networkInterfaceID,
  SubnetId: each.subnetID,
  AvailabilityZone: each.availabilityZone,
  Attachment: { InstanceId: each.instanceID },
  Status: each.status === 'in-use' ? 'in-use' : 'available',
  SourceDestCheck: each.sourceDestCheck,
  Groups: each.securityGroupIDs.map((GroupId) => ({ GroupId })),
  TagSet: tagsOf(each.tags),
  PrivateIpAddresses: each.privateIPAddresses.map(({ privateIPAddress, primary }) => {
    const elasticIP = elasticIPs.find(
      (other) =>
        other.networkInterfaceID === each.networkInterfaceID && other.privateIPAddress === privateIPAddress,
    );
    return {
      PrivateIpAddress: privateIPAddress,
      Primary: primary,
      Association: elasticIP && {
        PublicIp: elasticIP.publicIP,
        AllocationId: elasticIP.allocationID,
        AssociationId: elasticIP.associationID,
      },
    };
  }),
});

/** Each of `ids`. @throws Error with `code` when one is not there: EC2 fails the whole request */
const allOf = <T>(ids: readonly string[], things: Readonly<Record<string, T | null>>, code: string): T[] =>
  ids.map((id) => {
    const thing = things[id];
    if (thing === undefined || thing === null) throw refusal(code);
    return thing;
  });

/** Those of `ids` that are there: a filter leaves out the others. */
const someOf = <T>(ids: readonly string[], things: Readonly<Record<string, T | null>>): T[] =>
  ids.flatMap((id) => things[id] ?? []);
/** The ENIs that have one of these private addresses. */
const holdersOf = (
  addresses: readonly string[],
  networkInterfaces: EC2View['networkInterfaces'],
  holders: EC2View['holders'],
): NetworkInterface[] => {
  const all = [
    ...Object.values(networkInterfaces),
    ...addresses.flatMap((address) => holders[address] ?? []),
  ];
  return [...new Set(all)].flatMap((each) =>
    each?.privateIPAddresses.some(({ privateIPAddress }) => addresses.includes(privateIPAddress))
      ? [each]
      : [],
  );
};

const filterOf = ({
  Filters = [],
}: {
  Filters?: { Values?: string[] | undefined }[] | undefined;
}): string[] => Filters[0]?.Values ?? [];

type Requests = {
  [A in keyof EC2Requests]: (input: EC2Input<A>, elasticIPs: EC2View['elasticIPs']) => Asked<A>;
};

/** What a preflight asks for is in order. */
const REQUESTS: Requests = {
  DescribeNetworkInterfaces: ({ NetworkInterfaceIds, ...filtered }) => ({
    networkInterfaceIDs: NetworkInterfaceIds ?? filterOf(filtered),
    answer: ({ networkInterfaces, elasticIPs, holders }) => {
      const placed = Object.values(elasticIPs).flatMap((each) => each ?? []);
      const wanted = filterOf(filtered);
      const found = NetworkInterfaceIds
        ? allOf(NetworkInterfaceIds, networkInterfaces, 'InvalidNetworkInterfaceID.NotFound')
        : filtered.Filters?.[0]?.Name === 'addresses.private-ip-address'
          ? holdersOf(wanted, networkInterfaces, holders)
          : someOf(wanted, networkInterfaces);
      return { NetworkInterfaces: found.map((each) => interfaceOf(each, placed)) };
    },
  }),
  DescribeAddresses: ({ AllocationIds, ...filtered }) => ({
    allocationIDs: AllocationIds ?? filterOf(filtered),
    answer: ({ elasticIPs }) => ({
      Addresses: (AllocationIds
        ? allOf(AllocationIds, elasticIPs, 'InvalidAllocationID.NotFound')
        : someOf(filterOf(filtered), elasticIPs)
      ).map((each) => ({
        AllocationId: each.allocationID,
        PublicIp: each.publicIP,
        AssociationId: each.associationID,
        NetworkInterfaceId: each.networkInterfaceID,
        PrivateIpAddress: each.privateIPAddress,
        Tags: tagsOf(each.tags),
      })),
    }),
  }),
  DescribeInstances: ({ InstanceIds = [] }) => ({
    answer: () => ({
      Reservations: InstanceIds.map((InstanceId) => ({
        Instances: [
          {
            InstanceId,
            State: { Name: 'running' },
            InstanceType: 't3.micro',
            NetworkInterfaces: [{ NetworkInterfaceId: `eni-${InstanceId.slice(2)}` }],
          },
        ],
      })),
    }),
  }),
  DescribeSubnets: ({ SubnetIds = [] }) => ({
    answer: () => ({
      Subnets: SubnetIds.map((SubnetId) => ({
        SubnetId,
        CidrBlock: '10.10.10.0/24',
        AvailabilityZone: 'ap-northeast-1a',
      })),
    }),
  }),
  DescribeSecurityGroupRules: (input) => ({
    answer: () => ({
      SecurityGroupRules: filterOf(input).flatMap((GroupId) =>
        [false, true].map((IsEgress) => ({ GroupId, IsEgress, IpProtocol: '-1', CidrIpv4: '0.0.0.0/0' })),
      ),
    }),
  }),
  DescribeInstanceTypes: (input) => ({
    answer: () => ({
      InstanceTypes: filterOf(input).map(() => ({
        InstanceType: 't3.micro',
        NetworkInfo: { Ipv4AddressesPerInterface: 2 },
      })),
    }),
  }),
  AssignPrivateIpAddresses: ({ NetworkInterfaceId = '', PrivateIpAddresses = [] }) => ({
    call: {
      action: 'AssignPrivateIpAddresses',
      networkInterfaceID: NetworkInterfaceId,
      privateIPAddresses: PrivateIpAddresses,
    },
    answer: done,
  }),
  UnassignPrivateIpAddresses: ({ NetworkInterfaceId = '', PrivateIpAddresses = [] }) => ({
    call: {
      action: 'UnassignPrivateIpAddresses',
      networkInterfaceID: NetworkInterfaceId,
      privateIPAddresses: PrivateIpAddresses,
    },
    answer: done,
  }),
  AssociateAddress: ({ DryRun, AllocationId = '', NetworkInterfaceId = '', PrivateIpAddress = '' }) => {
    if (DryRun === true) return { answer: worksDry };
    return {
      call: {
        action: 'AssociateAddress',
        allocationID: AllocationId,
        networkInterfaceID: NetworkInterfaceId,
        privateIPAddress: PrivateIpAddress,
      },
      answer: done,
    };
  },
  DisassociateAddress: ({ AssociationId = '' }, elasticIPs) => {
    const elasticIP = Object.values(elasticIPs).find((each) => each?.associationID === AssociationId);
    return {
      call: {
        action: 'DisassociateAddress',
        allocationID: elasticIP?.allocationID ?? '',
        associationID: AssociationId,
        networkInterfaceID: elasticIP?.networkInterfaceID ?? '',
      },
      answer: done,
    };
  },
};

const worksDry = (): never => {
  throw sdkError({ code: 'DryRunOperation', message: 'it would have worked', httpStatus: 412 });
};

/** What a request asks for. @param elasticIPs where each EIP is, or was last: a request may name an association alone */
export const askedBy = <A extends keyof EC2Requests>(
  action: A,
  input: EC2Input<A>,
  elasticIPs: EC2View['elasticIPs'],
): Asked<A> => REQUESTS[action](input, elasticIPs);
