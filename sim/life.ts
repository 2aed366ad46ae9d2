/** One seed's life: a random schedule of faults and edits, and then long enough to come to rest. */
import { CONVERGE_MS } from './invariants.ts';
import { createRandom } from './random.ts';
import { disturb } from './schedule.ts';
import { World } from './world.ts';

/** How long it is at rest, after the time in which it must come to rest: nothing may be written then. */
const QUIET_MS = 40_000;

/** Lives it. @throws Violation with the story */
export const live = async (seed: number): Promise<World> => {
  const world = await World.started({ seed });
  const random = createRandom(seed ^ 0x5eed);
  await disturb(world, random, Math.floor(random.between(3, 12)));
  await world.pass(CONVERGE_MS + QUIET_MS);
  return world;
};
