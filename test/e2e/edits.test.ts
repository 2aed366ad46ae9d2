/** Edits of a running pair: what is not built yet, a pause, orders to switch. The rows build on each other. */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import { between, lost } from '../../hack/lab/outage.ts';
import { nowMs } from '../../hack/lab/rpc.ts';
import {
  apply,
  assertSwitched,
  backup,
  conditionOf,
  edit,
  eventually,
  instanceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  now,
  otherNode,
  PATIENCE_MS,
  pairOf,
  quickPair,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('edits');

const whole = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+/, '');

const accepted = (stage: Stage, wanted: string) =>
  eventually(`Accepted should be ${wanted}`, async () => {
    const pair = await pairOf(stage);
    const isSeen = pair.status?.observedGeneration === pair.metadata.generation;
    return isSeen && conditionOf(pair, 'Accepted') === wanted ? pair : undefined;
  });

/** SIGTERM to the master's agent, the other takes over, the agent starts again. */
const failOver = async (stage: Stage): Promise<string> => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  await stage.world.node(from).killService('agent', 'SIGTERM');
  await settled(stage, to);
  await stage.gone(from, 'agent');
  await stage.world.node(from).startService('agent');
  await backup(stage, from);
  return to;
};

const assertNothingLost = async (stage: Stage, fromMs: number): Promise<void> => {
  const { lan, internet } = await stage.evidence();
  assert.is(lost(between(lan, fromMs, nowMs())), 0, 'LAN probes lost');
  assert.is(lost(between(internet, fromMs, nowMs())), 0, 'internet probes lost');
};

/** Fields that this version does not build: the edit, what the message must name, and how it is taken back. */
const UNBUILT: readonly { field: string; set: object; back: object }[] = [
  { field: 'spec.pinnedNode', set: { pinnedNode: 'node2' }, back: { pinnedNode: null } },
  {
    field: 'spec.healthChecks',
    set: { healthChecks: [{ name: 'app', tcpSocket: { port: 80 } }] },
    back: { healthChecks: null },
  },
  {
    field: 'spec.failback.policy',
    set: { failback: { policy: 'Automatic' } },
    back: { failback: { policy: null } },
  },
  {
    field: 'spec.failback.startingDeadlineSeconds',
    set: { failback: { startingDeadlineSeconds: 60 } },
    back: { failback: { startingDeadlineSeconds: null } },
  },
  {
    field: 'spec.deletionPolicy',
    set: { deletionPolicy: 'Unassign' },
    back: { deletionPolicy: null },
  },
];

for (const { field, set, back } of UNBUILT) {
  row(`${field}: said, not done, and the pair serves on`, async (stage) => {
    const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
    const spec = (await instanceOf(stage, 'node1'))?.spec;
    await edit(stage, set);
    const pair = await accepted(stage, 'False NotSupportedYet');
    const message = pair.status?.conditions?.find(({ type }) => type === 'Accepted')?.message;
    assert.match(message ?? '', `Not supported yet: ${field}`);
    assert.match(message ?? '', 'The last accepted spec goes on.');
    assert.is(conditionOf(pair, 'Ready'), 'True Serving');
    assert.equal((await instanceOf(stage, 'node1'))?.spec, spec);
    await edit(stage, back);
    await accepted(stage, 'True Accepted');
    await assertNothingLost(stage, fromMs);
    assert.equal(await mutatingCalls(stage, callID), []);
  });
}

row('a failover while an edit is not accepted', async (stage) => {
  await edit(stage, { pinnedNode: 'node1' });
  await accepted(stage, 'False NotSupportedYet');
  const [fromMs, before] = [nowMs(), await now(stage)];
  const to = await failOver(stage);
  await assertSwitched(stage, before, to, { calls: 1 });
  await edit(stage, { pinnedNode: null });
  await accepted(stage, 'True Accepted');
  await assertNothingLost(stage, fromMs);
});

