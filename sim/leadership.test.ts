/** Two replicas of the operator: who leads, when leadership passes, and what a leader does with the account's call budget. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { World } from './world.ts';

/** A pair at rest, and a second replica that stands by. */
const withStandby = async (): Promise<World> => {
  const world = await World.converged();
  world.standby.start();
  await world.pass(5_000);
  return world;
};

test('a leader told to stop waits for its call and hands over at once, not by the end of its lease', async () => {
  const world = await withStandby();
  const { node1, ec2, operator, standby } = world;
  ec2.callMs = 6_000;
  node1.crash();
  await world.until('the leader begins a call', () => ec2.calls.length === 1);
  const begunAtMs = world.nowMs;
  operator.end();
  await world.pass(5_900);
  assert.ok(operator.isLeader(), 'it leads until its call is answered');
  await world.until('the standby leads', () => standby.isLeader(), 1_000);
  assert.ok(world.nowMs - begunAtMs >= 6_000);
  assert.ok(operator.process?.isDead, 'it has ended');
  await world.until('served by node2', () => world.isServedBy('node2'));
  assert.equal(world.moves, ['node2'], 'one call');
});

test('a standby told to stop ends, and nobody notices', async () => {
  const world = await withStandby();
  const { operator, standby } = world;
  standby.end();
  await world.until('it ends', () => standby.process?.isDead === true, 1_000);
  await world.pass(30_000);
  assert.ok(operator.isLeader());
  await world.staysQuiet();
});

test('a call refused for its rate is repeated when the budget has a turn, and the pair is served', async () => {
  const world = await World.converged();
  const { node1, ec2 } = world;
  const slowDown = { answer: { code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 } };
  ec2.fates.push(slowDown, slowDown, slowDown);
  node1.crash();
  await world.until('served by node2', () => world.isServedBy('node2'));
  assert.is(ec2.calls.length, 4);
});

/** What may have worked is not tried again before EC2 was read, and that is refused too. */
for (const [code, httpStatus, fewest, withinMs] of [
  ['RequestLimitExceeded', 503, 4, 30_000],
  ['UnauthorizedOperation', 403, 4, 45_000],
  ['RequestExpired', 400, 4, 45_000],
  ['ServiceUnavailable', 503, 1, 30_000],
] as const) {
  test(`EC2 answers every request with ${code} for three minutes: the failover is made when it does not any more`, async () => {
    const world = await World.converged();
    const { node1, ec2 } = world;
    ec2.refusal = { code, message: 'no', httpStatus };
    await world.pass(60_000);
    node1.crash();
    await world.pass(120_000);
    assert.is(world.holder, 'node1', 'nothing moves');
    const tries = ec2.calls.length;
    assert.ok(tries >= fewest && tries < 40, `${tries} tries, ever slower`);
    ec2.refusal = undefined;
    await world.until('served by node2', () => world.isServedBy('node2'), withinMs);
    await world.pass(60_000);
    await world.staysQuiet();
  });
}

test.run();
