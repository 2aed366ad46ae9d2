/** The preflight as a table: one thing is wrong or not known, and the line that says so. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2Facts, EC2View, NetworkInterface, SecurityGroupRule } from '../../ec2/types.ts';
import { ALLOCATION, MAIN, NODE1, NODE2, reportOf, VIP } from '../testing/fixtures.ts';
import { isLetThrough, type PreflightInput, preflight } from './preflight.ts';

const interfaceOf = (node: typeof NODE1, secondaries: string[]): NetworkInterface => ({
  networkInterfaceID: node.networkInterfaceID,
  subnetID: 'subnet-1',
  availabilityZone: 'ap-northeast-1a',
  instanceID: `i-${node.name}`,
  status: 'in-use',
  sourceDestCheck: true,
  securityGroupIDs: [`sg-${node.name}`],
  tags: {},
  privateIPAddresses: [
    { privateIPAddress: node.address, primary: true },
    ...secondaries.map((privateIPAddress) => ({ privateIPAddress, primary: false })),
  ],
});

const all: SecurityGroupRule = { isEgress: true, protocol: '-1', cidrIPv4: '0.0.0.0/0' };
const vrrpFrom = (referencedGroupID: string): SecurityGroupRule => ({
  isEgress: false,
  protocol: '112',
  referencedGroupID,
});

/** Everything is right; a case changes what it is about. */
const scene = () => {
  const one = interfaceOf(NODE1, [VIP]);
  const two = interfaceOf(NODE2, []);
  const view: EC2View = {
    readAtMs: 0,
    networkInterfaces: { [one.networkInterfaceID]: one, [two.networkInterfaceID]: two },
    elasticIPs: { [ALLOCATION]: { allocationID: ALLOCATION, publicIP: '203.0.113.10', tags: {} } },
    holders: {},
  };
  const instance = (node: typeof NODE1) => ({
    instanceID: `i-${node.name}`,
    state: 'running',
    instanceType: 't3.micro',
    networkInterfaceIDs: [node.networkInterfaceID],
  });
  const facts: EC2Facts = {
    readAtMs: 0,
    instances: { 'i-node1': instance(NODE1), 'i-node2': instance(NODE2) },
    subnets: {
      'subnet-1': { subnetID: 'subnet-1', cidrBlock: '10.10.10.0/24', availabilityZone: 'ap-northeast-1a' },
    },
    securityGroupRules: {
      'sg-node1': [all, vrrpFrom('sg-node2')],
      'sg-node2': [all, vrrpFrom('sg-node1')],
    },
    addressesPerInterface: { 't3.micro': 2 },
    mayAssociate: { [ALLOCATION]: 'Allowed' },
  };
  const reports = [NODE1, NODE2].map((node) => ({
    ...reportOf('Backup', 1, 0, { instanceID: `i-${node.name}` }),
    node: node.name,
    sinceWallMs: 0,
  }));
  const input: PreflightInput = {
    ...{ nowMs: 0, nodes: [NODE1, NODE2], addresses: [MAIN], reports, view, facts, held: [] },
  };
  return { one, two, view, facts, reports, input };
};
type Scene = ReturnType<typeof scene>;

const check = (change: (scene: Scene) => Partial<PreflightInput> | undefined) => {
  const all = scene();
  const changes = change(all);
  return preflight({ ...all.input, ...changes });
};

test('all is right: one line counts the checks, and names the permission that nobody can ask for', () => {
  const { status, reason, message } = check(() => undefined);
  assert.equal([status, reason], ['True', 'PreflightPassed']);
  assert.is(message, '16 checks passed; permission to assign VIPs cannot be asked beforehand.');
});

/** What is changed, and the line it makes. */
const FAILURES: Record<
  string,
  [change: (scene: Scene) => Partial<PreflightInput> | undefined, line: string]
