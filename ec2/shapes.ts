/** What the SDK answers, reduced to what hapair uses; a field that EC2 left out becomes the reading that assumes least. */
import type {
  Address,
  NetworkInterface as SDKNetworkInterface,
  SecurityGroupRule as SDKSecurityGroupRule,
  Tag,
} from '@aws-sdk/client-ec2';
import { plainText } from '../runtime/plain-text.ts';
import type { RawError } from './errors.ts';
import type { ElasticIP, NetworkInterface, SecurityGroupRule } from './types.ts';

/** EC2's longest codes have some fifty. */
const CODE_CHARACTERS = 100;

/** Reduces what the SDK or the socket threw; an error without an HTTP answer goes by the system's word. */
export const rawErrorOf = (error: unknown): RawError => {
  const { name, code, message, $metadata } = error as {
    name?: string;
    code?: unknown;
    message?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const httpStatus = $metadata?.httpStatusCode;
  const word = httpStatus === undefined && typeof code === 'string' ? code : (name ?? 'Error');
  const text = message === undefined || message === '' ? word : message;
  return {
    code: plainText(word, CODE_CHARACTERS),
    message: plainText(text),
    ...(httpStatus !== undefined && { httpStatus }),
  };
};

const tagsOf = (tags: readonly Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));

export const networkInterfaceOf = (each: SDKNetworkInterface): NetworkInterface => ({
  networkInterfaceID: each.NetworkInterfaceId ?? '',
  subnetID: each.SubnetId ?? '',
  availabilityZone: each.AvailabilityZone ?? '',
  ...(each.Attachment?.InstanceId !== undefined && { instanceID: each.Attachment.InstanceId }),
  ...(each.OwnerId !== undefined && { ownerID: each.OwnerId }),
  status: each.Status ?? '',
  sourceDestCheck: each.SourceDestCheck ?? true,
  securityGroupIDs: (each.Groups ?? []).flatMap(({ GroupId }) => (GroupId === undefined ? [] : [GroupId])),
  tags: tagsOf(each.TagSet),
  privateIPAddresses: (each.PrivateIpAddresses ?? []).map(({ PrivateIpAddress, Primary, Association }) => ({
    privateIPAddress: PrivateIpAddress ?? '',
    primary: Primary ?? false,
    ...(Association?.PublicIp !== undefined && {
      association: {
        publicIP: Association.PublicIp,
        ...(Association.AllocationId !== undefined && { allocationID: Association.AllocationId }),
        ...(Association.AssociationId !== undefined && { associationID: Association.AssociationId }),
      },
    }),
  })),
});

export const elasticIPOf = (each: Address): ElasticIP => ({
  allocationID: each.AllocationId ?? '',
  publicIP: each.PublicIp ?? '',
  ...(each.AssociationId !== undefined && { associationID: each.AssociationId }),
  ...(each.NetworkInterfaceId !== undefined && { networkInterfaceID: each.NetworkInterfaceId }),
  ...(each.PrivateIpAddress !== undefined && { privateIPAddress: each.PrivateIpAddress }),
  tags: tagsOf(each.Tags),
});

/** A rule for IPv6 is none of ours. One that names a prefix list is kept without its other end: nobody knows what it covers. */
export const securityGroupRulesOf = (each: SDKSecurityGroupRule): SecurityGroupRule[] =>
  each.CidrIpv6 !== undefined
    ? []
    : [
        {
          isEgress: each.IsEgress ?? false,
          protocol: each.IpProtocol ?? '',
          ...(each.CidrIpv4 !== undefined && { cidrIPv4: each.CidrIpv4 }),
          ...(each.ReferencedGroupInfo?.GroupId !== undefined && {
            referencedGroupID: each.ReferencedGroupInfo.GroupId,
          }),
        },
      ];
