/**
 * What the bundled agent takes of its node: resident memory and its growth, processor time. In the lab, with the real API
 * server, as Master and as Backup of one pair and of fifty.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { API_GROUP_VERSION } from '../../../crds/types.ts';
import { bundleAgent } from '../../build/bundle.ts';
import { formatTable } from '../../demo/timeline.ts';
import type { LabNode } from '../../lab/handles.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { installProduct } from '../../lab/product.ts';
import type { LabVPC } from '../../lab/types.ts';
import { STANDARD_VPC } from '../../lab/vpc.ts';
import { type Footprint, footprintOf, type Parts, partsOf, type Sample, sampleOf } from './footprint.ts';

/** One agent, measured. */
export type Measured = {
  pairs: number;
  intervalMs: number;
  /** `Master` of all pairs, or `Backup`. */
  role: 'Master' | 'Backup';
  footprint: Footprint;
  parts: Parts;
  /** What it was made of, for whoever draws it. */
  samples: Sample[];
};

/** How an agent is measured. */
export type MemoryOptions = {
  /** Emptied first. */
  dir: string;
  /** Pairs on the two nodes; 1 to 100. */
  pairs: number;
  intervalMs: number;
  /** How long it is watched, in seconds, after it has settled. */
  seconds: number;
  onLog?: (line: string) => void;
};

const SAMPLE_MS = 5_000;
/** Caches fill and code is compiled before memory says anything. */
const SETTLE_MS = 30_000;
const READY_SECONDS = 120;
const NAMESPACE = 'prod';

/** No ENI of AWS holds so many addresses as fifty pairs need. */
const ROOMY_VPC: LabVPC = {
  ...STANDARD_VPC,
  instances: STANDARD_VPC.instances.map((instance) => ({ ...instance, instanceType: 'lab.unlimited' })),
};

const pairOf = (index: number, intervalMs: number): object => ({
  apiVersion: API_GROUP_VERSION,
  kind: 'HAPair',
  metadata: { name: `pair-${index}`, namespace: NAMESPACE },
  spec: {
    nodes: ROOMY_VPC.instances.map(({ name, address, networkInterfaceID }) => ({
      ...{ name, address, networkInterfaceID, interface: 'eth0' },
    })),
    addresses: [{ name: 'main', vip: `10.10.10.${101 + index}` }],
    preferredNode: 'node1',
    vrrp: { version: 3, virtualRouterID: 1 + index, advertisementIntervalMilliseconds: intervalMs },
  },
});

/**
 * Measures the agents of both nodes, with node1 Master of all pairs.
 * @throws Error when the pairs do not get Ready, or an agent ends.
 */
const measureMemory = async (options: MemoryOptions): Promise<Measured[]> => {
  const { dir, pairs, intervalMs, seconds, onLog = () => undefined } = options;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const agentProgram = await bundleAgent(join(dir, 'agent'));
  const lab = await startLab({
    dir: join(dir, 'world'),
    profile: 'instant',
    kube: true,
    vpc: ROOMY_VPC,
    onLog,
  });
  try {
    const product = await installProduct(lab, { agentProgram, startAgents: false, onLog });
    // Alone at first: it becomes Master of every pair, and the other finds a Master.
    const first = await startMeasured(lab, 'node1', product.startAgent);
    await applyPairs(lab, pairs, intervalMs);
    const second = await startMeasured(lab, 'node2', product.startAgent);
    await allBackup(lab, pairs);
    onLog(`${pairs} pairs are Ready; settling for ${SETTLE_MS / 1000} s, then watching for ${seconds} s`);
    await sleep(SETTLE_MS);
    const samples = await watch([first, second], seconds);
    return await Promise.all(
      [first, second].map(async (agent, index) => ({
        ...{ pairs, intervalMs },
        role: index === 0 ? ('Master' as const) : ('Backup' as const),
        footprint: footprintOf(samples[index] ?? []),
        parts: partsOf(await agent.read('smaps')),
        samples: samples[index] ?? [],
      })),
    );
  } finally {
    await lab.down();
  }
};

type MeasuredAgent = { read(file: string): Promise<string> };

const startMeasured = async (
  lab: Lab,
  name: string,
  start: (node: string) => Promise<unknown>,
): Promise<MeasuredAgent> => {
  const node = lab.node(name);
  await start(name);
  const pid = await pidOf(node);
  return {
    async read(file) {
      const { code, stdout, stderr } = await node.exec(['cat', `/proc/${pid}/${file}`]);
      if (code !== 0) throw new Error(`the agent of ${name} has ended: ${stderr.trim()}`);
      return stdout;
    },
  };
};

/** On the node's own count. */
const pidOf = async (node: LabNode): Promise<string> => {
  const { stdout } = await node.exec(['pgrep', '--full', 'agent/main[.]js --config']);
  const pid = /^\d+$/m.exec(stdout)?.[0];
  if (pid === undefined) throw new Error(`no agent runs on ${node.name}; see ${node.logOf('agent')}`);
  return pid;
};

