/**
 * `make bench-operator`: the real operator against the real API server and the lab's EC2, with 100, 1,000 and 10,000 pairs on
 * 200 simulated agents. Writes `.out/bench-operator.md` and `.out/bench-operator.json`. Every machine has other figures: what
 * shares its processors with the operator here (etcd, API server, EC2, load generator) would not elsewhere.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nowMs } from '../../lab/clock.ts';
import { Agents } from './agents.ts';
import { followCalls } from './calls.ts';
import { converge } from './converge.ts';
import { failOverOneByOne } from './failovers.ts';
import { fleetOf, NODES } from './fleet.ts';
import { type Harness, openHarness, SYSTEM } from './harness.ts';
import { failOverAtOnce } from './mass-failure.ts';
import { messagesOf, tally, usageOf } from './measure.ts';
import { watchPairs } from './pair-watch.ts';
import { connectProfiler, type Profiler } from './profiler.ts';
import { formatRun, formatRuns, type Run } from './report.ts';
import { rest } from './rest.ts';
import { type Scene, settle } from './scene.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const OUT = join(ROOT, '.out');
const USAGE = `usage: node hack/bench/operator/main.ts [flags]
  --pairs N[,N…]      sizes of the fleet (default: 100,1000,10000)
  --nodes N           instances, an even number; pairs share them, two each (default: ${NODES})
  --samples N         failovers one by one (default: 100)
  --spacing MS        mean time between two of them (default: 700)
  --at-once N         pairs that fail at once (default: 1000, at most all)
  --rest SECONDS      how long nothing happens (default: 90)
  --profile           writes a processor profile of each phase, .out/operator-<pairs>-<phase>.cpuprofile
  --dir DIR           state and logs, emptied first (default: .lab/bench-operator)`;

const fail = (message: string): never => {
  process.stderr.write(`bench-operator: ${message}\n${USAGE}\n`);
  process.exit(2);
};

const readFlags = () => {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      options: {
        pairs: { ...text, default: '100,1000,10000' },
        nodes: { ...text, default: String(NODES) },
        samples: { ...text, default: '100' },
        spacing: { ...text, default: '700' },
        'at-once': { ...text, default: '1000' },
        rest: { ...text, default: '90' },
        profile: { type: 'boolean', default: false },
        dir: { ...text, default: join(ROOT, '.lab', 'bench-operator') },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
};

const numberOf = (value: string, flag: string): number =>
  /^[1-9]\d*$/.test(value) ? Number(value) : fail(`--${flag} is a whole number above 0, not ${value}`);

const flags = readFlags();
const sizes = flags.pairs.split(',').map((each) => numberOf(each, 'pairs'));
const nodes = numberOf(flags.nodes, 'nodes');
if (nodes % 2 !== 0) fail(`--nodes is an even number, not ${nodes}`);
const samples = numberOf(flags.samples, 'samples');
const spacingMs = numberOf(flags.spacing, 'spacing');
const atOnce = numberOf(flags['at-once'], 'at-once');
const restSeconds = numberOf(flags.rest, 'rest');

const startMs = nowMs();
const say = (line: string): void =>
  void process.stdout.write(`${((nowMs() - startMs) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

/** Runs a phase under the profiler, if there is one. */
const profiled = async <T>(
  profiler: Profiler | undefined,
  name: string,
  phase: () => Promise<T>,
): Promise<T> => {
  await profiler?.start();
  try {
    return await phase();
  } finally {
    await profiler?.stop(join(OUT, `operator-${name}.cpuprofile`));
  }
};

const measure = async (harness: Harness, size: number, fleet: ReturnType<typeof fleetOf>): Promise<Run> => {
  let errors = 0;
  let isOver = false;
  const agents = new Agents({
    api: harness.agents,
    fleet,
    tokens: harness.tokens,
    leaseNamespace: SYSTEM,
    onError: (error) => {
      if (isOver) return;
      errors += 1;
      if (errors <= 5) say(`an agent's call failed: ${error.message}`);
    },
  });
  agents.start();
  const calls = followCalls(harness, (vip, networkInterfaceID) => agents.delivered(vip, networkInterfaceID));
  try {
    const operator = await harness.startOperator({ inspect: flags.profile });
    say(`the operator runs (pid ${operator.pid})`);
    const profiler =
      operator.inspectorURL === undefined ? undefined : await connectProfiler(operator.inspectorURL);
    const scene: Scene = { harness, fleet, operator, agents, pairs: watchPairs(harness), calls, onLog: say };
    const idle = usageOf(operator.pid);
    const convergence = await profiled(profiler, `${size}-converge`, () => converge(scene));
    say(`all ${size} pairs are Ready after ${convergence.convergedSeconds.toFixed(1)} s`);
    await settle(scene);
    say(`at rest for ${restSeconds} s`);
    const quiet = await profiled(profiler, `${size}-rest`, () => rest(scene, restSeconds));
    say(`${samples} failovers one by one`);
    const oneByOne = await profiled(profiler, `${size}-failovers`, () =>
      failOverOneByOne(scene, samples, spacingMs),
    );
    say(
      `report to EC2 call: p50 ${oneByOne.sentToCall.p50.toFixed(1)} ms, p99 ${oneByOne.sentToCall.p99.toFixed(1)} ms`,
    );
    const mass = await profiled(profiler, `${size}-at-once`, () => failOverAtOnce(scene, atOnce));
    say(`${mass.pairs} pairs at once: the last call after ${mass.lastCallSeconds.toFixed(1)} s`);
    const heapMB = profiler && (await profiler.heapBytes()) / 2 ** 20;
    profiler?.close();
    await operator.stop();
    return {
      pairs: size,
      instances: fleet.vpc.instances.length,
      startMs: operator.startMs,
      idleRSSMB: idle.rssMB,
      ...(heapMB !== undefined && { heapMB }),
      convergence,
      rest: quiet,
      oneByOne,
      mass,
      agentErrors: errors,
      operatorLog: tally(await messagesOf(operator.logFile)),
    };
  } finally {
    isOver = true;
    calls.stop();
    agents.stop();
  }
};

const runs: Run[] = [];
mkdirSync(OUT, { recursive: true });
try {
  for (const size of sizes) {
    say(`== ${size} pairs`);
    const fleet = fleetOf(size, nodes);
    const harness = await openHarness({ dir: flags.dir, fleet, onLog: say });
    try {
      const run = await measure(harness, size, fleet);
      runs.push(run);
      say(`done\n\n${formatRun(run)}\n`);
    } finally {
      await harness.down();
    }
    const machine = `${cpus().length} processors (${cpus()[0]?.model ?? 'unknown'}), shared with etcd, API server, EC2 and load`;
    writeFileSync(join(OUT, 'bench-operator.json'), JSON.stringify({ machine, runs }, undefined, 2));
    writeFileSync(join(OUT, 'bench-operator.md'), formatRuns(machine, runs));
  }
  say('Written: .out/bench-operator.md, .out/bench-operator.json');
  process.exit(0);
} catch (error) {
  say(`The benchmark failed: ${error instanceof Error ? error.message : String(error)}`);
  say(`Logs: ${flags.dir}`);
  process.exit(1);
}
