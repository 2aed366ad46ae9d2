/** A pin: orders do not move it, its node's death does not either, and its end lets the election decide again. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endsWell } from './scenes.ts';
import { World } from './world.ts';

const pinnedToNode2 = async (): Promise<World> => {
  const world = await World.converged();
  world.edit({ pinnedNode: 'node2' });
  await world.until('served by node2', () => world.isServedBy('node2'));
  await world.pass(120_000);
  world.ec2.calls.length = 0;
  return world;
};

test('T25: an order while a pin is set is consumed and moves nothing', async () => {
  const world = await pinnedToNode2();
  const { yields } = world;
  for (const preferredNode of ['node2', 'node1']) {
    world.edit({ preferredNode });
    await world.until('consumed', () => {
      const { failback } = world.pair.status ?? {};
      return failback?.reason === 'Pinned' && failback.observedPreferredNode === preferredNode;
    });
  }
  assert.is(world.pair.status?.failback?.yieldTerm, undefined);
  await world.until('it is told', () => world.told.includes('Pinned'));
  await endsWell(world, 'node2');
  assert.equal(world.moves, []);
  assert.is(world.yields, yields);
});

test('T24: the pinned node dies: nothing moves, and it is said loudly; unpinned, the other node takes over', async () => {
  const world = await pinnedToNode2();
  const { node1, node2 } = world;
  node2.crash();
  await world.until('it is said', () => world.condition('Ready') === 'False PinnedNodeDead', 120_000);
  assert.match(world.message('Ready'), 'node2');
  await world.until('it is told', () => world.told.includes('PinnedNodeDead'));
  await world.pass(60_000);
  assert.is(node1.state, 'Backup', 'the other does not claim');
  assert.is(world.holder, 'node2');
  assert.equal(world.moves, []);
  world.unset('pinnedNode');
  await world.until('served by node1', () => world.isServedBy('node1'));
  assert.equal(world.moves, ['node1'], 'one call');
  assert.is(world.condition('Pinned'), 'False NotPinned');
  assert.equal(
    ['node1', 'node2'].map((node) => world.instance(node).spec.claim),
    ['Normal', 'Normal'],
  );
  node2.boot();
  await endsWell(world, 'node1');
});

test.run();
