/**
 * One process of tests, told over IPC what to do: either the tests of a file as they are, with what each reaches, or chosen tests
 * with a fault planted, up to the first that fails.
 */
import fc from 'fast-check';
import { collect, failureOf, standInForUvu } from '../plant/collect.ts';
import { plant } from '../plant/plant.ts';
import { obey, say as sayAny } from '../plant/process.ts';
import type { MeasuredTest, Order, Word } from './orders.ts';
import { Counters } from './reach.ts';

const say = (word: Word): Promise<void> => sayAny(word);

/** Processor time used so far. */
const usedMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/** Of a file that loads a heart: in order, and once more from the last to the first: a test that leans on another would be no witness. */
const measure = async (file: string, hearts: readonly string[]): Promise<void> => {
  const counters = new Counters(hearts);
  await counters.start();
  const startedMs = usedMs();
  const tests = await collect(file);
  const [loadMs, load] = [usedMs() - startedMs, await counters.read()];
  const measured: MeasuredTest[] = [];
  const loaded = [...counters.loaded];
  const isWitness = loaded.some((path) => hearts.includes(path));
  if (!isWitness) return say({ type: 'measured', loadMs, load, tests: [], loaded });
  for (const test of tests) {
    const begunMs = usedMs();
    const failure = await failureOf(test);
    const ms = usedMs() - begunMs;
    if (failure !== undefined) return say({ type: 'red', test: test.name, failure });
    measured.push({ name: test.name, ms, reach: await counters.read() });
  }
  for (const test of tests.toReversed()) {
    const failure = await failureOf(test);
    if (failure !== undefined)
      return say({ type: 'red', test: test.name, failure: `in another order: ${failure}` });
  }
  return say({ type: 'measured', loadMs, load, tests: measured, loaded: [...counters.loaded] });
};

const attempt = async ({ fault, files }: Extract<Order, { type: 'attempt' }>): Promise<void> => {
  plant(fault);
  for (const { file, tests: chosen } of files) {
    await say({ type: 'begins', file });
    const tests = await collect(file);
    for (const index of chosen) {
      const test = tests[index];
      if (test === undefined) throw new Error(`${file} has no test ${index}`);
      await say({ type: 'begins', file, index });
      const failure = await failureOf(test);
      if (failure !== undefined) return say({ type: 'killed', failure });
    }
  }
  return say({ type: 'survived' });
};

obey((order: Order) => {
  // What properties are tried with is the same every time.
  fc.configureGlobal({ seed: order.seed });
  standInForUvu();
  return order.type === 'measure' ? measure(order.file, order.hearts) : attempt(order);
});