> = {
  'an ENI does not exist': [
    ({ view }) => {
      view.networkInterfaces[NODE2.networkInterfaceID] = null;
    },
    `FAIL  ENI of node2: ${NODE2.networkInterfaceID} does not exist; correct spec.nodes or create the instance anew`,
  ],
  'an ENI is attached to nothing': [
    ({ two }) => {
      delete two.instanceID;
    },
    `FAIL  ENI of node2: ${NODE2.networkInterfaceID} is attached to no instance; attach it to the instance of node2`,
  ],
  'an agent runs on another instance': [
    ({ two }) => {
      two.instanceID = 'i-node1';
    },
    `FAIL  ENI of node2: ${NODE2.networkInterfaceID} is attached to i-node1, but the agent runs on i-node2; correct spec.nodes, or the name that the agent is started with`,
  ],
  'an address is not the primary of its ENI': [
    () => ({ nodes: [NODE1, { ...NODE2, address: '10.10.10.13' }] }),
    'FAIL  address of node2: the primary of its ENI is 10.10.10.12, not 10.10.10.13; correct spec.nodes',
  ],
  'an instance is stopped': [
    ({ facts }) => {
      const { 'i-node2': instance } = facts.instances;
      if (instance) instance.state = 'stopped';
    },
    'FAIL  instance of node2: i-node2 is stopped; start it, or replace the node',
  ],
  'an instance does not exist': [
    ({ facts }) => {
      facts.instances['i-node2'] = null;
    },
    'FAIL  instance of node2: i-node2 does not exist; replace the node',
  ],
  'the ENIs lie in two subnets': [
    ({ two }) => {
      Object.assign(two, { subnetID: 'subnet-2', availabilityZone: 'ap-northeast-1c' });
    },
    'FAIL  subnet and zone: node1 is in subnet-1 (ap-northeast-1a), node2 in subnet-2 (ap-northeast-1c); a VIP cannot leave its subnet: put both instances into one subnet',
  ],
  'a VIP lies outside the subnet': [
    () => ({ addresses: [{ name: 'main', vip: '10.10.11.10' }] }),
    'FAIL  VIP 10.10.11.10: it lies outside 10.10.10.0/24 of subnet-1; choose a free address of that subnet',
  ],
  'a VIP is one of the first four addresses': [
    () => ({ addresses: [{ name: 'main', vip: '10.10.10.3' }] }),
    'FAIL  VIP 10.10.10.3: AWS keeps it to itself in 10.10.10.0/24; choose another address of that subnet',
  ],
  'a VIP is the last address': [
    () => ({ addresses: [{ name: 'main', vip: '10.10.10.255' }] }),
    'FAIL  VIP 10.10.10.255: AWS keeps it to itself in 10.10.10.0/24; choose another address of that subnet',
  ],
  "a VIP is an ENI's primary": [
    () => ({ addresses: [{ name: 'main', vip: NODE2.address }] }),
    `FAIL  VIP 10.10.10.12: it is the primary of ${NODE2.networkInterfaceID} and cannot move; choose another VIP`,
  ],
  'an ENI is full': [
    ({ two }) => {
      two.privateIPAddresses.push({ privateIPAddress: '10.10.10.50', primary: false });
    },
    'FAIL  room on the ENI of node2: 2 of 2 addresses of a t3.micro are taken; 1 more must fit: take some off, or choose a larger type',
  ],
  'an allocation does not exist': [
    ({ view }) => {
      view.elasticIPs[ALLOCATION] = null;
    },
    `FAIL  EIP ${ALLOCATION}: the allocation does not exist; correct eipAllocationID in spec.addresses`,
  ],
  'AssociateAddress is not permitted': [
    ({ facts }) => {
      facts.mayAssociate[ALLOCATION] = 'Denied';
    },
    `FAIL  permission to associate ${ALLOCATION}: a dry run of AssociateAddress is refused; allow ec2:AssociateAddress in the policy of the operator's role`,
  ],
  'no rule lets protocol 112 in': [
    ({ facts }) => {
      facts.securityGroupRules['sg-node2'] = [all];
    },
    'FAIL  protocol 112 from node1 to node2: no rule of sg-node2 lets it in; add an inbound rule for protocol 112 from 10.10.10.11',
  ],
  'no rule lets protocol 112 out': [
    ({ facts }) => {
      facts.securityGroupRules['sg-node1'] = [vrrpFrom('sg-node2')];
    },
    'FAIL  protocol 112 from node1 to node2: no rule of sg-node1 lets it out; add an outbound rule for protocol 112 to 10.10.10.12',
  ],
  'a rule for TCP is none for VRRP': [
    ({ facts }) => {
      facts.securityGroupRules['sg-node2'] = [
        all,
        { isEgress: false, protocol: 'tcp', cidrIPv4: '0.0.0.0/0' },
      ];
    },
    'FAIL  protocol 112 from node1 to node2: no rule of sg-node2 lets it in; add an inbound rule for protocol 112 from 10.10.10.11',
  ],
};

