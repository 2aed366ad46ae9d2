/** Whether security groups let VRRP through: IP protocol 112, from one ENI to another. */
import type { EC2Facts, NetworkInterface, SecurityGroupRule } from '../../ec2/types.ts';
import { isInside } from './ipv4.ts';

/** An end of the way. */
export type End = { address: string; networkInterface: NetworkInterface };

/** `Unknown`: a group was not read, or only a prefix list, which nobody reads, could let it through. */
type Passage = 'Open' | 'Closed' | 'Unknown';

/** VRRP as rules name it. */
const VRRP: readonly string[] = ['112', 'vrrp', '-1', 'all'];

const passageBy = (rule: SecurityGroupRule, other: End): Passage => {
  if (!VRRP.includes(rule.protocol)) return 'Closed';
  if (rule.cidrIPv4 !== undefined) return isInside(other.address, rule.cidrIPv4) ? 'Open' : 'Closed';
  if (rule.referencedGroupID === undefined) return 'Unknown';
  return other.networkInterface.securityGroupIDs.includes(rule.referencedGroupID) ? 'Open' : 'Closed';
};

/** One rule of one group that lets it through is enough. */
const anyOf = (passages: readonly Passage[]): Passage => {
  if (passages.includes('Open')) return 'Open';
  return passages.includes('Unknown') ? 'Unknown' : 'Closed';
};

/** What `own`'s groups say of the way out to `other`, or in from it. */
export const passage = (
  own: End,
  other: End,
  direction: 'Egress' | 'Ingress',
  rulesByGroup: EC2Facts['securityGroupRules'],
): Passage =>
  anyOf(
    own.networkInterface.securityGroupIDs.flatMap((id): Passage[] => {
      const rules = rulesByGroup[id];
      if (rules === undefined) return ['Unknown'];
      return (rules ?? [])
        .filter(({ isEgress }) => isEgress === (direction === 'Egress'))
        .map((rule) => passageBy(rule, other));
    }),
  );
