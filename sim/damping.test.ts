/** Damping: soon after a switch the addresses stay with an incumbent that proves itself alive, and with no other. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VIP } from '../operator/testing/fixtures.ts';
import { endsWell, failedOverToNode2 } from './scenes.ts';
import type { World } from './world.ts';

/** Just switched to node2; then node1 hears it no more and claims: the move is held back. */
const heldDown = async (): Promise<World> => {
  const world = await failedOverToNode2();
  const { node1, node2 } = world;
  world.ec2.calls.length = 0;
  world.cut(node2, node1);
  await world.until('the move is held back', () => world.condition('Ready') === 'False HeldDown');
  return world;
};

test('a claim soon after a switch moves nothing while the incumbent answers', async () => {
  const world = await heldDown();
  const { node2 } = world;
  assert.is(world.condition('AddressesConverged'), 'False HeldDown');
  assert.match(world.message('AddressesConverged'), 'node2 keeps the addresses while it proves itself alive');
  assert.is(world.pair.status?.master, 'node1');
  assert.is(world.pair.status?.holder, 'node2');
  assert.ok(world.pair.status?.damping?.holdUntil !== undefined, 'until when is shown');
  await world.until('it is told', () => world.told.includes('HeldDown'));
  assert.ok(node2.has(VIP));
  world.heal();
  await endsWell(world, 'node2');
  assert.is(world.pair.status?.damping, undefined);
  assert.equal(world.moves, []);
});

test('SplitBrain names the holder that keeps the addresses', async () => {
  const world = await heldDown();
  await world.until('it is said', () => world.condition('SplitBrain') === 'True TwoMasters');
  assert.is(world.holder, 'node2');
  assert.match(world.message('SplitBrain'), 'The addresses stay with node2.');
});

test('T8: the incumbent dies while the move is held back: it is not waited for', async () => {
  const world = await heldDown();
  await world.pass(5_000);
  assert.equal(world.moves, []);
  world.node2.crash();
  await world.until('the move is made', () => world.holder === 'node1', 5_000);
  assert.equal(world.moves, ['node1'], 'one call');
  world.heal();
  world.node2.boot();
  await endsWell(world, 'node1');
});

test('the incumbent has stepped back and lives: it keeps the addresses and serves them, and is not waited for once it dies', async () => {
  const world = await failedOverToNode2();
  const { node2 } = world;
  world.ec2.calls.length = 0;
  node2.kill();
  node2.start();
  await world.until('the move is held back', () => world.condition('Ready') === 'False HeldDown');
  assert.is(world.master, 'node1');
  assert.is(node2.state, 'Backup');
  await world.pass(20_000);
  assert.equal(world.moves, []);
  assert.ok(node2.has(VIP), 'where EC2 delivers it');
  node2.crash();
  await world.until('the move is made', () => world.holder === 'node1', 5_000);
  node2.boot();
  await endsWell(world, 'node1');
});

test.run();