for (const [name, [change, line]] of Object.entries(FAILURES)) {
  test(`${name}: the first line says so, and what to do`, () => {
    const { status, reason, message } = check(change);
    assert.equal([status, reason], ['False', 'PreflightFailed']);
    assert.is(message.split('\n')[0], line);
  });
}

test('what is not right comes before what is, each check with its line', () => {
  const { message } = check(({ facts }) => {
    delete facts.instances['i-node2'];
    facts.mayAssociate[ALLOCATION] = 'Denied';
  });
  const verdicts = message.split('\n').map((line) => line.split('  ')[0]);
  assert.equal([...new Set(verdicts)], ['FAIL', 'unknown', 'ok']);
});

const UNKNOWNS: Record<
  string,
  [change: (scene: Scene) => Partial<PreflightInput> | undefined, line: string]
> = {
  'an ENI was not read': [
    ({ view }) => {
      delete view.networkInterfaces[NODE2.networkInterfaceID];
    },
    `unknown  ENI of node2: ${NODE2.networkInterfaceID} was not read`,
  ],
  'an agent has not reported': [
    ({ reports }) => ({ reports: reports.slice(0, 1) }),
    `unknown  ENI of node2: ${NODE2.networkInterfaceID} is attached to i-node2; the agent has not said where it runs`,
  ],
  'an instance was not read': [
    ({ facts }) => {
      delete facts.instances['i-node2'];
    },
    'unknown  instance of node2: i-node2 was not read',
  ],
  'the subnet was not read': [
    ({ facts }) => {
      delete facts.subnets['subnet-1'];
    },
    'unknown  VIP 10.10.10.10: subnet-1 was not read',
  ],
  'an EIP was not read': [
    ({ view }) => {
      delete view.elasticIPs[ALLOCATION];
    },
    `unknown  EIP ${ALLOCATION}: it was not read`,
  ],
  'no dry run was answered': [
    ({ facts }) => {
      delete facts.mayAssociate[ALLOCATION];
    },
    `unknown  permission to associate ${ALLOCATION}: no dry run of AssociateAddress has been answered yet`,
  ],
  'the limit of the instance type was not read': [
    ({ facts }) => {
      delete facts.addressesPerInterface['t3.micro'];
    },
    'unknown  room on the ENI of node1: the limit of its instance type was not read',
  ],
  'a security group was not read': [
    ({ facts }) => {
      delete facts.securityGroupRules['sg-node2'];
    },
    'unknown  protocol 112 from node1 to node2: not every rule of sg-node1 and sg-node2 could be read',
  ],
  'only a prefix list could let protocol 112 in': [
    ({ facts }) => {
      facts.securityGroupRules['sg-node2'] = [all, { isEgress: false, protocol: '112' }];
    },
    'unknown  protocol 112 from node1 to node2: not every rule of sg-node1 and sg-node2 could be read',
  ],
};

for (const [name, [change, line]] of Object.entries(UNKNOWNS)) {
  test(`${name}: Unknown, and the first line names it`, () => {
    const { status, reason, message } = check(change);
    assert.equal([status, reason], ['Unknown', 'NotChecked']);
    assert.is(message.split('\n')[0], line);
  });
}

