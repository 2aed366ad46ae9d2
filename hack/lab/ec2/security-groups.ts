/** Adding and removing rules of security groups. */
import type { Action, Outcome } from './action.ts';
import { EC2Error } from './errors.ts';
import { list, members, type Parameters, required } from './parameters.ts';
import type { SecurityGroupRule, State } from './state.ts';

type Wanted = Omit<SecurityGroupRule, 'securityGroupRuleID'>;

/** The rules that `IpPermissions` names: one per range and per group. */
const wantedRules = (parameters: Parameters, egress: boolean): Wanted[] => {
  const groupID = required(parameters, 'GroupId');
  return members(parameters, 'IpPermissions').flatMap((permission) => {
    const rule = { groupID, egress, protocol: required(permission, 'IpProtocol') };
    return [
      ...members(permission, 'IpRanges').map(({ CidrIp: cidr = '' }) => ({ ...rule, cidr })),
      ...members(permission, 'Groups').map(({ GroupId: referencedGroupID = '' }) => ({
        ...rule,
        referencedGroupID,
      })),
    ];
  });
};

const isSame = (a: Wanted, b: Wanted): boolean =>
  a.groupID === b.groupID &&
  a.egress === b.egress &&
  a.protocol === b.protocol &&
  a.cidr === b.cidr &&
  a.referencedGroupID === b.referencedGroupID;

const checkGroup = (state: State, parameters: Parameters): void => {
  const id = required(parameters, 'GroupId');
  if (!state.networkInterfaces.some((eni) => eni.securityGroupIDs.includes(id)))
    throw new EC2Error('InvalidGroup.NotFound', `The security group '${id}' does not exist`);
};

/** @throws EC2Error `InvalidPermission.Duplicate` when a rule is there already. */
const authorize = (state: State, parameters: Parameters, egress: boolean): Outcome => {
  checkGroup(state, parameters);
  const wanted = wantedRules(parameters, egress);
  if (wanted.some((rule) => state.securityGroupRules.some((known) => isSame(known, rule))))
    throw new EC2Error('InvalidPermission.Duplicate', 'the specified rule already exists');
  const added = wanted.map((rule, index) => ({
    ...rule,
    securityGroupRuleID: `sgr-0${(0x10000 + state.nextRule + index).toString(16).padStart(16, '0')}`,
  }));
  const securityGroupRules = [...state.securityGroupRules, ...added];
  return {
    state: { ...state, securityGroupRules, nextRule: state.nextRule + added.length },
    answer: {
      return: true,
      securityGroupRuleSet: added.map(({ securityGroupRuleID }) => ({
        securityGroupRuleId: securityGroupRuleID,
      })),
    },
  };
};

/** By ids or by what the rules say. @throws EC2Error `InvalidPermission.NotFound` when one is not there. */
const revoke = (state: State, parameters: Parameters, egress: boolean): Outcome => {
  checkGroup(state, parameters);
  const ids = list(parameters, 'SecurityGroupRuleId');
  const wanted = wantedRules(parameters, egress);
  const goes = (rule: SecurityGroupRule): boolean =>
    ids.includes(rule.securityGroupRuleID) || wanted.some((each) => isSame(each, rule));
  const gone = state.securityGroupRules.filter(goes);
  if (gone.length < ids.length + wanted.length) {
    throw new EC2Error(
      'InvalidPermission.NotFound',
      'The specified rule does not exist in this security group.',
    );
  }
  const securityGroupRules = state.securityGroupRules.filter((rule) => !goes(rule));
  return { state: { ...state, securityGroupRules }, answer: { return: true } };
};

const action = (run: Action['run']): Action => ({
  mutating: true,
  parameters: ['DryRun', 'GroupId', 'IpPermissions', 'SecurityGroupRuleId'],
  bucket: { capacity: 100, refillPerSecond: 5 },
  run,
});

/** By name, for the table of actions. */
export const SECURITY_GROUP_ACTIONS: Readonly<Record<string, Action>> = {
  AuthorizeSecurityGroupIngress: action((state, parameters) => authorize(state, parameters, false)),
  AuthorizeSecurityGroupEgress: action((state, parameters) => authorize(state, parameters, true)),
  RevokeSecurityGroupIngress: action((state, parameters) => revoke(state, parameters, false)),
  RevokeSecurityGroupEgress: action((state, parameters) => revoke(state, parameters, true)),
};
