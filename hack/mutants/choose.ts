/** Which tests are run for a fault, and in which order. */
import { basename, dirname } from 'node:path';
import type { Plant } from '../plant/plant.ts';
import { isSimulation } from './hearts.ts';
import type { Chosen, Measured } from './orders.ts';
import { reaches } from './reach.ts';

const stem = (file: string): string => basename(file).replace(/(\.test)?\.ts$/, '');

/** How far a file of tests is from the file with the fault: its own, its folder's, others', the simulation's. */
export const distance = (test: string, file: string): number => {
  if (isSimulation(test)) return 3;
  if (dirname(test) !== dirname(file)) return 2;
  return stem(test) === stem(file) ? 0 : 1;
};

/** The tests that reach it: the nearest files first, of these the quickest, and in a file the quickest test. */
export const choose = (fault: Plant, all: ReadonlyMap<string, Measured>): Chosen[] => {
  const { file, start } = fault;
  const chosen = [...all].flatMap(([test, { load, loadMs, tests }]) => {
    const isLoaded = reaches(load, file, start);
    const found = tests
      .map(({ ms, reach }, index) => ({ index, ms, isReached: isLoaded || reaches(reach, file, start) }))
      .filter(({ isReached }) => isReached)
      .sort((a, b) => a.ms - b.ms);
    const ms = loadMs + found.reduce((sum, each) => sum + each.ms, 0);
    return found.length === 0 ? [] : [{ file: test, tests: found.map(({ index }) => index), ms }];
  });
  return chosen
    .sort((a, b) => distance(a.file, file) - distance(b.file, file) || a.ms - b.ms)
    .map(({ file: test, tests }) => ({ file: test, tests }));
};
