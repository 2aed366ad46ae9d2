/** The actions the lab's EC2 has: what each accepts, which token bucket it drinks from, and what it does. */
import type { Action } from './action.ts';
import { assignPrivateIPAddresses, unassignPrivateIPAddresses } from './addresses.ts';
import { describeAddresses, describeInstances, describeNetworkInterfaces } from './describe.ts';
import {
  describeInstanceTypes,
  describeInternetGateways,
  describeSecurityGroupRules,
  describeSubnets,
} from './describe-vpc.ts';
import { associateAddress, disassociateAddress } from './elastic-ips.ts';
import { dryRun, EC2Error } from './errors.ts';
import { checkNames, flag, type Parameters } from './parameters.ts';
import { SECURITY_GROUP_ACTIONS } from './security-groups.ts';
import type { State } from './state.ts';
import { createTags, deleteTags } from './tags.ts';
import type { XMLMembers } from './xml.ts';

const read = (
  parameters: readonly string[],
  show: (state: State, parameters: Parameters) => XMLMembers,
): Action => ({
  mutating: false,
  parameters: ['DryRun', 'Filter', ...parameters],
  bucket: { capacity: 100, refillPerSecond: 20 },
  run: (state, given) => ({ state, answer: show(state, given) }),
});

const PAGED = ['MaxResults', 'NextToken'];
const UNFILTERED_BUCKET = { capacity: 50, refillPerSecond: 10 };

/** By name; DryRun is among the parameters exactly where EC2 has it. */
const ACTIONS: Readonly<Record<string, Action>> = {
  AssignPrivateIpAddresses: {
    mutating: true,
    parameters: [
      'NetworkInterfaceId',
      'PrivateIpAddress',
      'SecondaryPrivateIpAddressCount',
      'AllowReassignment',
    ],
    bucket: { capacity: 100, refillPerSecond: 5 },
    run: assignPrivateIPAddresses,
  },
  UnassignPrivateIpAddresses: {
    mutating: true,
    parameters: ['NetworkInterfaceId', 'PrivateIpAddress'],
    bucket: { capacity: 100, refillPerSecond: 5 },
    run: unassignPrivateIPAddresses,
  },
  AssociateAddress: {
    mutating: true,
    parameters: [
      'DryRun',
      'AllocationId',
      'PublicIp',
      'InstanceId',
      'NetworkInterfaceId',
      'PrivateIpAddress',
      'AllowReassociation',
    ],
    bucket: { capacity: 50, refillPerSecond: 5 },
    run: associateAddress,
  },
  DisassociateAddress: {
    mutating: true,
    parameters: ['DryRun', 'AssociationId', 'PublicIp'],
    bucket: { capacity: 50, refillPerSecond: 5 },
    run: disassociateAddress,
  },
  CreateTags: {
    mutating: true,
    parameters: ['DryRun', 'ResourceId', 'Tag'],
    bucket: { capacity: 100, refillPerSecond: 10 },
    run: createTags,
  },
  DeleteTags: {
    mutating: true,
    parameters: ['DryRun', 'ResourceId', 'Tag'],
    bucket: { capacity: 100, refillPerSecond: 10 },
    run: deleteTags,
  },
  ...SECURITY_GROUP_ACTIONS,
  DescribeNetworkInterfaces: {
    ...read(['NetworkInterfaceId', ...PAGED], describeNetworkInterfaces),
    unfilteredBucket: UNFILTERED_BUCKET,
  },
  DescribeInstances: {
    ...read(['InstanceId', ...PAGED], describeInstances),
    unfilteredBucket: UNFILTERED_BUCKET,
  },
  DescribeAddresses: read(['AllocationId', 'PublicIp'], describeAddresses),
  DescribeSubnets: read(['SubnetId', ...PAGED], describeSubnets),
  DescribeSecurityGroupRules: read(['SecurityGroupRuleId', ...PAGED], describeSecurityGroupRules),
  DescribeInstanceTypes: read(['InstanceType', ...PAGED], describeInstanceTypes),
  DescribeInternetGateways: read(['InternetGatewayId', ...PAGED], describeInternetGateways),
};

/** Finds an action by its name. @throws EC2Error `InvalidAction`. */
export const findAction = (name: string): Action => {
  const found = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (found === undefined) {
    throw new EC2Error(
      'InvalidAction',
      `The action ${name} is not valid for this web service (the lab's EC2).`,
    );
  }
  return found;
};

/**
 * What can be refused before anything is looked up: a parameter the action does not have, and a dry run.
 * @throws EC2Error `UnknownParameter`, or `DryRunOperation` for a call that would be allowed.
 */
export const checkRequest = (action: Action, parameters: Parameters, authorise: () => void): void => {
  checkNames(parameters, action.parameters);
  authorise();
  if (flag(parameters, 'DryRun', false)) throw dryRun();
};