const applyPairs = async (lab: Lab, count: number, intervalMs: number): Promise<void> => {
  const items = Array.from({ length: count }, (_, index) => pairOf(index, intervalMs));
  await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const wait = ['wait', '--for=condition=Ready', `--timeout=${READY_SECONDS}s`, '-n', NAMESPACE];
  await lab.kubectl([...wait, 'hapairs', '--all']);
};

const allBackup = async (lab: Lab, count: number): Promise<void> => {
  const wait = ['wait', '--for=condition=Redundant', `--timeout=${READY_SECONDS}s`, '-n', NAMESPACE];
  await lab.kubectl([...wait, 'hapairs', '--all']);
  const masters = await lab.kubectl([
    ...['get', 'hapairs', '-n', NAMESPACE],
    ...['-o', 'jsonpath={.items[*].status.master}'],
  ]);
  const onFirst = masters.split(' ').filter((name) => name === 'node1').length;
  if (onFirst !== count) throw new Error(`node1 is Master of ${onFirst} pairs, not of all ${count}`);
};

/** @returns the samples of each agent */
const watch = async (agents: readonly MeasuredAgent[], seconds: number): Promise<Sample[][]> => {
  const all: Sample[][] = agents.map(() => []);
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() <= endMs) {
    for (const [index, agent] of agents.entries()) {
      const [stat, status] = [await agent.read('stat'), await agent.read('status')];
      all[index]?.push(sampleOf(performance.now(), stat, status));
    }
    await sleep(SAMPLE_MS);
  }
  return all;
};

/** The goals: MB with one pair; percent of a processor at an advert a second, and at ten. */
const GOAL = { rssMB: 128, cpuPercent: (intervalMs: number): number => (intervalMs >= 1000 ? 1 : 5) };

/** The table's head and a row for each agent. */
const memoryTable = (measured: readonly Measured[]): string[][] => [
  [
    ...['pairs', 'advert', 'role', 'RSS MB', 'most', 'Node', 'libraries', 'malloc', 'heaps'],
    ...['growth MB/h', 'CPU %', 'of it ip', 'goal'],
  ],
  ...measured.map(({ pairs, intervalMs, role, footprint: { rss, growth, cpu }, parts }) => [
    ...[String(pairs), `${intervalMs} ms`, role, rss.median.toFixed(1), rss.max.toFixed(1)],
    ...[parts.node, parts.libraries, parts.malloc, parts.heaps].map((megabytes) => megabytes.toFixed(1)),
    `${growth.perHour.toFixed(1)} ± ${growth.error.toFixed(1)}`,
    ...[(cpu.own + cpu.children).toFixed(2), cpu.children.toFixed(2)],
    pairs > 1
      ? 'none'
      : `${rss.max <= GOAL.rssMB ? 'met' : 'MISSED'}: ${GOAL.rssMB} MB; ${cpu.own + cpu.children <= GOAL.cpuPercent(intervalMs) ? 'met' : 'MISSED'}: ${GOAL.cpuPercent(intervalMs)} %`,
  ]),
];

const ROOT = join(import.meta.dirname, '..', '..', '..');
const USAGE = `usage: node hack/bench/vrrp/memory.ts [flags]
  --pairs N[,N…]      on the two nodes (default: 1,50)
  --intervals MS,…    between adverts (default: 1000,100; pairs beyond one only at the first)
  --seconds N         how long each is watched (default: 120; an hour, 3600, shows growth for what it is)
  --dir DIR           state and logs, emptied first (default: .lab/bench-memory)`;

if (import.meta.main) {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      pairs: { ...text, default: '1,50' },
      intervals: { ...text, default: '1000,100' },
      seconds: { ...text, default: '120' },
      dir: { ...text, default: join(ROOT, '.lab', 'bench-memory') },
    },
  });
  const numbers = (list: string): number[] =>
    list.split(',').map((each) => {
      if (/^[1-9]\d*$/.test(each)) return Number(each);
      process.stderr.write(`bench-memory: ${each} is no whole number above 0\n${USAGE}\n`);
      return process.exit(2);
    });
  const [seconds = 120] = numbers(values.seconds);
  const intervals = numbers(values.intervals);
  const measured: Measured[] = [];
  for (const pairs of numbers(values.pairs)) {
    for (const intervalMs of pairs === 1 ? intervals : intervals.slice(0, 1)) {
      const options = { dir: values.dir, pairs, intervalMs, seconds, onLog: console.log };
      measured.push(...(await measureMemory(options)));
    }
  }
  console.log(`\n${formatTable(memoryTable(measured))}`);
  const out = join(ROOT, '.out');
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'bench-memory.json'), JSON.stringify(measured, undefined, 2));
}
