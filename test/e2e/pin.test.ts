/** A pin: the addresses go to one node and stay there, whatever the election, orders and a pinned node's death say. */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import { VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import {
  assertNothingLost,
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
  networkInterfaceOf,
  now,
  otherNode,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('pin');

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

row('T25: an order while a pin is set is consumed and moves nothing', async (stage) => {
  const [fromMs, callID, master] = [nowMs(), await lastCallID(stage), await masterOf(stage)];
  // The preferred node changes twice, so that it is an order whichever it was.
  await edit(stage, { preferredNode: master });
  await edit(stage, { preferredNode: otherNode(master) });
  await eventually('The order should be consumed', async () => {
    const { status } = await pairOf(stage);
    const isOver =
      status?.failback?.reason === 'Pinned' &&
      status.failback.observedPreferredNode === otherNode(master) &&
      (status.failback.yieldTerm ?? 0) === 0;
    return isOver ? true : undefined;
  });
  await eventTold(stage, 'Pinned');
  assert.is(await masterOf(stage), master);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('the pin moves: so do the addresses, with one call', async (stage) => {
  const to = otherNode(await masterOf(stage));
  const before = await now(stage);
  await edit(stage, { pinnedNode: to });
  await pinned(stage, to);
  await assertSwitched(stage, before, to, { calls: 1, reason: 'PinnedBySpec' });
});

row('T24: the pinned node dies: nothing moves, and it is said loudly', async (stage) => {
  const node = await masterOf(stage);
  const callID = await lastCallID(stage);
  await stage.world.node(node).crash();
  await conditionSays(stage, 'Ready', 'False PinnedNodeDead', { says: node, timeoutMs: 90_000 });
  await eventTold(stage, 'PinnedNodeDead');
  assert.is((await instanceOf(stage, otherNode(node)))?.status?.state, 'Backup', 'the other does not claim');
  const { routes } = await stage.world.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, node));
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('unpinned, the other node takes over', async (stage) => {
  const dead = await masterOf(stage);
  const before = await now(stage);
  await edit(stage, { pinnedNode: null });
  await settled(stage, otherNode(dead));
  await assertSwitched(stage, before, otherNode(dead), { calls: 1 });
  assert.is(conditionOf(await pairOf(stage), 'Pinned'), 'False NotPinned');
  assert.equal(await claims(stage), { node1: 'Normal', node2: 'Normal' });
  await stage.world.node(dead).start();
  await backup(stage, dead);
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
