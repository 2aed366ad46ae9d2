/**
 * Each check of the preflight failing for real, and its line in `kubectl get hap -o yaml`, before any failover. EC2 is asked
 * for these facts every few minutes and by an operator that starts, so rows that change EC2 start another one.
 */
import * as assert from 'uvu/assert';
import type { HAPairSpec } from '../../crds/types.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import { ACCESS_KEYS } from '../../hack/lab/ec2/credentials.ts';
import type { LabVPC } from '../../hack/lab/types.ts';
import {
  apply,
  conditionOf,
  conditionSays,
  deletePair,
  eventTold,
  lastCallID,
  masterOf,
  mutatingCalls,
  networkInterfaceOf,
  otherNode,
  pairOf,
  quickPair,
  roomyVPC,
  settled,
  storyOf,
} from './support.ts';

/** node3 is in another zone. */
const ELSEWHERE = { subnetID: 'subnet-0eeeeeeeeeeeeeee6', availabilityZone: 'ap-northeast-1c' };

const zones = (): LabVPC => {
  const vpc = roomyVPC(1);
  const instances = vpc.instances.map((instance) =>
    instance.name === 'node3' ? { ...instance, elsewhere: ELSEWHERE } : instance,
  );
  return { ...vpc, instances };
};

const { row, run } = storyOf('preflight', quickPair, {
  vpc: zones(),
  product: { nodes: ['node1', 'node2'] },
});

/** What EC2 is asked for one after another is together by then. */
const FACTS_MS = 60_000;

const EIP = 'eipalloc-0ccccccccccccccc3';
const GROUP = 'sg-0aaaaaaaaaaaaaaa1';

const aws = (stage: Stage, ...args: string[]): Promise<string> => stage.lab.aws(['ec2', ...args]);

const passes = (stage: Stage) =>
  conditionSays(stage, 'PreflightPassed', 'True PreflightPassed', { timeoutMs: FACTS_MS });

const restart = async (stage: Stage, who: 'operator' | 'readOnly' = 'operator'): Promise<void> => {
  await stage.product.killOperator();
  const { id, secret } = ACCESS_KEYS[who];
  await stage.product.startOperator({ env: { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } });
};

/** A line as a person reads it. */
const assertShown = async (stage: Stage, line: string, name = stage.name): Promise<void> => {
  const yaml = await stage.kubectl(['get', 'hap', name, '-n', stage.namespace, '-o', 'yaml']);
  // Long lines are folded.
  assert.ok(yaml.replaceAll(/\s+/g, ' ').includes(line.replaceAll(/\s+/g, ' ')), `${line}\nin\n${yaml}`);
};

row('all is well: one line counts the checks, and names what cannot be asked', async (stage) => {
  await passes(stage);
  await assertShown(stage, '16 checks passed; permission to assign VIPs cannot be asked beforehand.');
});

/** A change of EC2 around a running pair that would spoil its next failover. */
type Spoiling = {
  title: string;
  line(stage: Stage): Promise<string>;
  spoil(stage: Stage): Promise<unknown>;
  mend(stage: Stage): Promise<unknown>;
};

const RULE = [
  '--group-id',
  GROUP,
  '--ip-permissions',
  `IpProtocol=112,UserIdGroupPairs=[{GroupId=${GROUP}}]`,
];
const FILLING = ['10.10.10.51', '10.10.10.52', '10.10.10.53', '10.10.10.54', '10.10.10.55'];

const standbyOf = async (stage: Stage): Promise<string> => otherNode(await masterOf(stage));

const fill = async (stage: Stage, action: string): Promise<string> =>
  aws(
    stage,
    ...[action, '--network-interface-id', networkInterfaceOf(stage, await standbyOf(stage))],
    ...['--private-ip-addresses', ...FILLING],
  );

const SPOILINGS: readonly Spoiling[] = [
  {
    title: 'protocol 112 closed in the security group',
    line: async () =>
      `FAIL protocol 112 from node1 to node2: no rule of ${GROUP} lets it in; add an inbound rule for protocol 112 from 10.10.10.11`,
    spoil: (stage) => aws(stage, 'revoke-security-group-ingress', ...RULE),
    mend: (stage) => aws(stage, 'authorize-security-group-ingress', ...RULE),
  },
  {
    title: "the standby's ENI is full",
    line: async (stage) =>
      `FAIL room on the ENI of ${await standbyOf(stage)}: 6 of 6 addresses of a t3.medium are taken; 1 more must fit`,
    spoil: (stage) => fill(stage, 'assign-private-ip-addresses'),
    mend: (stage) => fill(stage, 'unassign-private-ip-addresses'),
  },
  {
    title: 'the standby was stopped in EC2',
    line: async (stage) => {
      const standby = await standbyOf(stage);
      return `FAIL instance of ${standby}: ${stage.lab.node(standby).instance.instanceID} is stopped; start it, or replace the node`;
    },
    spoil: async (stage) => stage.lab.ec2.setInstanceState(await standbyOf(stage), 'stopped'),
    mend: async (stage) => stage.lab.ec2.setInstanceState(await standbyOf(stage), 'running'),
  },
];

