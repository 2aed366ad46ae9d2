/**
 * `make bench-vrrp`: keepalived and hapair side by side: takeovers, false takeovers, removed VIPs, processor time. Prints what
 * it does and the tables; writes `.out/bench-vrrp.md` and every figure as `.out/bench-vrrp.json`. Exits 0 when everything was
 * measured, whatever the figures. It runs in namespaces of its own; as root these have the machine's real-time scheduling.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../../demo/timeline.ts';
import { findDebianPrograms, RECIPE_PROGRAMS } from '../../setup/debian.ts';
import { checkUserNamespaces } from '../../setup/namespaces.ts';
import { markdownTable, verdictTable } from '../common/tables.ts';
import { startCapture } from './capture.ts';
import { PROGRAMS, type ProgramName, TIMINGS } from './contender.ts';
import { runElections } from './elections.ts';
import { createHapair } from './hapair.ts';
import { createKeepalived } from './keepalived.ts';
import type { Failure, Removal, Takeover, Watch } from './measure.ts';
import type { Harness } from './pair.ts';
import { notes, removalTable, takeoverTable, verdicts, watchTable } from './report.ts';
import { runRestorations } from './restore.ts';
import { buildSites, siteOf } from './sites.ts';
import { LOOPS_PER_PROCESSOR, runWindows } from './windows.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const OUT = join(ROOT, '.out');
const USAGE = `usage: node hack/bench/vrrp/main.ts [flags]
  --quick             a trial: one round, windows of 20 s (for the flags below that are not given)
  --only PHASES       of takeovers,restore,windows (default: all)
  --timings NAMES     of ${TIMINGS.map(({ name }) => name).join(',')}, for the takeovers (default: all)
  --rounds N          takeovers of each pair and kind (default: 6 at 1 s, 10 below; quick: 1)
  --pairs N           pairs of each program at once (default: 6)
  --window SECONDS    each of the two windows (default: 600; quick: 20)
  --restore SECONDS   how long a removed VIP is waited for (default: 10; quick: 3)
  --no-realtime       neither program asks for real-time scheduling
  --dir DIR           configurations and logs, emptied first (default: .lab/bench-vrrp)`;

const PHASES = ['takeovers', 'restore', 'windows'] as const;
type Phase = (typeof PHASES)[number];

type Options = {
  only: readonly Phase[];
  timings: readonly (typeof TIMINGS)[number][];
  /** By interval: fast timings are cheap, so they get more. */
  rounds: (intervalMs: number) => number;
  removals: number;
  pairsEach: number;
  windowSeconds: number;
  restoreMs: number;
  realtime: boolean;
  dir: string;
};

/** In a world, the program that elects on keepalived's side; outside, undefined. */
const WORLD = 'HAPAIR_BENCH_WORLD';
const WORLD_ARGUMENTS = '--net --mount --mount-proc --pid --fork --kill-child'.split(' ');
/** PID 1 of the world collects every orphan (dash's `wait` does) and ends when the benchmark does. */
const WORLD_INIT = '"$@" & wait "$!"';

const VRRP_PROGRAMS = RECIPE_PROGRAMS.filter(({ name }) => name === 'keepalived');

/** @throws Error for a person to read. */
const readOptions = (args: string[]): Options => {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { ...text, default: PHASES.join(',') },
      timings: { ...text, default: TIMINGS.map(({ name }) => name).join(',') },
      rounds: text,
      pairs: { ...text, default: '6' },
      window: text,
      restore: text,
      'no-realtime': { type: 'boolean', default: false },
      dir: { ...text, default: join(ROOT, '.lab', 'bench-vrrp') },
    },
  });
  const { quick } = values;
  const rounds = values.rounds ?? (quick ? '1' : undefined);
  const fixed = rounds === undefined ? undefined : wholeNumber(rounds, '--rounds');
  return {
    only: chosen(values.only, PHASES, (phase) => phase, '--only'),
    timings: chosen(values.timings, TIMINGS, ({ name }) => name, '--timings'),
    rounds: (intervalMs) => fixed ?? (intervalMs >= 1000 ? 6 : 10),
    removals: fixed ?? 6,
    pairsEach: wholeNumber(values.pairs, '--pairs'),
    windowSeconds: wholeNumber(values.window ?? (quick ? '20' : '600'), '--window'),
    restoreMs: 1000 * wholeNumber(values.restore ?? (quick ? '3' : '10'), '--restore'),
    realtime: !values['no-realtime'],
    dir: values.dir,
  };
};

const wholeNumber = (value: string, flag: string): number => {
  if (!/^[1-9]\d{0,4}$/.test(value)) throw new Error(`${flag} is a whole number above 0, not ${value}.`);
  return Number(value);
};

const chosen = <T>(value: string, all: readonly T[], nameOf: (one: T) => string, flag: string): T[] => {
  const words = value.split(',');
  const found = all.filter((one) => words.includes(nameOf(one)));
  if (found.length !== words.length) throw new Error(`${flag} takes ${all.map(nameOf)}, not ${value}.`);
  return found;
};