/** What looks odd and is right. */
const RIGHT: Record<string, (scene: Scene) => Partial<PreflightInput> | undefined> = {
  'an EIP alone moves between subnets': ({ two, facts }) => {
    two.subnetID = 'subnet-2';
    facts.subnets['subnet-2'] = {
      subnetID: 'subnet-2',
      cidrBlock: '10.10.20.0/24',
      availabilityZone: 'ap-northeast-1c',
    };
    return { addresses: [{ name: 'main', eipAllocationID: ALLOCATION }] };
  },
  'a rule by address': ({ facts }) => {
    facts.securityGroupRules['sg-node2'] = [
      all,
      { isEgress: false, protocol: 'vrrp', cidrIPv4: '10.10.10.8/29' },
    ];
  },
  'source/destination check off': ({ one }) => {
    one.sourceDestCheck = false;
  },
  'one group of several lets it in': ({ two }) => {
    two.securityGroupIDs.push('sg-node1');
  },
};

for (const [name, change] of Object.entries(RIGHT)) {
  test(`${name} passes`, () => {
    const { status, message } = check(change);
    assert.is(status, 'True', message);
  });
}

test("another pair's VIP that comes to the same ENI changes no word, while there is room", () => {
  const more = (vips: string[]) =>
    check(({ two, facts }) => {
      facts.addressesPerInterface['t3.micro'] = 10;
      for (const privateIPAddress of vips) two.privateIPAddresses.push({ privateIPAddress, primary: false });
    });
  assert.equal(more(['10.10.10.50', '10.10.10.51']), more([]));
});

test('an EIP alone needs no permission to assign VIPs', () => {
  const { message } = check(() => ({ addresses: [{ name: 'main', eipAllocationID: ALLOCATION }] }));
  assert.not.match(message, 'permission to assign');
});

test('before the first reading nothing is checked', () => {
  const { status, reason } = check(() => ({ view: undefined, facts: undefined }));
  assert.equal([status, reason], ['Unknown', 'NotChecked']);
});

test('a VIP that is the primary of an ENI cannot move, whatever else that ENI has', () => {
  const { message } = check(({ one }) => {
    one.privateIPAddresses = [
      { privateIPAddress: VIP, primary: true },
      { privateIPAddress: '10.10.10.99', primary: false },
    ];
    return {};
  });
  assert.match(message, `VIP ${VIP}: it is the primary of ${NODE1.networkInterfaceID} and cannot move`);
});

test('what could not be read says why', () => {
  const { message } = check(({ facts }) => {
    delete facts.subnets['subnet-1'];
    return { facts: { ...facts, failure: { class: 'Unauthorized', message: 'ec2:DescribeSubnets' } } };
  });
  assert.is(message.split('\n')[0], 'EC2 could not be read (Unauthorized): ec2:DescribeSubnets');
});

test('VRRP is let through if both directions are, by all that was read', () => {
  assert.ok(isLetThrough(scene().input));
  const closed = scene();
  closed.facts.securityGroupRules['sg-node2'] = [all];
  assert.not(isLetThrough(closed.input), 'one direction is closed');
  assert.not(isLetThrough({ ...scene().input, facts: undefined }), 'nothing was read');
  assert.not(isLetThrough({ ...scene().input, nodes: [NODE1] }), 'one node has nobody to talk to');
});

test('an EIP that EC2 gives to nobody is no unanswered question', () => {
  const { status, message } = check(({ facts }) => {
    facts.mayAssociate[ALLOCATION] = 'Held';
    return {};
  });
  assert.is(status, 'False');
  assert.match(message, `permission to associate ${ALLOCATION}: EC2 gives it to nobody`);
});

test('what was found before does not pass for ever while it cannot be read again', () => {
  const failing = (sinceMs: number) =>
    check(({ facts }) => ({
      nowMs: 3_600_000,
      facts: { ...facts, failure: { class: 'Unauthorized', message: 'ec2:DescribeInstances', sinceMs } },
    }));
  assert.is(failing(3_600_000 - 15 * 60_000).status, 'True');
  const { status, reason, message } = failing(3_600_000 - 15 * 60_000 - 1);
  assert.equal([status, reason], ['Unknown', 'NotChecked']);
  assert.match(message, 'EC2 could not be read (Unauthorized): ec2:DescribeInstances');
});

test.run();