for (const { title, line, spoil, mend } of SPOILINGS) {
  row(title, async (stage) => {
    const callID = await lastCallID(stage);
    const master = await masterOf(stage);
    await spoil(stage);
    await restart(stage);
    const pair = await conditionSays(stage, 'PreflightPassed', 'False PreflightFailed', {
      timeoutMs: FACTS_MS,
    });
    await assertShown(stage, await line(stage));
    assert.is(conditionOf(pair, 'Ready'), 'True Serving', 'it serves on');
    await eventTold(stage, 'PreflightFailed');
    await mend(stage);
    await restart(stage);
    await passes(stage);
    await settled(stage, master);
    const product = (await mutatingCalls(stage, callID)).filter(
      ({ userAgent }) => !userAgent.startsWith('aws-cli'),
    );
    assert.equal(product, []);
  });
}

row('a dry run is refused', async (stage) => {
  await restart(stage, 'readOnly');
  await conditionSays(stage, 'PreflightPassed', 'False PreflightFailed', { timeoutMs: FACTS_MS });
  await assertShown(
    stage,
    `FAIL permission to associate ${EIP}: a dry run of AssociateAddress is refused; allow ec2:AssociateAddress`,
  );
  await restart(stage);
  await passes(stage);
});

/** A pair that is wrong from the start. Its EIP alone lets it need nothing of the other's ENIs. */
type Wrong = { name: string; line: string; make(spec: HAPairSpec): void };

const WRONG: readonly Wrong[] = [
  {
    name: 'vip-outside',
    line: 'FAIL VIP 10.10.20.10: it lies outside 10.10.10.0/24 of subnet-0eeeeeeeeeeeeeee5; choose a free address of that subnet',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.20.10' }];
    },
  },
  {
    name: 'vip-reserved',
    line: 'FAIL VIP 10.10.10.2: AWS keeps it to itself in 10.10.10.0/24; choose another address of that subnet',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.2' }];
    },
  },
  {
    name: 'eip-unknown',
    line: 'FAIL EIP eipalloc-0fffffffffffffff9: the allocation does not exist; correct eipAllocationID in spec.addresses',
    make: (spec) => {
      spec.addresses = [{ name: 'main', eipAllocationID: 'eipalloc-0fffffffffffffff9' }];
    },
  },
  {
    name: 'eni-elsewhere',
    line: 'FAIL ENI of node2: eni-03333333333333333 is attached to i-03333333333333333, but the agent runs on i-0bbbbbbbbbbbbbbb2',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.60' }];
      spec.nodes = spec.nodes.map((node) =>
        node.name === 'node2' ? { ...node, networkInterfaceID: 'eni-03333333333333333' } : node,
      );
    },
  },
  {
    name: 'zones-differ',
    line: 'FAIL subnet and zone: node1 is in subnet-0eeeeeeeeeeeeeee5 (ap-northeast-1a), node3 in subnet-0eeeeeeeeeeeeeee6 (ap-northeast-1c); a VIP cannot leave its subnet: put both instances into one subnet',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.63' }];
      spec.nodes = spec.nodes.map((node) =>
        node.name === 'node2'
          ? { name: 'node3', address: '10.10.10.13', networkInterfaceID: 'eni-03333333333333333' }
          : node,
      );
    },
  },
  {
    name: 'eni-unknown',
    line: 'FAIL ENI of node2: eni-09999999999999999 does not exist; correct spec.nodes or create the instance anew',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.61' }];
      spec.nodes = spec.nodes.map((node) =>
        node.name === 'node2' ? { ...node, networkInterfaceID: 'eni-09999999999999999' } : node,
      );
    },
  },
  {
    name: 'address-wrong',
    line: 'FAIL address of node2: the primary of its ENI is 10.10.10.12, not 10.10.10.99; correct spec.nodes',
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.62' }];
      spec.nodes = spec.nodes.map((node) =>
        node.name === 'node2' ? { ...node, address: '10.10.10.99' } : node,
      );
    },
  },
];

for (const [index, { name, line, make }] of WRONG.entries()) {
  row(`a new pair: ${name}`, async (stage) => {
    const pair = await quickPair();
    pair.metadata.name = name;
    pair.spec.vrrp.virtualRouterID = 20 + index;
    make(pair.spec);
    await apply(stage, pair);
    const says = line.replace(/^FAIL /, 'FAIL  ');
    await conditionSays(stage, 'PreflightPassed', 'False PreflightFailed', {
      name,
      says,
      timeoutMs: FACTS_MS,
    });
    await assertShown(stage, line, name);
    await deletePair(stage, name);
    assert.is(conditionOf(await pairOf(stage), 'Ready'), 'True Serving', 'the other pair serves on');
  });
}

run();