row('a new pair that asks for what is not built is not begun', async (stage) => {
  const callID = await lastCallID(stage);
  const pair = await quickPair();
  pair.metadata.name = 'early';
  pair.spec.addresses = [{ name: 'main', vip: '10.10.10.20' }];
  pair.spec.vrrp.virtualRouterID = 20;
  pair.spec.pinnedNode = 'node1';
  await apply(stage, pair);
  await eventually('It should be refused', async () =>
    conditionOf(await pairOf(stage, 'early'), 'Accepted') === 'False NotSupportedYet' ? true : undefined,
  );
  assert.is(conditionOf(await pairOf(stage, 'early'), 'Ready'), 'False NotAccepted');
  assert.is(await instanceOf(stage, 'node1', 'early'), undefined);
  await stage.kubectl(['delete', 'hap', 'early', '-n', stage.namespace, '--wait', '--timeout=30s']);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('paused: a crash is followed by the election alone; unpaused, EC2 follows at once', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  const before = await now(stage);
  await edit(stage, { paused: true });
  await eventually('The pause should be seen', async () =>
    conditionOf(await pairOf(stage), 'Paused') === 'True PausedBySpec' ? true : undefined,
  );
  await stage.world.node(from).crash();
  await stage.pair.until(
    'Ready should be False',
    ({ master, holder, ready }) => master === to && holder === from && ready === 'False',
    PATIENCE_MS,
  );
  const paused = (await pairOf(stage)).status?.conditions?.find(({ type }) => type === 'Paused');
  assert.match(paused?.message ?? '', /Would call AssignPrivateIpAddresses of 10\.10\.10\.10/);
  assert.equal(await mutatingCalls(stage, before.callID), []);
  await edit(stage, { paused: false });
  await settled(stage, to);
  await Promise.all([stage.lan.answeredBy(to, PATIENCE_MS), stage.internet.answeredBy(to, PATIENCE_MS)]);
  await assertSwitched(stage, before, to, { calls: 1 });
  await stage.world.node(from).start();
  await backup(stage, from);
});

/** The order has been handled: its reason is `reason`, and the newest spec was seen. */
const handled = (stage: Stage, reason: string, node: string) =>
  eventually(`${reason} should be told`, async () => {
    const { metadata, status } = await pairOf(stage);
    const isOver =
      status?.observedGeneration === metadata.generation &&
      status?.failback?.reason === reason &&
      (status?.failback?.yieldTerm ?? 0) === 0 &&
      status?.master === node &&
      status?.holder === node;
    return isOver ? status : undefined;
  });

/** The master is not the preferred node. */
const preferOther = async (stage: Stage): Promise<{ from: string; to: string }> => {
  const { spec } = await pairOf(stage);
  if (spec.preferredNode === (await masterOf(stage))) await failOver(stage);
  const from = await masterOf(stage);
  return { from, to: otherNode(from) };
};

row('requestedAt in the future waits for its time', async (stage) => {
  const { from, to } = await preferOther(stage);
  await backup(stage, to);
  const before = await now(stage);
  const requestedMs = Math.ceil(nowMs() / 1000) * 1000 + 3_000;
  await edit(stage, { failback: { requestedAt: whole(requestedMs) } });
  const status = await handled(stage, 'SwitchoverCompleted', to);
  assert.ok(Date.parse(status.history?.[0]?.time ?? '') >= requestedMs, 'not before its time');
  assert.is(status.failback?.lastHandledRequestedAt, whole(requestedMs));
  await backup(stage, from);
  await assertSwitched(stage, before, to, { calls: 1, reason: 'SwitchoverRequested' });
});

row('requestedAt older than the last one handled is ignored, and says so', async (stage) => {
  const { from } = await preferOther(stage);
  const callID = await lastCallID(stage);
  const last = (await pairOf(stage)).status?.failback?.lastHandledRequestedAt ?? '';
  await edit(stage, { failback: { requestedAt: whole(Date.parse(last) - 1_000) } });
  const status = await handled(stage, 'OrderIgnored', from);
  assert.is(status.failback?.lastHandledRequestedAt, last);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('preferredNode to and fro in one breath ends where the last edit says', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  await edit(stage, { preferredNode: from });
  await handled(stage, 'AlreadyMaster', from);
  for (const preferredNode of [to, from, to]) await edit(stage, { preferredNode });
  const { metadata, status } = await eventually('The last wish should be fulfilled', async () => {
    const pair = await pairOf(stage);
    const isOver =
      pair.status?.observedGeneration === pair.metadata.generation &&
      pair.status?.failback?.observedPreferredNode === to &&
      (pair.status.failback.yieldTerm ?? 0) === 0 &&
      pair.status.failback.pendingSince === undefined &&
      pair.status.master === to &&
      pair.status.holder === to &&
      conditionOf(pair, 'Ready') === 'True Serving';
    return isOver ? pair : undefined;
  });
  assert.is(metadata.generation, status?.observedGeneration);
  assert.is(conditionOf(await pairOf(stage), 'PreferredNodeActive'), 'True PreferredNodeIsMaster');
  await backup(stage, from);
});

run();
