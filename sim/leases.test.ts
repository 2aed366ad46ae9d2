/** Who leads calls EC2, and nobody else (S4). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { World } from './world.ts';

const THROTTLED = { answer: { code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 } };

const isThrottled = ({ fields }: { fields: Record<string, unknown> }): boolean =>
  fields.reason === 'EC2Throttled';

const by = ({ ec2 }: World, name: string): number => ec2.calls.filter((call) => call.by === name).length;

test('T12: a paused leader wakes after its lease ran out, and a call is due again: it is not made', async () => {
  const world = await World.converged();
  const { node1, ec2, operator, standby } = world;
  standby.start();
  await world.pass(5_000);
  ec2.fates.push(THROTTLED);
  node1.crash();
  await world.until('the call fails', () => world.logged('operator', isThrottled).length > 0);
  assert.is(by(world, 'operator#1'), 1);
  operator.stop();
  await world.until('the standby leads and moves', () => world.isServedBy('node2'), 60_000);
  operator.resume();
  await world.pass(10_000);
  assert.is(by(world, 'operator#1'), 1);
});

test('S4: a leader that is cut off from the API calls no more before its lease runs out', async () => {
  const world = await World.converged();
  const { node1, ec2, operator } = world;
  for (let count = 0; count < 100; count += 1) ec2.fates.push(THROTTLED);
  node1.crash();
  await world.until('calls fail', () => by(world, 'operator#1') > 5, 60_000);
  world.cutAPI(operator);
  const cutAtMs = world.nowMs;
  await world.pass(60_000);
  const last = ec2.calls.findLast((call) => call.by === 'operator#1');
  assert.ok((last?.atMs ?? 0) <= cutAtMs + 10_000, 'within the deadline of its last renewal');
  ec2.fates.length = 0;
  world.healAPI(operator);
  await world.until('node2 serves', () => world.isServedBy('node2'), 60_000);
});

test.run();
