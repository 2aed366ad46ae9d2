/** A change of the VRRP parameters in its three steps, with an agent cut off in each: it holds up the change and nothing else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endsWell, slower } from './scenes.ts';
import { World } from './world.ts';

/** One side as stored: what it is told to send and accept, and whether it has acknowledged that. */
const sideOf = (world: World, node: string) => {
  const { metadata, spec, status } = world.instance(node);
  return {
    sends: spec.vrrp.send.advertisementIntervalMilliseconds,
    accepts: spec.vrrp.accept.map((set) => set.advertisementIntervalMilliseconds),
    isAcknowledged: status?.observedGeneration === metadata.generation,
  };
};

const electionsOf = (world: World): string[] =>
  ['node1', 'node2'].map((node) => {
    const { state, term, since } = world.instance(node).status ?? {};
    return `${node} ${state} ${term} ${since}`;
  });

test('an agent that is cut off in any of the three steps holds up the change and nothing else', async () => {
  const world = await World.converged();
  const { node1, node2, operator } = world;
  const before = electionsOf(world);

  // Step 1, accept both: the standby does not hear of it, so nobody sends the new.
  world.cutAPI(node2);
  world.edit(slower(2_000));
  const both = [1_000, 2_000];
  await world.until('node1 accepts both', () => sideOf(world, 'node1').isAcknowledged);
  await world.pass(60_000);
  assert.equal(sideOf(world, 'node1'), { sends: 1_000, accepts: both, isAcknowledged: true });
  assert.equal(sideOf(world, 'node2'), { sends: 1_000, accepts: both, isAcknowledged: false });

  // Step 2, send new: the master does, the standby does not know of it and accepts it all the same.
  operator.kill();
  world.healAPI(node2);
  await world.until('node2 accepts both', () => sideOf(world, 'node2').isAcknowledged);
  world.cutAPI(node2);
  operator.start();
  await world.until(
    'node1 sends the new',
    () => sideOf(world, 'node1').sends === 2_000 && sideOf(world, 'node1').isAcknowledged,
  );
  await world.pass(60_000);
  assert.equal(sideOf(world, 'node2'), { sends: 2_000, accepts: both, isAcknowledged: false });

  // Step 3, accept the new alone: the standby does, the master does not know of it.
  operator.kill();
  world.healAPI(node2);
  await world.until('node2 sends the new', () => sideOf(world, 'node2').isAcknowledged);
  world.cutAPI(node1);
  operator.start();
  await world.until(
    'node2 accepts the new alone',
    () => sideOf(world, 'node2').accepts.length === 1 && sideOf(world, 'node2').isAcknowledged,
  );
  // Cut off for longer, node1 would advertise priority 100: still no election.
  await world.pass(60_000);
  assert.not(sideOf(world, 'node1').isAcknowledged);
  world.healAPI(node1);
  const done = { sends: 2_000, accepts: [2_000], isAcknowledged: true };
  await world.until('the change is done', () =>
    ['node1', 'node2'].every((node) => JSON.stringify(sideOf(world, node)) === JSON.stringify(done)),
  );
  assert.equal(electionsOf(world), before, 'neither left its state');
  assert.equal(world.moves, []);
  await endsWell(world, 'node1');
});

test.run();
