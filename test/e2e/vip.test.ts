/** The VIP on the interface, whatever happens to the interface: by whom it is put up, put back, kept and taken off. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { prefixLength, routerAddress } from '../../hack/lab/vpc.ts';
import { agentLog, agentSays, claims } from './agent-log.ts';
import {
  apply,
  backup,
  conditionSays,
  deletePair,
  eventually,
  failOver,
  instanceOf,
  interfaceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  otherNode,
  pairOf,
  quickPair,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('vip');

const ip = async (stage: Stage, node: string, command: string): Promise<void> => {
  const { code, stderr } = await stage.lab.node(node).exec(['ip', ...command.split(' ')]);
  if (code !== 0) throw new Error(`ip ${command} on ${node}: ${stderr}`);
};

/** The VIP is, or is not, on a node's interface. */
const carries = (stage: Stage, node: string, wanted: boolean): Promise<true> =>
  eventually(`${VIP} should be ${wanted ? 'on' : 'off'} ${node}`, async () =>
    (await interfaceOf(stage, node)).includes(`${VIP}/`) === wanted ? true : undefined,
  );

/** As a DHCP client configures it, whatever of it is there already. */
const configure = async (stage: Stage, node: string): Promise<void> => {
  const { vpc } = stage.lab;
  await ip(stage, node, 'link set eth0 up');
  const { address } = stage.lab.node(node).instance;
  await ip(stage, node, `address replace ${address}/${prefixLength(vpc)} dev eth0`);
  await ip(stage, node, `route replace default via ${routerAddress(vpc)}`);
};

row('it is up before the claim is reported, in a form that makes it nobody’s source', async (stage) => {
  const to = otherNode(await masterOf(stage));
  const since = agentLog(stage, to).length;
  await failOver(stage);
  const said = agentLog(stage, to)
    .slice(since)
    .map(({ reason }) => reason);
  const [added, reported] = [said.indexOf('VIPAdded'), said.indexOf('TermTaken')];
  assert.ok(added >= 0 && added < reported, said.join(', '));
  assert.match(await interfaceOf(stage, to), new RegExp(`inet ${VIP}/32 scope host eth0`));
});

row('deleted by somebody, it is put back; nobody else notices', async (stage) => {
  const master = await masterOf(stage);
  const [since, callID] = [agentLog(stage, master).length, await lastCallID(stage)];
  const before = (await instanceOf(stage, master))?.status;
  await ip(stage, master, `address del ${VIP}/32 dev eth0`);
  await agentSays(stage, master, since, 'VIPAdded');
  await carries(stage, master, true);
  await stage.observe(1_000);
  const after = (await instanceOf(stage, master))?.status;
  assert.equal([after?.state, after?.term, after?.since], ['Master', before?.term, before?.since]);
  assert.equal(await mutatingCalls(stage, callID), []);
});

const LOSSES: [title: string, command: (address: string) => string][] = [
  ['its link goes down', () => 'link set eth0 down'],
  ['its own address is deleted', (address) => `address del ${address} dev eth0`],
  ['every address is flushed', () => 'address flush dev eth0'],
];
for (const [title, command] of LOSSES) {
  row(`${title}: Fault, the other takes over; no claim until all is back`, async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const since = agentLog(stage, from).length;
    const { address } = stage.lab.node(from).instance;
    await ip(stage, from, command(`${address}/${prefixLength(stage.lab.vpc)}`));
    await settled(stage, to);
    const status = await eventually(`${from} should report Fault`, async () => {
      const found = (await instanceOf(stage, from))?.status;
      return found?.state === 'Fault' ? found : undefined;
    });
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    assert.equal([ready?.status, ready?.reason], ['False', 'SourceAddressMissing']);
    assert.match(ready?.message ?? '', /set it up again|put the ENI's primary address back/);
    // Its IMDS is out of reach too: for all it knows EC2 still delivers here.
    assert.match(await interfaceOf(stage, from), `${VIP}/32`);
    await configure(stage, from);
    await backup(stage, from);
    await carries(stage, from, false);
    assert.is(claims(stage, from, since), 0);
    assert.is(await masterOf(stage), to, 'no failback');
  });
}

row(
  'the agent crashes as Master and its files are lost: what it left leaves with its next start',
  async (stage) => {
    const from = await masterOf(stage);
    const node = stage.lab.node(from);
    await backup(stage, otherNode(from));
    await node.killService('agent', 'SIGKILL');
    await settled(stage, otherNode(from));
    await stage.gone(from, 'agent');
    assert.match(await interfaceOf(stage, from), `${VIP}/32`);
    rmSync(join(node.dir, 'state'), { recursive: true });
    const since = agentLog(stage, from).length;
    await node.startService('agent');
    // It cannot prove that the Lease in its name is its own, so it waits until that has been silent for 40 s.
    await agentSays(stage, from, since, 'VIPFound', 90_000);
    await carries(stage, from, false);
    await backup(stage, from);
  },
);

row('an address that the machine has of its own is not taken off, whatever the agent was', async (stage) => {
  const node = otherNode(await masterOf(stage));
  await ip(stage, node, `address add ${VIP}/24 dev eth0`);
  await failOver(stage);
  assert.is(await masterOf(stage), node);
  await failOver(stage);
  await eventually('EC2 should have moved it', async () => {
    const status = (await instanceOf(stage, node))?.status;
    return status?.vipsDelivered?.length === 0 ? true : undefined;
  });
  assert.match(await interfaceOf(stage, node), `${VIP}/24`);
  await ip(stage, node, `address del ${VIP}/24 dev eth0`);
  await carries(stage, node, false);
});

row('a VIP that is the gateway is put up by nobody, and the condition says why', async (stage) => {
  const pair = await quickPair();
  pair.metadata.name = 'hijacker';
  pair.spec.vrrp.virtualRouterID = 77;
  const gateway = routerAddress(stage.lab.vpc);
  pair.spec.addresses = [{ name: 'main', vip: gateway }];
  await apply(stage, pair);
  const says = 'AWS keeps it to itself';
  await conditionSays(stage, 'PreflightPassed', 'False PreflightFailed', { name: 'hijacker', says });
  await eventually('the agents should elect', async () =>
    (await pairOf(stage, 'hijacker')).status?.master === undefined ? undefined : true,
  );
  assert.equal((await instanceOf(stage, 'node1', 'hijacker'))?.spec.addresses ?? [], []);
  assert.not.match(await interfaceOf(stage, 'node1'), `${gateway}/32`);
  await deletePair(stage, 'hijacker');
});

run();
