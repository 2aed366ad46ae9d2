/** The Describe calls of what does not move: what a preflight looks at. */
import { blockOf } from './addresses.ts';
import { EC2Error } from './errors.ts';
import { INSTANCE_TYPES } from './instance-types.ts';
import { page, select } from './pages.ts';
import { list, type Parameters } from './parameters.ts';
import { ACCOUNT_ID, type SecurityGroupRule, type State } from './state.ts';
import type { XMLMembers } from './xml.ts';

/** The one subnet of the lab. */
export const describeSubnets = (state: State, parameters: Parameters): XMLMembers => {
  const { vpc } = state;
  const held = state.networkInterfaces.reduce((sum, eni) => sum + eni.addresses.length, 0);
  const find = (id: string): string => {
    if (id !== vpc.subnetID)
      throw new EC2Error('InvalidSubnetID.NotFound', `The subnet ID '${id}' does not exist`);
    return id;
  };
  return page(
    parameters,
    'SubnetId',
    select([vpc.subnetID], list(parameters, 'SubnetId'), find),
    { 'subnet-id': (id) => [id], 'vpc-id': () => [vpc.vpcID] },
    'subnetSet',
    (subnetId) => ({
      subnetId,
      state: 'available',
      vpcId: vpc.vpcID,
      cidrBlock: vpc.cidr,
      availableIpAddressCount: blockOf(vpc.cidr).size - 5 - held,
      availabilityZone: vpc.availabilityZone,
    }),
  );
};

/** Rules of the security groups that instances have. */
export const describeSecurityGroupRules = (state: State, parameters: Parameters): XMLMembers => {
  const find = (id: string): SecurityGroupRule => {
    const found = state.securityGroupRules.find((rule) => rule.securityGroupRuleID === id);
    if (found === undefined) {
      throw new EC2Error(
        'InvalidSecurityGroupRuleId.NotFound',
        `The security group rule ID '${id}' does not exist`,
      );
    }
    return found;
  };
  return page(
    parameters,
    'SecurityGroupRuleId',
    select(state.securityGroupRules, list(parameters, 'SecurityGroupRuleId'), find),
    {
      'group-id': (rule) => [rule.groupID],
      'security-group-rule-id': (rule) => [rule.securityGroupRuleID],
    },
    'securityGroupRuleSet',
    (rule) => ({
      securityGroupRuleId: rule.securityGroupRuleID,
      groupId: rule.groupID,
      groupOwnerId: ACCOUNT_ID,
      isEgress: rule.egress,
      ipProtocol: rule.protocol,
      fromPort: -1,
      toPort: -1,
      cidrIpv4: rule.cidr,
      referencedGroupInfo: rule.referencedGroupID && { groupId: rule.referencedGroupID, userId: ACCOUNT_ID },
    }),
  );
};

/** Limits of the instance types that the lab knows. */
export const describeInstanceTypes = (_state: State, parameters: Parameters): XMLMembers => {
  const find = (name: string): string => {
    if (!Object.hasOwn(INSTANCE_TYPES, name)) {
      throw new EC2Error(
        'InvalidInstanceType',
        `The following supplied instance types do not exist: [${name}]`,
      );
    }
    return name;
  };
  return page(
    parameters,
    'InstanceType',
    select(Object.keys(INSTANCE_TYPES), list(parameters, 'InstanceType'), find),
    { 'instance-type': (name) => [name] },
    'instanceTypeSet',
    (instanceType) => ({ instanceType, networkInfo: INSTANCE_TYPES[instanceType] }),
  );
};

/** The VPC's gateway, if it has one. */
export const describeInternetGateways = (state: State, parameters: Parameters): XMLMembers => {
  const { internetGatewayID, vpcID } = state.vpc;
  const find = (id: string): string => {
    if (id !== internetGatewayID) {
      throw new EC2Error(
        'InvalidInternetGatewayID.NotFound',
        `The internetGateway ID '${id}' does not exist`,
      );
    }
    return id;
  };
  return page(
    parameters,
    'InternetGatewayId',
    select(
      internetGatewayID === null ? [] : [internetGatewayID],
      list(parameters, 'InternetGatewayId'),
      find,
    ),
    { 'internet-gateway-id': (id) => [id], 'attachment.vpc-id': () => [vpcID] },
    'internetGatewaySet',
    (internetGatewayId) => ({
      internetGatewayId,
      ownerId: ACCOUNT_ID,
      attachmentSet: [{ vpcId: vpcID, state: 'available' }],
    }),
  );
};
