/**
 * `make bench-failover`: the recipe that hapair replaces and hapair, side by side in one lab. Prints what it does and the
 * tables; writes `.out/bench-failover.md` and every run as `.out/bench-failover.json`. Exits 0 when every run was measured.
 *
 *     node hack/bench/failover/main.ts [--runs N] [--only crash,stop,failback,flap,boot] [--window SECONDS]
 *         [--aws FILE] [--dir DIR]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../../demo/timeline.ts';
import { markdownTable, verdictTable } from '../common/tables.ts';
import { type Contender, SCENARIOS, type Scenario } from './contender.ts';
import { createHAPair } from './hapair.ts';
import { type Harness, openHarness } from './harness.ts';
import { isFailed, isSwitch, type RunRecord } from './measure.ts';
import { findRecipeTools, Recipe } from './recipe.ts';
import { notes, switchTable, verdicts, watchTable } from './report.ts';
import { runOne } from './run.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const OUT = join(ROOT, '.out');

/** So many runs that told nothing, and the rest would only wait for what does not come. */
const MOST_FAILURES = 5;

type Options = {
  /** Of each timed scenario; the others run twice as often. */
  runs: number;
  only: readonly Scenario[];
  windowMs: number;
  /** The recipe's `aws` command, when it is not the distribution's. */
  aws?: string;
  dir: string;
};

/** @throws Error for a person to read. */
const readOptions = (args: string[]): Options => {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: 'string', default: '10' },
      only: { type: 'string', default: SCENARIOS.join(',') },
      window: { type: 'string', default: '15' },
      aws: { type: 'string' },
      dir: { type: 'string', default: join(ROOT, '.lab', 'bench-failover') },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs is a whole number, not ${values.runs}.`);
  const seconds = Number(values.window);
  if (!(seconds >= 10)) throw new Error(`--window is at least 10 seconds, not ${values.window}.`);
  const words = values.only.split(',');
  const only = SCENARIOS.filter((scenario) => words.includes(scenario));
  if (only.length !== words.length)
    throw new Error(`--only takes ${SCENARIOS.join(', ')}, not ${values.only}.`);
  const { dir, aws } = values;
  return { runs, only, windowMs: seconds * 1000, dir, ...(aws !== undefined && { aws }) };
};

const startMs = performance.now();
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (line: string): void =>
  say(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);

const tell = (record: RunRecord): void => {
  const who = `${record.scenario} ${record.run} ${record.contender}`;
  if (isFailed(record)) {
    progress(`${who}: NOT MEASURED: ${record.error}`);
    return;
  }
  const seconds = (ms: number): string => (ms / 1000).toFixed(2);
  const figures = isSwitch(record)
    ? `LAN out ${seconds(record.lanOutageMs)} s, WAN out ${seconds(record.wanOutageMs)} s, after detection ${seconds(record.afterMs)} s`
    : `second node Master for ${record.secondMasterMs.toFixed(1)} ms, VIP not with the Master for ${seconds(record.wrongMs)} s`;
  const { masters, delivery, isWrong } = record.end;
  const end = `Master ${masters.join(' and ') || 'nobody'}, VIP ${delivery.vip ?? 'nowhere'}, EIP ${delivery.publicIP ?? 'nowhere'}`;
  progress(`${who}: ${figures}, ${record.calls.length} EC2 calls; ${end}${isWrong ? ': WRONG' : ''}`);
};

/** Lets deeds happen one at a time, in the order in which they were asked for. */
const oneAtATime = (): (<T>(deed: () => Promise<T>) => Promise<T>) => {
  let queue: Promise<unknown> = Promise.resolve();
  return (deed) => {
    const done = queue.then(deed);
    queue = done.catch(() => undefined); // its own caller sees the error
    return done;
  };
};

/** The timed runs alternate, one at a time; in the others both are watched at once. */
const compare = async (harness: Harness, contenders: Contender[], options: Options): Promise<RunRecord[]> => {
  const { runs, only, windowMs } = options;
  const exclusive = oneAtATime();
  const records: RunRecord[] = [];
  const keep = (record: RunRecord): void => {
    records.push(record);
    tell(record);
    if (records.filter(isFailed).length >= MOST_FAILURES) throw new GaveUp(records);
  };
  const timed = only.filter((scenario) => scenario !== 'flap' && scenario !== 'boot');
  for (let run = 1; run <= runs; run += 1) {
    for (const scenario of timed) {
      for (const contender of contenders)
        keep(await runOne(harness, { contender, scenario, run }, windowMs, exclusive));
    }
  }
  for (const scenario of only.filter((one) => one === 'flap' || one === 'boot')) {
    for (let run = 1; run <= 2 * runs; run += 1) {
      const both = contenders.map((contender) =>
        runOne(harness, { contender, scenario, run }, windowMs, exclusive),
      );
      for (const record of await Promise.all(both)) keep(record);
    }
  }
  return records;
};

/** Too many runs told nothing; what was measured is kept. */
class GaveUp extends Error {
  readonly records: RunRecord[];
  constructor(records: RunRecord[]) {
    super(`${MOST_FAILURES} runs could not be measured; the rest was not tried.`);
    this.records = records;
  }
}

const bench = async (
  options: Options,
  versions: string,
  harness: Harness,
  contenders: Contender[],
): Promise<boolean> => {
  for (const contender of contenders) {
    await contender.start();
    progress(`${contender.name} serves`);
  }
  const records = await compare(harness, contenders, options).catch((error: Error) => {
    if (!(error instanceof GaveUp)) throw error;
    say(error.message);
    return error.records;
  });
  report(options, versions, records);
  return !records.some(isFailed);
};

const report = ({ windowMs }: Options, versions: string, records: RunRecord[]): void => {
  const tables = [switchTable(records), watchTable(records), verdictTable(verdicts(records))].filter(
    ({ length }) => length > 1,
  );
  const failed = records
    .filter(isFailed)
    .map(({ scenario, run, contender, error }) => `NOT MEASURED: ${scenario} ${run} ${contender}: ${error}`);
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  const head = `The recipe (${versions}, bash) and hapair in one lab, ${records.length} runs in ${minutes} minutes.`;
  const told = notes(windowMs);
  say(`\n${[head, ...tables.map(formatTable), told.join('\n'), ...failed].join('\n\n')}`);
  const list = told.map((note) => `- ${note}`).join('\n');
  const markdown = ['# Failover: the recipe and hapair', head, ...tables.map(markdownTable), list, ...failed];
  mkdirSync(OUT, { recursive: true });
  writeFileSync(join(OUT, 'bench-failover.md'), `${markdown.join('\n\n')}\n`);
  writeFileSync(join(OUT, 'bench-failover.json'), `${JSON.stringify({ versions, records }, undefined, 1)}\n`);
  say(`\nAlso in .out/bench-failover.md; every run in .out/bench-failover.json.`);
};

const main = async (options: Options): Promise<boolean> => {
  const tools = await findRecipeTools(options.aws);
  const harness = await openHarness(options.dir, progress);
  try {
    const contenders = [new Recipe(harness, tools), await createHAPair(harness)];
    return await bench(options, tools.versions, harness, contenders);
  } finally {
    await harness.lab.down();
    progress('everything of it is gone again');
  }
};

try {
  const options = readOptions(process.argv.slice(2));
  const isMeasured = await main(options).catch((error: Error) => {
    throw new Error(`${error.message}\nLogs: ${relative(process.cwd(), options.dir)}`);
  });
  process.exit(isMeasured ? 0 : 1);
} catch (error) {
  say(`\nThe benchmark failed: ${(error as Error).message}`);
  process.exit(1);
}
