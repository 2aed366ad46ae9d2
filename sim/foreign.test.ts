/** What others have: nobody takes it, nobody puts it up, and it is served once it is free. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ALLOCATION, VIP } from '../operator/testing/fixtures.ts';
import { endsWell } from './scenes.ts';
import { World } from './world.ts';

const STRANGER = 'eni-0dddddddddddddddd';

test('a VIP or EIP that a foreign ENI holds is not placed, and is placed by itself once it is free', async () => {
  const world = new World();
  const { ec2, node1, node2, operator } = world;
  ec2.steal(VIP, STRANGER);
  ec2.cloud.associate(ALLOCATION, STRANGER, VIP);
  operator.start();
  for (const machine of world.machines) machine.start();
  await world.until('it is said', () => world.condition('Ready') === 'False AddressHeldElsewhere');
  await world.pass(120_000);
  assert.equal(world.moves, [], 'no call is made');
  assert.ok(!node1.has(VIP) && !node2.has(VIP), 'no node puts it up');
  assert.not.match(JSON.stringify(world.pair.status), STRANGER);
  const lines = world.logged('operator', ({ fields }) => fields.reason === 'AddressHeldElsewhere');
  assert.ok(
    lines.some(({ fields }) => String(fields.error).includes(`${VIP} is on ${STRANGER} of i-`)),
    'an administrator can read by whom',
  );
  node1.isHealthy = false;
  await world.pass(60_000);
  assert.equal(world.moves, [], 'nor at a failover');
  node1.isHealthy = true;
  ec2.steal(VIP, undefined);
  world.disturb('freed');
  await endsWell(world, world.master ?? '');
});

test.run();
