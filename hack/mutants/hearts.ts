/** Where faults are planted, and which tests may find them. The folders are named here and nowhere else. */
import { globSync } from 'node:fs';
import { ROOT } from '../plant/plant.ts';

/** The files whose faults would cost most: what decides, without doing. */
const HEARTS = [
  'agent/vrrp/**/*.ts',
  'agent/rules/**/*.ts',
  'delivery/**/*.ts',
  'operator/plan.ts',
  'operator/plan/**/*.ts',
  'kube/**/watch-machine.ts',
  'kube/**/queue.ts',
  'kube/**/elector-machine.ts',
];

/** Tests, what only tests use, and datagrams that warm a worker up: they decide nothing. */
const AIDS = ['**/*.test.ts', '**/testing/**', 'agent/vrrp/datagrams.ts'];

/** Tests that need neither a lab nor a control plane. */
const TESTS = ['{agent,crds,delivery,ec2,kube,operator,runtime}/**/*.test.ts', 'sim/*.test.ts'];

/** Whole lives of the system: they reach nearly everything, and are the last to be asked. */
const SIMULATION = /^sim\//;

const found = (patterns: readonly string[], exclude: readonly string[] = []): string[] =>
  globSync([...patterns], { cwd: ROOT, exclude: [...exclude] }).sort();

export const heartFiles = (): string[] => found(HEARTS, AIDS);

export const testFiles = (): string[] => found(TESTS);

export const isSimulation = (file: string): boolean => SIMULATION.test(file);
