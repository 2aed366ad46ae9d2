/**
 * The agents without the API server: the election goes on, across restarts of agents and machines, EC2 does not follow, and
 * everything catches up afterwards. A lost credential is the same case.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { LogReason } from '../../crds/conditions.ts';
import { writePrivately } from '../../hack/controlplane/kubeconfig.ts';
import { createToken } from '../../hack/controlplane/tokens.ts';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { parseTimeMs } from '../../runtime/time.ts';
import { type AgentLine, agentEnters, agentLog, agentSays, claims, enteredState } from './agent-log.ts';
import { ask, scrape } from './scrape.ts';
import {
  assertSwitched,
  backup,
  eventually,
  instanceOf,
  interfaceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  networkInterfaceOf,
  now,
  otherNode,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('api-away');

const NODES = ['node1', 'node2'];
const NAMESPACE = 'hapair-system';

/** Both agents lose it; the operator, which has it, learns nothing from them. */
const takeAway = async (stage: Stage): Promise<void> => {
  const since = NODES.map((node) => agentLog(stage, node).length);
  for (const node of NODES) await stage.lab.cut(`${node}-api`);
  for (const [index, node] of NODES.entries())
    await agentSays(stage, node, since[index] ?? 0, 'APIServerUnavailable');
};
const giveBack = async (stage: Stage): Promise<void> => {
  for (const node of NODES) await stage.lab.heal(`${node}-api`);
};

/** The node's newest change of state. */
const newestState = (stage: Stage, node: string): AgentLine | undefined =>
  agentLog(stage, node).findLast((line) => enteredState(line) !== undefined);

/** Exactly this node is Master, by the agents' own words, and has the VIP on its interface. */
const elected = (stage: Stage, node: string): Promise<AgentLine> =>
  eventually(`${node} should be Master`, async () => {
    const line = newestState(stage, node);
    const hasVIP = (await interfaceOf(stage, node)).includes(`${VIP}/32`);
    return line !== undefined && enteredState(line) === 'Master' && hasVIP ? line : undefined;
  });

const said = (stage: Stage, node: string, since: number, reason: LogReason): Promise<AgentLine> =>
  agentSays(stage, node, since, reason);

row(
  'the API server is away and the Master’s agent dies: the other serves, EC2 does not follow, and its report catches up with the right time and term',
  async (stage) => {
    const [from, before] = [await masterOf(stage), await now(stage)];
    const to = otherNode(from);
    const reported = (await instanceOf(stage, to))?.status;
    await takeAway(stage);
    const since = agentLog(stage, to).length;
    await stage.lab.node(from).killService('agent', 'SIGKILL');
    const line = await elected(stage, to);
    assert.is(claims(stage, to, since), 1);

    // Long enough for a report, were one possible, and for EC2.
    await stage.observe(2_000);
    assert.equal((await instanceOf(stage, to))?.status, reported, 'nothing was reported');
    assert.equal(await mutatingCalls(stage, before.callID), [], 'EC2 does not follow');
    assert.is((await stage.lab.ec2.settledMapping()).routes[VIP], networkInterfaceOf(stage, from));

    await giveBack(stage);
    await settled(stage, to);
    await assertSwitched(stage, before, to, { calls: 2 });
    const status = (await instanceOf(stage, to))?.status;
    assert.ok(
      Math.abs(Date.parse(status?.since ?? '') - parseTimeMs(line.at)) < 2,
      'since when it became Master',
    );
    assert.ok((status?.term ?? 0) > (reported?.term ?? 0));
    await stage.gone(from, 'agent');
    await stage.lab.node(from).startService('agent');
    await backup(stage, from);
  },
);

