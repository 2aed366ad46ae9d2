/** Damping: soon after a switch the addresses stay with an incumbent that proves itself alive, and with no other. */
import * as assert from 'uvu/assert';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import {
  assertNothingLost,
  backup,
  conditionOf,
  conditionSays,
  eventTold,
  failOver,
  lastCallID,
  mutatingCalls,
  networkInterfaceOf,
  otherNode,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('flapping');

/** One way: the standby hears the master no more and claims; the master beats it by priority and goes on. */
const deafen = async (stage: Stage, incumbent: string): Promise<void> => {
  await stage.world.cut(`${incumbent}->${otherNode(incumbent)}`);
  const says = `${incumbent} keeps the addresses while it proves itself alive`;
  const pair = await conditionSays(stage, 'AddressesConverged', 'False HeldDown', { says });
  assert.is(conditionOf(pair, 'Ready'), 'False HeldDown');
  assert.is(pair.status?.master, otherNode(incumbent));
  assert.is(pair.status?.holder, incumbent);
  assert.ok(pair.status?.damping?.holdUntil !== undefined, 'until when is shown');
};

row('a claim soon after a switch moves nothing while the incumbent answers', async (stage) => {
  const incumbent = await failOver(stage);
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  await deafen(stage, incumbent);
  await eventTold(stage, 'HeldDown');
  await stage.world.heal(`${incumbent}->${otherNode(incumbent)}`);
  await settled(stage, incumbent);
  await backup(stage, otherNode(incumbent));
  assert.is((await pairOf(stage)).status?.damping, undefined);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row('T8: the incumbent dies while the move is held back: it is not waited for', async (stage) => {
  const incumbent = await failOver(stage);
  const claimant = otherNode(incumbent);
  const callID = await lastCallID(stage);
  await deafen(stage, incumbent);
  assert.equal(await mutatingCalls(stage, callID), []);
  await stage.world.node(incumbent).crash();
  await settled(stage, claimant);
  const { routes } = await stage.world.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, claimant));
  assert.is((await mutatingCalls(stage, callID)).length, 1);
});

run();
