/** Edits of a running pair that move nothing by themselves, and what becomes of those that cannot be done. */
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
  instanceOf,
  lastCallID,
  masterOf,
  messageOf,
  mutatingCalls,
  now,
  otherNode,
  PATIENCE_MS,
  quickPair,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('edits');

row('a new pair in a Region whose EC2 refuses the credentials is not ready and says why', async (stage) => {
  const callID = await lastCallID(stage);
  const pair = await quickPair();
  pair.metadata.name = 'abroad';
  pair.spec.region = 'eu-west-1';
  pair.spec.addresses = [{ name: 'main', vip: '10.10.10.20' }];
  pair.spec.vrrp.virtualRouterID = 20;
  await apply(stage, pair);
  const says = 'The first election waits until EC2 can be read';
  await conditionSays(stage, 'Ready', 'False EC2ReadFailed', { name: 'abroad', says });
  const calls = (await stage.lab.ec2.calls(callID)).filter(({ errorCode }) => errorCode === 'AuthFailure');
  assert.ok(calls.length > 0, 'EC2 of that Region was asked');
  await deletePair(stage, 'abroad');
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('spec.region cannot change once it is set', async (stage) => {
  const callID = await lastCallID(stage);
  await edit(stage, { region: 'ap-northeast-1' });
  await conditionSays(stage, 'Accepted', 'True Accepted');
  const refused = await edit(stage, { region: 'eu-west-1' }).then(
    () => 'nothing',
    (error: Error) => error.message,
  );
  assert.match(refused, /spec.*region.*immutable/s);
  assert.equal(await mutatingCalls(stage, callID), []);
});

const priorityOf = async (stage: Stage, node: string): Promise<number | undefined> =>
  (await instanceOf(stage, node))?.spec.priority;

row(
  'a field of a VRRPInstance that somebody edits is shown as theirs, and not fought over',
  async (stage) => {
    const [fromMs, callID, master] = [nowMs(), await lastCallID(stage), await masterOf(stage)];
    const standby = otherNode(master);
    const name = `web.${standby}`;
    const instance = ['vrrp', name, '-n', stage.namespace];
    await stage.kubectl(['patch', ...instance, '--type=merge', '-p', '{"spec":{"priority":150}}']);
    const says = `VRRPInstance ${name} belongs to the operator`;
    const pair = await conditionSays(stage, 'AgentsReady', 'False FieldConflict', { says });
    assert.match(messageOf(pair, 'AgentsReady'), /\.spec\.priority \(kubectl-patch\)/);
    assert.is(conditionOf(pair, 'Ready'), 'True Serving');
    await eventTold(stage, 'FieldConflict');
    assert.is(await priorityOf(stage, standby), 150);

    await stage.kubectl(['delete', ...instance]);
    await conditionSays(stage, 'AgentsReady', 'True AgentsReporting');
    await backup(stage, standby);
    assert.is(await priorityOf(stage, standby), 100);
    assert.is(await masterOf(stage), master);
    await assertNothingLost(stage, fromMs);
    assert.equal(await mutatingCalls(stage, callID), []);
  },
);

row('paused: a crash is followed by the election alone; unpaused, EC2 follows at once', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  const before = await now(stage);
  await edit(stage, { paused: true });
  await conditionSays(stage, 'Paused', 'True PausedBySpec');
  await stage.lab.node(from).crash();
  await stage.pair.until(
    'Ready should be False',
    ({ master, holder, ready }) => master === to && holder === from && ready === 'False',
    PATIENCE_MS,
  );
  const says = 'Would call AssignPrivateIpAddresses of 10.10.10.10';
  await conditionSays(stage, 'Paused', 'True PausedBySpec', { says });
  assert.equal(await mutatingCalls(stage, before.callID), []);
  await edit(stage, { paused: false });
  await settled(stage, to);
  await Promise.all([stage.lan.answeredBy(to, PATIENCE_MS), stage.internet.answeredBy(to, PATIENCE_MS)]);
  await assertSwitched(stage, before, to, { calls: 1 });
  await stage.lab.node(from).start();
  await backup(stage, from);
});

run();
