/** Nodes of a running pair that are replaced, and a pair whose second node never had an agent. */
import * as assert from 'uvu/assert';
import type { HAPair, PairNode } from '../../crds/types.ts';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import {
  apply,
  assertNothingLost,
  backup,
  conditionOf,
  conditionSays,
  deletePair,
  edit,
  eventually,
  instanceOf,
  interfaceOf,
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

const withoutPreference = async (): Promise<HAPair> => {
  const pair = await quickPair();
  delete pair.spec.preferredNode;
  return pair;
};

const { row, run } = storyOf('nodes', withoutPreference, {
  vpc: roomyVPC(2),
  product: { nodes: ['node1', 'node2', 'node3'] },
});

const nodeOf = (stage: Stage, name: string): PairNode => {
  const { address, networkInterfaceID } = stage.lab.node(name).instance;
  return { name, address, networkInterfaceID, interface: 'eth0' };
};

/** Names of the nodes that have a VRRPInstance of the pair. */
const instancesOf = async (stage: Stage): Promise<string[]> => {
  const names = ['node1', 'node2', 'node3', 'node4'];
  const found = await Promise.all(names.map((name) => instanceOf(stage, name)));
  return names.filter((_, index) => found[index] !== undefined);
};

/** Returns once these two, and no other, are the pair's nodes, and the standby is ready. */
const paired = async (stage: Stage, master: string, standby: string): Promise<void> => {
  await eventually(`${standby} should be the standby of ${master}`, async () => {
    const { status } = await pairOf(stage);
    const isIt = status?.master === master && status.standby === standby;
    const instances = (await instancesOf(stage)).join();
    return isIt && instances === [master, standby].sort().join() ? true : undefined;
  });
  await backup(stage, standby);
  await conditionSays(stage, 'Redundant', 'True StandbyReady', { timeoutMs: 60_000 });
};

row("the standby's instance is replaced: the Master does not notice", async (stage) => {
  const master = await masterOf(stage);
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  const before = (await instanceOf(stage, master))?.status;
  await edit(stage, { nodes: [nodeOf(stage, master), nodeOf(stage, 'node3')] });
  await paired(stage, master, 'node3');
  const after = await instanceOf(stage, master);
  assert.is(after?.spec.peerAddress, stage.lab.node('node3').instance.address);
  assert.is(after?.status?.term, before?.term);
  assert.is(after?.status?.since, before?.since, 'it never left its state');
  await conditionSays(stage, 'Accepted', 'True Accepted');
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row("the holder's replacement waits, says so, and comes once the other node holds", async (stage) => {
  const old = await masterOf(stage);
  const replacement = otherNode(old);
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  await edit(stage, { nodes: [nodeOf(stage, replacement), nodeOf(stage, 'node3')] });
  const says = `takes the place of ${old}`;
  await conditionSays(stage, 'Accepted', 'True NodeChangeWaits', { says });
  assert.equal(await instancesOf(stage), [old, 'node3'].sort());
  assert.is((await pairOf(stage)).status?.holder, old);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);

  await stage.lab.node(old).stopService('agent');
  await settled(stage, 'node3');
  await paired(stage, 'node3', replacement);
  await conditionSays(stage, 'Accepted', 'True Accepted');
  const { routes } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, 'node3'));
  const targets = (await mutatingCalls(stage, callID)).map(({ parameters }) => parameters.NetworkInterfaceId);
  assert.equal([...new Set(targets)], [networkInterfaceOf(stage, 'node3')]);

  await stage.lab.node(old).startService('agent');
  await eventually('The replaced node should give the VIP up', async () =>
    (await interfaceOf(stage, old)).includes(`${VIP}/`) ? undefined : true,
  );
});

row('the replaced pair fails over to its new node', async (stage) => {
  const standby = (await pairOf(stage)).status?.standby ?? '';
  await stage.lab.node('node3').crash();
  await settled(stage, standby);
  const { routes } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, standby));
  await stage.lab.node('node3').start();
  await backup(stage, 'node3');
});

row('a node that never had an agent: the other serves, and the want of a standby is said', async (stage) => {
  const pair = await withoutPreference();
  const name = 'alone';
  pair.metadata.name = name;
  pair.spec.nodes = [nodeOf(stage, 'node3'), nodeOf(stage, 'node4')];
  pair.spec.addresses = [{ name: 'main', vip: '10.10.10.50' }];
  pair.spec.vrrp.virtualRouterID = 50;
  await apply(stage, pair);
  const { status } = await conditionSays(stage, 'Ready', 'True Serving', { name });
  assert.is(status?.master, 'node3');
  const told = await pairOf(stage, name);
  assert.is(conditionOf(told, 'AgentsReady'), 'False AgentMissing');
  assert.is(conditionOf(told, 'Redundant'), 'False StandbyMissing');
  const { routes } = await stage.lab.ec2.settledMapping();
  assert.is(routes['10.10.10.50'], networkInterfaceOf(stage, 'node3'));
  await deletePair(stage, name);
});

run();
