/** etcd is put back to an earlier state while everything runs: what is stored is the truth, whatever was known before. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endsWell } from './scenes.ts';
import { World } from './world.ts';

const LOST = '10.10.10.20';

test('O14: after etcd is restored from a backup, agents report anew and an order is obeyed within a minute, and no call is made for the lost spec', async () => {
  const world = await World.converged();
  const backup = world.api.revision;
  await world.pass(600_000);
  const { addresses } = world.pair.spec;
  world.edit({ addresses: [...addresses, { name: 'more', vip: LOST }] });
  await world.until('the VIP that will be lost is served', () => world.isServedBy('node1'));
  await world.pass(60_000);
  world.ec2.calls.length = 0;
  world.restore(backup);
  world.edit({ preferredNode: 'node2' });
  await world.until('the order is obeyed', () => world.isServedBy('node2'), 60_000);
  assert.not.ok(world.ec2.calls.some(({ call }) => JSON.stringify(call).includes(LOST)));
  await endsWell(world, 'node2');
});

test.run();
