/** Planned switches and pins, as a person makes them by edits; sim/orders and sim/pins have what waits, expires and dies. */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import {
  assertSwitched,
  backup,
  conditionOf,
  conditionSays,
  edit,
  eventTold,
  eventually,
  instanceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  now,
  otherNode,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('orders');

/** The order has been handled: its reason is `reason`, and the newest spec was seen. */
const handled = (stage: Stage, reason: string, node: string) =>
  eventually(`${reason} should be told of ${node}`, async () => {
    const { metadata, status } = await pairOf(stage);
    const isOver =
      status?.observedGeneration === metadata.generation &&
      status?.failback?.reason === reason &&
      (status?.failback?.yieldTerm ?? 0) === 0 &&
      status?.master === node &&
      status?.holder === node;
    return isOver ? status : undefined;
  });

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

const claims = async (stage: Stage): Promise<Record<string, string | undefined>> => ({
  node1: (await instanceOf(stage, 'node1'))?.spec.claim,
  node2: (await instanceOf(stage, 'node2'))?.spec.claim,
});

const pinned = async (stage: Stage, node: string): Promise<void> => {
  await conditionSays(stage, 'Pinned', 'True PinnedBySpec', { says: node });
  await settled(stage, node);
  await backup(stage, otherNode(node));
  assert.equal(await claims(stage), { [node]: 'Always', [otherNode(node)]: 'Never' });
};

row('the standby is pinned: one call moves the addresses to it', async (stage) => {
  const to = otherNode(await masterOf(stage));
  await backup(stage, to);
  const before = await now(stage);
  await edit(stage, { pinnedNode: to });
  await pinned(stage, to);
  await assertSwitched(stage, before, to, { calls: 1, reason: 'PinnedBySpec' });
  await eventTold(stage, 'PinnedBySpec');
});

row('the pin moves: so do the addresses, with one call', async (stage) => {
  const to = otherNode(await masterOf(stage));
  const before = await now(stage);
  await edit(stage, { pinnedNode: to });
  await pinned(stage, to);
  await assertSwitched(stage, before, to, { calls: 1, reason: 'PinnedBySpec' });
});

row('a pin and its removal in one breath leave one master', async (stage) => {
  const master = await masterOf(stage);
  const callID = await lastCallID(stage);
  await edit(stage, { pinnedNode: master });
  await edit(stage, { pinnedNode: null });
  await conditionSays(stage, 'Pinned', 'False NotPinned');
  await settled(stage, master);
  await backup(stage, otherNode(master));
  await eventually('Both should claim by election again', async () =>
    Object.values(await claims(stage)).every((claim) => claim === 'Normal') ? true : undefined,
  );
  assert.equal(await mutatingCalls(stage, callID), []);
});

run();
