/**
 * `node hack/test.ts [unit | sim | FILE…]`: the test stages in order, each a process of its own with a deadline; without
 * arguments all of them. The last line counts: `N passed, N failed`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { judge, type Result } from './judge.ts';
import { findKubeBinaries } from './kube/binaries.ts';
import { ensureTools } from './setup/tools.ts';

type Stage = { name: string; uvuArgs: readonly string[]; deadlineMs: number };

const ROOT = join(import.meta.dirname, '..');
const UVU = join(ROOT, 'node_modules', 'uvu', 'bin.js');
const MINUTE_MS = 60_000;
const TEST_FILE = String.raw`\.test\.ts$`;

const unitStage: Stage = {
  name: 'unit',
  uvuArgs: ['.', TEST_FILE, '--ignore', '^(test|sim)/', '--ignore', String.raw`^\.(lab|out)`],
  deadlineMs: 5 * MINUTE_MS,
};

/** The whole system in virtual time: every trace by name, and random schedules. */
const simStage: Stage = { name: 'sim', uvuArgs: ['sim', TEST_FILE], deadlineMs: 10 * MINUTE_MS };

const fileStage = (file: string): Stage => ({
  name: file,
  uvuArgs: [dirname(file), `^${basename(file).replaceAll('.', String.raw`\.`)}$`],
  deadlineMs: (dirname(file) === 'test/e2e' ? 15 : 10) * MINUTE_MS,
});

/** By the word that asks for them; they need no control plane and no lab. */
const QUICK_STAGES: Record<string, Stage> = { unit: unitStage, sim: simStage };

const testFiles = (dir: string): string[] =>
  readdirSync(join(ROOT, dir), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(dir, entry.name))
    .sort();

/** The order of the whole: what is quick and closest to the fault first. */
const allStages = (): Stage[] => [
  unitStage,
  simStage,
  ...testFiles('test').map(fileStage),
  ...testFiles('test/e2e').map(fileStage),
];

let running: ChildProcess | undefined;

/** A group of its own: what a test left running ends with it. */
const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: the group is empty already.
  }
};

const runStage = (stage: Stage): Promise<Result> =>
  new Promise((resolve) => {
    console.log(`\n=== ${stage.name}`);
    const child = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'KILL',
        process.execPath,
        UVU,
        ...stage.uvuArgs,
        process.stdout.isTTY === true ? '--color' : '--no-color',
      ],
      { cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    running = child;
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      output += chunk.toString('utf8');
    });
    let problem: string | undefined;
    const deadline = setTimeout(() => {
      problem = `it did not end within ${stage.deadlineMs / MINUTE_MS} minutes`;
      killGroup(child);
    }, stage.deadlineMs);
    child.on('error', (error) => {
      problem = error.message;
    });
    // `close` comes after `exit` and the last output, also when the program could not be started.
    child.on('exit', () => killGroup(child));
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      running = undefined;
      const ending = code === 0 ? undefined : `it ended with ${signal ?? `exit code ${code}`}`;
      resolve(judge(output, problem ?? ending));
    });
  });

const stagesFor = (args: readonly string[]): Stage[] =>
  args.length === 0 ? allStages() : args.map((arg) => QUICK_STAGES[arg] ?? fileStage(arg));

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (running !== undefined) killGroup(running);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

/** Minutes when the control plane must be built: no test's deadline should have to cover that. */
const prepare = async (): Promise<void> => {
  await ensureTools();
  await findKubeBinaries();
};

let prepared: Promise<void> | undefined;
const results: { stage: Stage; result: Result; seconds: number }[] = [];
for (const stage of stagesFor(process.argv.slice(2))) {
  if (!(stage.name in QUICK_STAGES)) {
    prepared ??= prepare();
    // The stages that need what is missing fail one by one and say so; the others still run.
    await prepared.catch((error: Error) => console.error(`hapair: ${error.message}`));
  }
  const startedAt = performance.now();
  const result = await runStage(stage);
  if (result.failed > 0) console.log(`!!! ${stage.name} failed${result.reason ? `: ${result.reason}` : ''}`);
  results.push({ stage, result, seconds: (performance.now() - startedAt) / 1000 });
}

console.log('\n=== all stages');
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const { stage, result, seconds } of results) {
  for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += result[key];
  console.log(
    `${String(result.passed).padStart(6)} passed ${String(result.failed).padStart(4)} failed  ${seconds.toFixed(1).padStart(6)} s  ${stage.name}`,
  );
}
if (sum.skipped > 0) console.log(`${sum.skipped} skipped`);
console.log(`\n${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed === 0 ? 0 : 1;
