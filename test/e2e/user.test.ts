/** What a person sees who has nothing but kubectl, and what becomes of their mistakes. One pair, in order. */
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import type { HAPair, HAPairSpec } from '../../crds/types.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import {
  apply,
  backup,
  conditionOf,
  conditionSays,
  eventReasons,
  eventually,
  getHap,
  instanceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  otherNode,
  pairOf,
  quickPair,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('user');

/** The pair at rest: what must not change, and since when. */
let atRest: { versions: (string | undefined)[]; callID: number; logs: string } | undefined;

/** The logs name every write; one that changes nothing leaves the versions alone. */
const logsOf = ({ product, lab }: Stage): string =>
  [product.operatorLog, lab.node('node1').logOf('agent'), lab.node('node2').logOf('agent')]
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');

const versionsOf = async (stage: Stage): Promise<(string | undefined)[]> => {
  const instances = [await instanceOf(stage, 'node1'), await instanceOf(stage, 'node2')];
  return [await pairOf(stage), ...instances].map((each) => each?.metadata.resourceVersion);
};

row('kubectl get hap shows the columns of the design', async (stage) => {
  await eventually('The standby should be known to live', async () =>
    conditionOf(await pairOf(stage), 'Redundant') === 'True StandbyReady' ? true : undefined,
  );
  // What is asked of EC2 ahead of need comes a few seconds after everything else.
  await conditionSays(stage, 'PreflightPassed', 'True PreflightPassed', { timeoutMs: 60_000 });
  const master = await masterOf(stage);
  const { web } = await getHap(stage);
  assert.equal(Object.keys(web ?? {}), [
    ...['NAME', 'MASTER', 'HOLDER', 'STANDBY', 'VIP', 'EIP', 'READY', 'REDUNDANT', 'PROBLEM', 'AGE'],
  ]);
  const { AGE = '', ...row } = web ?? {};
  assert.match(AGE, /^\d+[sm]/);
  assert.equal(row, {
    NAME: 'web',
    MASTER: master,
    HOLDER: master,
    STANDBY: otherNode(master),
    VIP: '10.10.10.10',
    EIP: '203.0.113.10',
    READY: 'True',
    REDUNDANT: 'True',
    PROBLEM: '',
  });
  const wide = (await getHap(stage, '-o', 'wide')).web;
  const { TERM, PINNED, ORDER, MESSAGE } = wide ?? {};
  assert.equal([TERM, PINNED, ORDER, MESSAGE], ['1', '', 'Recorded', '']);
});

row('the agents report to their people, too', async (stage) => {
  const text = await stage.kubectl(['get', 'vrrp', '-n', 'prod']);
  const master = await masterOf(stage);
  assert.match(text, /^NAME +PAIR +NODE +STATE +TERM +READY +HEALTHY +AGE\n/);
  assert.match(text, new RegExp(`web\\.${master} .*Master +1 +True +True `));
  assert.match(text, new RegExp(`web\\.${otherNode(master)} .*Backup +1 +True +True `));
  atRest = {
    versions: await versionsOf(stage),
    callID: await lastCallID(stage),
    logs: logsOf(stage),
  };
});

/** One fault each, and the words of the API server's answer that tell where it is. */
const MISTAKES: readonly { title: string; says: RegExp; make(spec: HAPairSpec): void }[] = [
  {
    title: 'three nodes',
    says: /spec\.nodes.*must have at most 2 items/,
    make: ({ nodes }) =>
      nodes.push({ name: 'node3', address: '10.10.10.13', networkInterfaceID: 'eni-0dddddddddddddd4' }),
  },
  {
    title: "a VIP that is a node's address",
    says: /spec\.addresses.*node's own address/,
    make: (spec) => {
      spec.addresses = [{ name: 'main', vip: '10.10.10.12' }];
    },
  },
  {
    title: 'authentication with version 3',
    says: /spec\.vrrp\.authentication.*needs version 2/,
    make: ({ vrrp }) => {
      vrrp.authentication = { secretRef: { key: 'web' } };
    },
  },
  {
    title: 'an unknown preferredNode',
    says: /spec\.preferredNode.*none of spec\.nodes/,
    make: (spec) => {
      spec.preferredNode = 'node3';
    },
  },
  {
    title: 'an interval of 1500 ms with version 2',
    says: /spec\.vrrp\.advertisementIntervalMilliseconds.*multiple of 1000/,
    make: (spec) => {
      spec.vrrp = { version: 2, virtualRouterID: 10, advertisementIntervalMilliseconds: 1500 };
    },
  },
];

for (const { title, says, make } of MISTAKES) {
  row(`kubectl apply names the field: ${title}`, async (stage) => {
    const pair = await quickPair();
    pair.metadata.name = 'mistake';
    make(pair.spec);
    assert.match(await refusalOf(stage, pair), says);
  });
}

row('kubectl apply names the field: another virtualRouterID', async (stage) => {
  const pair = await quickPair();
  pair.spec.vrrp.virtualRouterID = 11;
  assert.match(await refusalOf(stage, pair), /spec\.vrrp\.virtualRouterID.*immutable/);
});

const refusalOf = async (stage: Stage, pair: HAPair): Promise<string> => {
  try {
    await apply(stage, pair);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('The API server took it.');
};

/** sim/: for a minute and a half after every trace. */
row('S6: a pair at rest is read and never written', async (stage) => {
  const { versions, callID, logs } = atRest ?? { versions: [], callID: 0, logs: '' };
  await eventually(
    'EC2 should be read',
    async () => {
      const reads = (await stage.lab.ec2.calls(callID)).filter(
        ({ action, answeredAtMs }) => action === 'DescribeNetworkInterfaces' && answeredAtMs !== undefined,
      );
      return reads.length >= 1 ? reads : undefined;
    },
    90_000,
  );
  assert.equal(await mutatingCalls(stage, callID), []);
  assert.equal(await versionsOf(stage), versions);
  assert.is(logsOf(stage), logs);
});

row('kubectl describe tells the story of a failover', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await stage.lab.node(from).crash();
  await settled(stage, to);
  const after = (await getHap(stage)).web;
  assert.equal([after?.STANDBY, after?.PROBLEM], [from, 'StandbyUnheard'], 'the dead node and what is known');
  const [first] = (await pairOf(stage)).status?.conditions ?? [];
  assert.is(first?.type, 'Redundant', 'what is not good comes first');
  await eventually('Events should tell of both moves', async () =>
    (await eventReasons(stage)).filter((reason) => reason === 'AddressesMoved').length >= 3
      ? true
      : undefined,
  );
  const story = [...new Set(await eventReasons(stage))];
  assert.equal(
    story.filter((reason) => ['FirstElection', 'AddressesMoved', 'Failover'].includes(reason)),
    ['FirstElection', 'AddressesMoved', 'Failover'],
    story.join(', '),
  );
  const text = await stage.kubectl(['describe', 'hap', 'web', '-n', stage.namespace]);
  const events = text.slice(text.indexOf('Events:'));
  for (const line of [
    new RegExp(`Normal +FirstElection .*${from} was elected master`),
    /Normal +AddressesMoved .*AssignPrivateIpAddresses of 10\.10\.10\.10/,
    new RegExp(`Warning +Failover .*${to} was elected master after ${from}`),
  ])
    assert.match(events, line);
  await stage.lab.node(from).start();
  await backup(stage, from);
});

run();