const startMs = performance.now();
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (line: string): void =>
  say(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);

/** Runs this file again in a world of its own. @returns its exit code. */
const enterWorld = async (args: string[]): Promise<number> => {
  const { keepalived } = await findDebianPrograms(VRRP_PROGRAMS);
  // Without root the namespaces must be those of a user that is root in them alone; then nothing has real-time scheduling.
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) await checkUserNamespaces();
  const user = isRoot ? [] : ['--user', '--map-root-user'];
  const again = ['sh', '-c', WORLD_INIT, 'world', process.execPath, import.meta.filename, ...args];
  const world = spawn('unshare', [...user, ...WORLD_ARGUMENTS, '--', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [WORLD]: keepalived },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void world.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    world.once('error', reject);
    world.once('close', (code) => resolve(code ?? 1));
  });
};

type Results = {
  takeovers: Takeover[];
  failures: Failure[];
  removals: Removal[];
  watches: Watch[];
  realtime: Record<ProgramName, boolean> | null;
};

const measure = async (harness: Harness, options: Options): Promise<Results> => {
  const { only, timings, rounds, pairsEach, removals, restoreMs, windowSeconds } = options;
  const results: Results = { takeovers: [], failures: [], removals: [], watches: [], realtime: null };
  for (const timing of only.includes('takeovers') ? timings : []) {
    progress(`takeovers at ${timing.name}: ${pairsEach} pairs of each program`);
    const terms = { rounds: rounds(timing.advertisementIntervalMs), pairsEach };
    const { takeovers, failures } = await runElections(harness, timing, terms);
    results.takeovers.push(...takeovers);
    results.failures.push(...failures);
    say(`\n${formatTable(takeoverTable(takeovers))}\n`);
  }
  if (only.includes('restore')) {
    progress(`removed VIPs: ${pairsEach} pairs of each program`);
    results.removals = await runRestorations(harness, { removals, pairsEach, windowMs: restoreMs });
  }
  if (only.includes('windows')) Object.assign(results, await runWindows(harness, windowSeconds));
  return results;
};

const report = (options: Options, harness: Harness, results: Results): void => {
  const { windowSeconds, restoreMs } = options;
  const { takeovers, removals, watches, failures, realtime } = results;
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  const versions = harness.contenders.map(({ version }) => version);
  const machine = `${cpus().length} processors (${cpus()[0]?.model ?? 'unknown'}), Linux ${release()}`;
  const head = `${versions.join(' and ')} in one run of ${minutes} minutes on ${machine}.`;
  const tables = [
    takeoverTable(takeovers),
    removalTable(removals, restoreMs),
    watchTable(watches),
    verdictTable(verdicts(results)),
  ].filter(({ length }) => length > 1);
  const told = notes({ realtime, loops: LOOPS_PER_PROCESSOR, windowSeconds });
  const lost = failures.map(
    ({ program, timing, what, error }) => `NOT MEASURED: ${program} at ${timing}, ${what}: ${error}`,
  );
  say(`\n${[head, ...tables.map(formatTable), told.join('\n'), ...lost].join('\n\n')}`);
  const list = told.map((note) => `- ${note}`).join('\n');
  const markdown = ['# VRRP: keepalived and hapair', head, ...tables.map(markdownTable), list, ...lost];
  mkdirSync(OUT, { recursive: true });
  writeFileSync(join(OUT, 'bench-vrrp.md'), `${markdown.join('\n\n')}\n`);
  writeFileSync(join(OUT, 'bench-vrrp.json'), `${JSON.stringify({ head, results }, undefined, 1)}\n`);
  say('\nAlso in .out/bench-vrrp.md; every figure in .out/bench-vrrp.json.');
};

const bench = async (options: Options, keepalived: string): Promise<boolean> => {
  const { dir, pairsEach, realtime } = options;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  const count = PROGRAMS.length * Math.max(pairsEach, TIMINGS.length);
  const sites = Array.from({ length: count }, (_, index) => siteOf(index + 1));
  await buildSites(sites);
  const contenders = [await createKeepalived(keepalived, dir), createHapair(dir)];
  const capture = await startCapture(sites);
  const harness: Harness = { contenders, sites, capture, realtime, progress };
  const results = await measure(harness, options);
  report(options, harness, results);
  if (capture.dropped() > 0) say(`The tap lost ${capture.dropped()} packets: the figures are worth nothing.`);
  return results.failures.length === 0 && capture.dropped() === 0;
};

try {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(USAGE);
    process.exit(0);
  }
  const options = readOptions(args);
  const keepalived = process.env[WORLD];
  if (keepalived === undefined) process.exitCode = await enterWorld(args);
  else process.exit((await bench(options, keepalived)) ? 0 : 1);
} catch (error) {
  say(`The benchmark failed: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exit(1);
}
