/** One process: plants a bug, and runs the simulation until something catches it. */
import { globSync } from 'node:fs';
import { collect, failureOf, standInForUvu } from '../../hack/plant/collect.ts';
import { type Plant, plant, ROOT, urlOf } from '../../hack/plant/plant.ts';
import { obey, say as sayAny } from '../../hack/plant/process.ts';

export type Order = { fault: Plant; first: string; seeds: number };

export type Word =
  | { type: 'begins'; what: string }
  | { type: 'caught'; by: string; failure: string }
  /** So many tests and seeds pass. */
  | { type: 'missed'; tests: number };

const say = (word: Word): Promise<void> => sayAny(word);

/** Those that run seeds of their own, and those that break the product themselves, tell nothing here. */
const OTHERS = /^sim\/(random|broken)\.test\.ts$/;

type Attempt = { name: string; run: () => Promise<void> };

const traces = async (): Promise<Attempt[]> => {
  const files = globSync('sim/*.test.ts', { cwd: ROOT }).filter((file) => !OTHERS.test(file));
  const found: Attempt[] = [];
  for (const file of files.sort()) found.push(...(await collect(file)));
  return found;
};

const schedules = async (count: number): Promise<Attempt[]> => {
  const { live }: typeof import('../life.ts') = await import(urlOf('sim/life.ts'));
  return Array.from({ length: count }, (_, index) => ({
    name: `seed ${index + 1}`,
    run: () => live(index + 1).then(() => undefined),
  }));
};

obey(async ({ fault, first, seeds }: Order) => {
  plant(fault);
  standInForUvu();
  const all = [...(await traces()), ...(await schedules(seeds))];
  const isFirst = ({ name }: Attempt): boolean => name.startsWith(first);
  const attempts = [...all.filter(isFirst), ...all.filter((each) => !isFirst(each))];
  for (const attempt of attempts) {
    await say({ type: 'begins', what: attempt.name });
    const failure = await failureOf(attempt);
    if (failure !== undefined) return say({ type: 'caught', by: attempt.name, failure });
  }
  return say({ type: 'missed', tests: attempts.length });
});
