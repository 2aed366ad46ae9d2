/**
 * Random schedules of faults and edits: every invariant holds after every step, and once everything works again the system comes
 * to rest with EC2 at the only Master. SIM_SEEDS says how many seeds, from SIM_FIRST on; SIM_SEED runs one and tells its story.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { live } from './life.ts';

const SEEDS = Number(process.env.SIM_SEEDS ?? 80);
const FIRST = Number(process.env.SIM_FIRST ?? 1);
const chosen = process.env.SIM_SEED;
const seeds =
  chosen === undefined ? Array.from({ length: SEEDS }, (_, seed) => FIRST + seed) : [Number(chosen)];

test(`${seeds.length} random schedules keep every invariant and end well`, async () => {
  const failures: string[] = [];
  for (const seed of seeds) {
    try {
      const world = await live(seed);
      if (chosen !== undefined) console.log(world.story());
    } catch (error) {
      failures.push(`SIM_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failures.length > 0) assert.unreachable(`${failures.length} seeds fail:\n${failures.join('\n\n')}`);
});

test('one seed lives one life', async () => {
  const [first, second] = [await live(1), await live(1)];
  assert.is(first.whole, second.whole);
});

test.run();
