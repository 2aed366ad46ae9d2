/**
 * `node hack/model.ts [ARGUMENT…]`: builds the explicit-state model of docs/design/TAKEOVER.md and visits every state that it
 * can reach. Without arguments the runs below, with `FAULTS` faults each (default 2); with arguments one run with exactly these,
 * of which `-D…` goes to the compiler: `-DNO_OFFER 3 q`. The last line counts; exit code 1: something is violated.
 */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { COMPILER, findDebianPrograms } from './setup/debian.ts';
import { run, which } from './setup/run.ts';

const ROOT = join(import.meta.dirname, '..');
const SOURCE = join(ROOT, 'sim', 'model', 'takeover-model.cpp');
const BINARIES = join(ROOT, '.out', 'model');

const BUILD_MS = 5 * 60_000;
/** Three faults take minutes; what people ask for beyond that may take hours. */
const RUN_MS = 4 * 3_600_000;

/** One search: what it is compiled with, and its arguments. */
type Run = { defines: readonly string[]; args: readonly string[] };

/** Seconds with two faults: every kind of fault, both nodes as the first holder, an act of a person, the rules without takeover, no Kubernetes at all. */
const usualRuns = (faults: string): Run[] => [
  ...['', 'start2', 'imp', 'oprefused', 'restore', 'restorelive'].map((flag) => ({
    defines: [],
    args: [faults, ...(flag === '' ? [] : [flag])],
  })),
  { defines: [], args: ['1', '1'] },
  // The base rules: the operator alone calls, and asks for no echo.
  { defines: ['-DNO_ASK'], args: [faults, 'never', 'blip', 'poison'] },
  { defines: ['-DNO_ASK'], args: ['1', '1', 'never', 'blip', 'poison', 'nopause', 'nodelete'] },
  ...[[], ['boot']].map((flags) => ({ defines: ['-DSTANDALONE'], args: [faults, ...flags] })),
];

const runsFor = (args: readonly string[], faults: string): Run[] =>
  args.length === 0
    ? usualRuns(faults)
    : [
        {
          defines: args.filter((arg) => arg.startsWith('-D')),
          args: args.filter((arg) => !arg.startsWith('-D')),
        },
      ];

/** @throws Error when there is no compiler and this user cannot install one: unpacked into the cache it would find neither its headers nor its linker */
const findCompiler = async (): Promise<string> => {
  if (which('g++') === undefined && process.getuid?.() !== 0) {
    throw new Error(
      'g++ is missing, and only root can install it (Debian: apt-get install g++). Install it and try again.',
    );
  }
  return (await findDebianPrograms(COMPILER))['g++'];
};

const build = async (compiler: string, defines: readonly string[]): Promise<string> => {
  const binary = join(BINARIES, ['takeover', ...defines].join(''));
  await mkdir(BINARIES, { recursive: true });
  await run(compiler, ['-O2', '-std=c++17', ...defines, SOURCE, '-o', binary], { timeoutMs: BUILD_MS });
  return binary;
};

/** Whether nothing is violated; the search itself says what is. */
const search = (binary: string, args: readonly string[]): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const child = spawn(binary, args, { stdio: 'inherit', timeout: RUN_MS, killSignal: 'SIGKILL' });
    child.on('error', reject);
    child.on('close', (code) => resolve(code === 0));
  });

try {
  const runs = runsFor(process.argv.slice(2), process.env.FAULTS || '2');
  const compiler = await findCompiler();
  const binaries = new Map<string, string>();
  const failed: string[] = [];
  for (const { defines, args } of runs) {
    const key = defines.join(' ');
    const binary = binaries.get(key) ?? (await build(compiler, defines));
    binaries.set(key, binary);
    const name = [...defines, ...args].join(' ');
    console.log(`\n=== ${name}`);
    if (!(await search(binary, args))) failed.push(name);
  }
  const verdict =
    failed.length === 0 ? 'nothing is violated' : `violated or undecided in: ${failed.join('; ')}`;
  console.log(`\nmodel: ${verdict}\n${runs.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length === 0 ? 0 : 1;
} catch (error) {
  console.error(`hapair: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
