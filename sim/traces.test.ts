import { test } from 'uvu';
import { World } from './world.ts';

test('start', async () => {
  const a = process.hrtime.bigint();
  const world = await World.converged();
  console.log(Number(process.hrtime.bigint() - a) / 1e6, world.nowMs);
  console.log(world.story());
  await world.staysQuiet();
  console.log(Number(process.hrtime.bigint() - a) / 1e6, world.nowMs);
});
test.run();
