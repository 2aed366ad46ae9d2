import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2Facts, SecurityGroupRule } from '../../ec2/types.ts';
import { Cloud } from '../testing/cloud.ts';
import { NODE1, NODE2 } from '../testing/fixtures.ts';
import { type End, passage } from './security-groups.ts';

const endOf = ({ address, networkInterfaceID }: typeof NODE1, ...securityGroupIDs: string[]): End => {
  const found = new Cloud().view(0).networkInterfaces[networkInterfaceID];
  if (!found) throw new Error(`no ${networkInterfaceID}`);
  return { address, networkInterface: { ...found, securityGroupIDs } };
};

const OTHER = endOf(NODE2, 'sg-other');

/** The way in to node1, whose one group has these rules. */
const into = (...rules: Omit<SecurityGroupRule, 'isEgress'>[]): string =>
  passage(endOf(NODE1, 'sg-own'), OTHER, 'Ingress', {
    'sg-own': rules.map((rule) => ({ isEgress: false, ...rule })),
  });

test('a rule lets VRRP through by its number, its name, or as any protocol; no other does', () => {
  const cidrIPv4 = '10.10.10.0/24';
  for (const protocol of ['112', 'vrrp', '-1', 'all'])
    assert.is(into({ protocol, cidrIPv4 }), 'Open', protocol);
  for (const protocol of ['tcp', '6', '11', '1120'])
    assert.is(into({ protocol, cidrIPv4 }), 'Closed', protocol);
});

test('a rule by addresses is for those in its block', () => {
  assert.is(into({ protocol: '112', cidrIPv4: '10.10.10.12/32' }), 'Open');
  assert.is(into({ protocol: '112', cidrIPv4: '10.10.10.13/32' }), 'Closed');
});

test('a rule by group is for the members of that group', () => {
  assert.is(into({ protocol: '112', referencedGroupID: 'sg-other' }), 'Open');
  assert.is(into({ protocol: '112', referencedGroupID: 'sg-third' }), 'Closed');
});

test('a rule that nobody can read leaves it open whether it is open', () => {
  assert.is(into({ protocol: '112' }), 'Unknown');
  assert.is(into({ protocol: 'tcp' }), 'Closed');
  assert.is(into({ protocol: '112' }, { protocol: '112', cidrIPv4: '10.10.10.12/32' }), 'Open');
  assert.is(into(), 'Closed');
});

test('each direction has its own rules, and one group of several is enough', () => {
  const out: SecurityGroupRule = { isEgress: true, protocol: '-1', cidrIPv4: '0.0.0.0/0' };
  const own = endOf(NODE1, 'sg-a', 'sg-b');
  const rules: EC2Facts['securityGroupRules'] = { 'sg-a': [], 'sg-b': [out] };
  assert.is(passage(own, OTHER, 'Egress', rules), 'Open');
  assert.is(passage(own, OTHER, 'Ingress', rules), 'Closed');
  assert.is(passage(own, OTHER, 'Ingress', { 'sg-b': [out] }), 'Unknown', 'a group that was not read');
  assert.is(passage(own, OTHER, 'Ingress', { ...rules, 'sg-a': null }), 'Closed', 'a group that is gone');
});

test.run();
