/** What is said between the program and its processes of tests. */
import { join } from 'node:path';
import type { Plant } from '../plant/plant.ts';
import type { Reach } from './reach.ts';

/** The program that carries them out. */
export const PROGRAM = join(import.meta.dirname, 'child.ts');

/** The tests of a file, by their index in it, in the order in which they are run. */
export type Chosen = { file: string; tests: readonly number[] };

export type Order = { seed: number } & (
  | { type: 'measure'; file: string; hearts: readonly string[] }
  | { type: 'attempt'; fault: Plant; files: readonly Chosen[] }
);

/** A test as it is without a fault; `ms` of processor time. */
export type MeasuredTest = { name: string; ms: number; reach: Reach };

/** A file of tests as it is without a fault; `load`: what its import alone reaches, `loadMs` the processor time of that. */
export type Measured = {
  loadMs: number;
  load: Reach;
  tests: readonly MeasuredTest[];
  /** Every file of the repository that it loaded. */
  loaded: readonly string[];
};

export type Word =
  | ({ type: 'measured' } & Measured)
  | { type: 'red'; test: string; failure: string }
  /** Without `index`: the import of the file. */
  | { type: 'begins'; file: string; index?: number }
  | { type: 'killed'; failure: string }
  | { type: 'survived' };