row('without it, agents and machines restart, and the election goes on from disk', async (stage) => {
  const before = await now(stage);
  const from = await masterOf(stage);
  const to = otherNode(from);
  await takeAway(stage);

  // A Backup's agent restarts: it listens, and nothing changes.
  await stage.lab.node(to).killService('agent', 'SIGKILL');
  await stage.gone(to, 'agent');
  const sinceTo = agentLog(stage, to).length;
  const sinceFrom = agentLog(stage, from).length;
  await stage.lab.node(to).startService('agent');
  await agentEnters(stage, to, sinceTo, 'Backup');
  await stage.observe(2_000);
  assert.is(claims(stage, to, sinceTo), 0, 'no preemption from disk (T9)');
  assert.is(claims(stage, from, sinceFrom), 0);

  // The Master's machine dies and boots.
  await stage.lab.node(from).crash();
  await elected(stage, to);
  const sinceBoot = agentLog(stage, from).length;
  await stage.lab.node(from).start();
  await agentEnters(stage, from, sinceBoot, 'Backup');
  await stage.observe(2_000);
  assert.is(claims(stage, from, sinceBoot), 0, 'no preemption from disk (T9)');
  const newest = newestState(stage, to);
  assert.is(newest && enteredState(newest), 'Master');
  // EC2 has not followed: it delivers to the node that booted, and finds an open door there (T7, V5).
  await eventually('The node that booted should open the door', async () =>
    (await interfaceOf(stage, from)).includes(`${VIP}/32`) ? true : undefined,
  );

  // Both agents at once: one of them is Master again.
  for (const node of NODES) await stage.lab.node(node).killService('agent', 'SIGKILL');
  for (const node of NODES) await stage.gone(node, 'agent');
  const since = NODES.map((node) => agentLog(stage, node).length);
  for (const node of NODES) await stage.lab.node(node).startService('agent');
  const master = await eventually('one should be Master, the other Backup', async () => {
    const states = NODES.map((node, index) => {
      const entered = agentLog(stage, node).slice(since[index]).map(enteredState);
      return entered.findLast((state) => state !== undefined);
    });
    const found = NODES[states.indexOf('Master')];
    return states.includes('Backup') ? found : undefined;
  });
  assert.equal(await mutatingCalls(stage, before.callID), [], 'EC2 has not moved');

  await giveBack(stage);
  await eventually(`${master} should report its new term`, async () => {
    const status = (await instanceOf(stage, master))?.status;
    const isNew = (status?.term ?? 0) > (before.pair.status?.term ?? 0);
    return status?.state === 'Master' && isNew ? true : undefined;
  });
  await settled(stage, master);
  await backup(stage, otherNode(master));
});

const tokenFileOf = (stage: Stage, node: string): string =>
  join(stage.lab.node(node).dir, 'kubeconfig.token');
const renew = async (stage: Stage, node: string): Promise<void> =>
  writePrivately(
    tokenFileOf(stage, node),
    await createToken(stage.lab.kubeconfigPath, NAMESPACE, `hapair-agent-${node}`),
  );

const LOST = 'APIServerUnauthorized';

row(
  'a token that is no good is said, disturbs nothing, and its successor is used without a restart',
  async (stage) => {
    const master = await masterOf(stage);
    const [since, callID] = [agentLog(stage, master).length, await lastCallID(stage)];
    await writePrivately(tokenFileOf(stage, master), 'no.such.token');
    const line = await said(stage, master, since, LOST);
    assert.match(line.err ?? '', /401 Unauthorized/);
    const ready = await ask(stage, master, '/readyz?verbose');
    assert.is(ready?.status, 200);
    assert.match(ready?.body ?? '', '[+]api ok: it refuses the credential');
    const series = await scrape(stage, master);
    assert.ok((series?.get('hapair_agent_kubernetes_calls_total{result="Unauthorized"}') ?? 0) > 0);
    await stage.observe(2_000);
    await renew(stage, master);
    await said(stage, master, since, 'APIServerAvailable');
    assert.is(claims(stage, master, since), 0);
    assert.is(
      agentLog(stage, master)
        .slice(since)
        .filter(({ reason }) => reason === 'AgentStarted' || reason === 'AgentReloaded').length,
      0,
    );
    assert.equal(await mutatingCalls(stage, callID), []);
  },
);

row(
  'the ServiceAccount is deleted and made again: the old token is dead, a new one is taken up',
  async (stage) => {
    const master = await masterOf(stage);
    const since = agentLog(stage, master).length;
    const account = `hapair-agent-${master}`;
    await stage.kubectl(['delete', 'serviceaccount', account, '-n', NAMESPACE]);
    await said(stage, master, since, LOST);
    await stage.kubectl(['create', 'serviceaccount', account, '-n', NAMESPACE]);
    await renew(stage, master);
    await said(stage, master, since, 'APIServerAvailable');
    assert.is(claims(stage, master, since), 0);
  },
);

row(
  'token and kubeconfig are gone when the agent starts: it serves from disk, and finds them later',
  async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    const node = stage.lab.node(to);
    const kubeconfig = join(node.dir, 'kubeconfig');
    const content = (await node.exec(['cat', kubeconfig])).stdout;
    await node.killService('agent', 'SIGKILL');
    await stage.gone(to, 'agent');
    rmSync(tokenFileOf(stage, to));
    writeFileSync(kubeconfig, 'cut off: [');
    const since = agentLog(stage, to).length;
    await node.startService('agent');
    await said(stage, to, since, LOST);
    await agentEnters(stage, to, since, 'Backup');
    await stage.lab.node(from).killService('agent', 'SIGKILL');
    await elected(stage, to);

    writeFileSync(kubeconfig, content);
    await renew(stage, to);
    await settled(stage, to);
    await stage.gone(from, 'agent');
    await stage.lab.node(from).startService('agent');
    await backup(stage, from);
  },
);

run();
