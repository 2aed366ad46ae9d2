/** What is stopped for a while: a process or a machine that wakes as if no time had passed, and a pair that is paused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { World } from './world.ts';

test('a Master that was stopped finds its successor and gives way, whatever its address and priority', async () => {
  const world = await World.converged();
  const { node2 } = world;
  world.request('node2');
  await world.until('node2 serves', () => world.isServedBy('node2'));
  await world.pass(120_000);
  node2.stop();
  await world.until('node1 serves', () => world.isServedBy('node1'));
  await world.pass(5_000);
  world.ec2.calls.length = 0;
  node2.resume();
  await world.pass(1_000);
  assert.is(node2.state, 'Backup');
  await world.pass(60_000);
  assert.is(world.master, 'node1');
  assert.equal(world.moves, [], 'nothing moves back');
  await world.staysQuiet();
});

test('S9: a worker that hangs for a moment is told of an order once', async () => {
  const world = await World.converged();
  const { node1 } = world;
  node1.thread?.stop();
  world.request('node2');
  await world.pass(2_500);
  node1.thread?.resume();
  await world.until('node2 serves', () => world.isServedBy('node2'));
  assert.is(world.yields, 1);
  assert.is(world.pair.status?.failback?.reason, 'SwitchoverCompleted');
  await world.pass(60_000);
  await world.staysQuiet();
});

test('paused: the election goes on, EC2 is not written to, and the status says what would be done', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  world.edit({ paused: true });
  await world.pass(1_000);
  node1.crash();
  await world.until('node2 is elected', () => world.pair.status?.master === 'node2');
  await world.pass(60_000);
  assert.equal(ec2.calls, []);
  assert.is(world.condition('Ready').split(' ')[0], 'False');
  const paused = world.pair.status?.conditions?.find(({ type }) => type === 'Paused');
  assert.match(paused?.message ?? '', /Would call AssignPrivateIpAddresses of 10\.10\.10\.10/);
  world.edit({ paused: false });
  await world.until('node2 serves', () => world.isServedBy('node2'), 5_000);
});

test.run();
