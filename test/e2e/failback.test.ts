/** Planned switches: orders that are carried out, that wait, expire or are ignored, and a pair that is new or lost its status. */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import {
  apply,
  assertNothingLost,
  assertSwitched,
  backup,
  conditionOf,
  conditionSays,
  deletePair,
  edit,
  eventTold,
  eventually,
  failOver,
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

const { row, run } = storyOf('failback');

const whole = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+/, '');

/** Within a minute of a switch EC2 takes long to move an address back, so no policy asks for it. */
const AUTOMATIC_MS = 90_000;

/** The order has been handled: its reason is `reason`, and the newest spec was seen. */
const handled = (stage: Stage, reason: string, node: string, timeoutMs = PATIENCE_MS) =>
  eventually(
    `${reason} should be told of ${node}`,
    async () => {
      const { metadata, status } = await pairOf(stage);
      const isOver =
        status?.observedGeneration === metadata.generation &&
        status?.failback?.reason === reason &&
        (status?.failback?.yieldTerm ?? 0) === 0 &&
        status?.master === node &&
        status?.holder === node;
      return isOver ? status : undefined;
    },
    timeoutMs,
  );

/** The master is not the preferred node. */
const preferOther = async (stage: Stage): Promise<{ from: string; to: string }> => {
  const { spec } = await pairOf(stage);
  if (spec.preferredNode === (await masterOf(stage))) await failOver(stage);
  const from = await masterOf(stage);
  return { from, to: otherNode(from) };
};

/** The master is the preferred node; if that took an edit, it was an order of a switch that was made already. */
const preferMaster = async (stage: Stage): Promise<void> => {
  const master = await masterOf(stage);
  if ((await pairOf(stage)).spec.preferredNode === master) return;
  await edit(stage, { preferredNode: master });
  await handled(stage, 'AlreadyMaster', master);
};

row('another preferredNode is an order', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await preferMaster(stage);
  await backup(stage, to);
  const before = await now(stage);
  await edit(stage, { preferredNode: to });
  await handled(stage, 'SwitchoverCompleted', to);
  await backup(stage, from);
  await assertSwitched(stage, before, to, { calls: 1, reason: 'SwitchoverRequested' });
  await conditionSays(stage, 'PreferredNodeActive', 'True PreferredNodeIsMaster');
});

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

const reasonTold = (stage: Stage, reason: string) =>
  eventually(`status.failback should say ${reason}`, async () => {
    const { status } = await pairOf(stage);
    return status?.failback?.reason === reason ? status.failback : undefined;
  });

row('an order whose target is away waits and says so, expires, and is not made up for', async (stage) => {
  const { from, to } = await preferOther(stage);
  await stage.world.node(to).stopService('agent');
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  const requestedAt = whole(nowMs());
  await edit(stage, { failback: { requestedAt, startingDeadlineSeconds: 4 } });
  await reasonTold(stage, 'WaitingForTarget');
  const { lastHandledRequestedAt, yieldTerm = 0 } = await reasonTold(stage, 'Expired');
  assert.is(lastHandledRequestedAt, requestedAt);
  assert.is(yieldTerm, 0);
  await Promise.all([eventTold(stage, 'WaitingForTarget'), eventTold(stage, 'Expired')]);
  await stage.world.node(to).startService('agent');
  await backup(stage, to);
  await conditionSays(stage, 'Redundant', 'True StandbyReady');
  assert.is(await masterOf(stage), from);
  assert.is((await pairOf(stage)).status?.failback?.reason, 'Expired');
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
  await edit(stage, { failback: { startingDeadlineSeconds: null } });
});

row(
  'T4: a target that died unnoticed: the old master serves on, and the order is consumed',
  async (stage) => {
    const { from, to } = await preferOther(stage);
    await backup(stage, to);
    await stage.world.node(to).crash();
    const callID = await lastCallID(stage);
    const term = (await pairOf(stage)).status?.term ?? 0;
    await edit(stage, { failback: { requestedAt: whole(nowMs()) } });
    const { yieldTerm = 0 } = await reasonTold(stage, 'SwitchoverFailed');
    assert.is(yieldTerm, 0);
    await settled(stage, from);
    assert.ok(((await pairOf(stage)).status?.term ?? 0) > term, 'it yielded, and was elected again');
    await eventTold(stage, 'SwitchoverFailed');
    await stage.world.node(to).start();
    await backup(stage, to);
    assert.is(await masterOf(stage), from);
    assert.equal(await mutatingCalls(stage, callID), []);
  },
);

row(
  'Automatic: the preferred node takes over by itself, a minute after the last switch at the earliest',
  async (stage) => {
    const { from, to } = await preferOther(stage);
    await backup(stage, to);
    const before = await now(stage);
    await edit(stage, { failback: { policy: 'Automatic', delaySeconds: 2 } });
    await reasonTold(stage, 'WaitingForDelay');
    await handled(stage, 'SwitchoverCompleted', to, AUTOMATIC_MS);
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls: 1, reason: 'AutomaticFailback' });
    await Promise.all([eventTold(stage, 'AutomaticFailback'), eventTold(stage, 'SwitchoverCompleted')]);
    await edit(stage, { failback: { policy: null, delaySeconds: null } });
  },
);

row('a status that was lost is made anew, and orders nothing', async (stage) => {
  const { from } = await preferOther(stage);
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  const before = await pairOf(stage);
  await edit(stage, { failback: { requestedAt: null } });
  const remove = '[{"op":"remove","path":"/status"}]';
  const hap = ['hap', stage.name, '-n', stage.namespace];
  await stage.kubectl(['patch', ...hap, '--subresource=status', '--type=json', '-p', remove]);
  const { observedPreferredNode } = await reasonTold(stage, 'Recorded');
  assert.is(observedPreferredNode, before.spec.preferredNode);
  await settled(stage, from);
  const { status } = await pairOf(stage);
  assert.is(status?.term, before.status?.term, 'the term is found again');
  assert.equal(status?.addresses, before.status?.addresses);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('restored into a new cluster, old wishes order nothing', async (stage) => {
  const { from, to } = await preferOther(stage);
  await deletePair(stage);
  await stage.world.node(to).stopService('agent');
  const pair = await quickPair();
  pair.spec.preferredNode = to;
  const callID = await lastCallID(stage);
  const failback = { requestedAt: whole(nowMs() - 3_600_000) };
  await apply(stage, { ...pair, spec: { ...pair.spec, failback } });
  await conditionSays(stage, 'Ready', 'True Serving');
  await stage.world.node(to).startService('agent');
  await backup(stage, to);
  await conditionSays(stage, 'Redundant', 'True StandbyReady');
  const { status } = await pairOf(stage);
  assert.is(status?.failback?.reason, 'Recorded');
  assert.is(status?.failback?.lastHandledRequestedAt, failback.requestedAt);
  assert.is(status?.failback?.observedPreferredNode, to);
  assert.is(await masterOf(stage), from);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('preferredNode to and fro in one breath ends where the last edit says', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  await preferMaster(stage);
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
