/**
 * VRRP parameters that change again, or whose change is forgotten, where the ends reject each other: in version 2 an advert of
 * another interval is no advert, while version 3 takes any.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { node2ForgetsTheChange } from './scenes.ts';
import { World } from './world.ts';

const interval = (milliseconds: number) => ({
  vrrp: { version: 2 as const, virtualRouterID: 10, advertisementIntervalMilliseconds: milliseconds },
});

const intervalsOf = ({ machines }: World): (number | undefined)[] =>
  machines.map(({ elections }) => elections.get('prod/web')?.config.advertisementIntervalMs);

/** The change ends, and nothing has moved. */
const endsWell = async (world: World, milliseconds: number): Promise<void> => {
  await world.until(
    `both send every ${milliseconds} ms`,
    () => intervalsOf(world).every((ms) => ms === milliseconds),
    180_000,
  );
  await world.pass(60_000);
  assert.is(world.master, 'node1');
  await world.staysQuiet();
};

for (let delayMs = 0; delayMs <= 10; delayMs += 1) {
  test(`T26, version 2: n2 acknowledges "accept both", crashes, restarts from the disk of before: ${delayMs} ms after it was told`, async () => {
    const world = await World.converged({ pair: interval(1_000) });
    world.edit(interval(2_000));
    await node2ForgetsTheChange(world, delayMs);
    await endsWell(world, 2_000);
  });
}

test('T26, version 2: A->B->C: the Master sends B already, is cut off, and C comes: B is finished first', async () => {
  const world = await World.converged({ pair: interval(1_000) });
  const { node1 } = world;
  world.edit(interval(2_000));
  await world.until('node1 sends B', () => intervalsOf(world)[0] === 2_000);
  world.cutAPI(node1);
  world.edit(interval(3_000));
  await world.pass(60_000);
  assert.is(world.master, 'node1', 'no second Master');
  world.healAPI(node1);
  await endsWell(world, 3_000);
});

test.run();
