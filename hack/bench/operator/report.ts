/** The figures as text: one table with a column per fleet, and what a table cannot show below it. */

import type { Percentiles } from '../common/statistics.ts';
import type { Convergence } from './converge.ts';
import type { Failovers } from './failovers.ts';
import type { MassFailure } from './mass-failure.ts';
import type { Rest } from './rest.ts';

/** All that one size of fleet gave. */
export type Run = {
  pairs: number;
  instances: number;
  /** From the start of the process until its stores were complete, with no pair yet. */
  startMs: number;
  idleRSSMB: number;
  /** After a full collection, at the end; only with a profiler. */
  heapMB?: number;
  convergence: Convergence;
  rest: Rest;
  oneByOne: Failovers;
  mass: MassFailure;
  /** Calls of agents that the API server did not take. */
  agentErrors: number;
  operatorLog: Record<string, number>;
};

/** Goals of the benchmark. */
const GOAL_P99_MS = 50;
const GOAL_OVER_BOUND_PERCENT = 10;

const spread = ({ p50, p90, p99, max, n }: Percentiles, unit = 1): string =>
  `${[p50, p90, p99, max].map((value) => (value / unit).toFixed(1)).join(' / ')} (n ${n})`;

const counts = (record: Record<string, number>, digits = 0): string => {
  const parts = Object.entries(record).map(([name, count]) => `${name} ${count.toFixed(digits)}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
};

const met = (isMet: boolean): string => (isMet ? 'met' : '**missed**');

type Row = { name: string; cell: (run: Run) => string };

const ROWS: readonly Row[] = [
  { name: 'instances', cell: ({ instances }) => String(instances) },
  { name: 'HAPairs created, s', cell: ({ convergence }) => convergence.createdSeconds.toFixed(1) },
  { name: 'all pairs Ready, s', cell: ({ convergence }) => convergence.convergedSeconds.toFixed(1) },
  {
    name: 'operator meanwhile: CPU s, % of one CPU',
    cell: ({ convergence: { load } }) => `${load.cpuSeconds.toFixed(1)}, ${load.cpuPercent.toFixed(0)} %`,
  },
  {
    name: 'operator RSS: idle, converged, peak, MB',
    cell: ({ idleRSSMB, convergence: { load }, mass }) =>
      [idleRSSMB, load.rssMB, mass.load.peakRSSMB].map((value) => value.toFixed(0)).join(', '),
  },
  {
    name: 'operator writes per pair until Ready',
    cell: ({ pairs, convergence: { writes } }) =>
      (Object.values(writes).reduce((sum, count) => sum + count, 0) / pairs).toFixed(1),
  },
  {
    name: 'at rest: CPU, % of one CPU; RSS, MB',
    cell: ({ rest: { load } }) => `${load.cpuPercent.toFixed(1)} %; ${load.rssMB.toFixed(0)}`,
  },
  {
    name: 'at rest: Kubernetes writes, own Lease apart (goal: none)',
    cell: ({ rest: { operatorWrites } }) => counts(operatorWrites),
  },
  {
    name: 'of which to say how a preflight ended (DryRuns, at most one a second)',
    cell: ({ rest: { preflights } }) => String(preflights),
  },
  {
    name: 'at rest: EC2 calls per minute',
    cell: ({ rest: { ec2CallsPerMinute } }) => counts(ec2CallsPerMinute, 1),
  },
  {
    name: 'one failover, report sent -> EC2 call received, ms: p50 / p90 / p99 / max',
    cell: ({ oneByOne }) => spread(oneByOne.sentToCall),
  },
  {
    name: 'of which report sent -> read by the operator (API server, etcd, watch), ms',
    cell: ({ oneByOne }) => spread(oneByOne.sentToRead),
  },
  {
    name: 'of which read -> EC2 call received (operator, SDK), ms',
    cell: ({ oneByOne }) => spread(oneByOne.readToCall),
  },
  {
    name: 'the report itself, until the API server answered, ms',
    cell: ({ oneByOne }) => spread(oneByOne.report),
  },
  {
    name: `goal p99 ${GOAL_P99_MS} ms`,
    cell: ({ oneByOne }) => met(oneByOne.lost === 0 && oneByOne.sentToCall.p99 <= GOAL_P99_MS),
  },
  { name: 'failovers without a call', cell: ({ oneByOne }) => String(oneByOne.lost) },
  { name: 'pairs that fail at once', cell: ({ mass }) => String(mass.pairs) },
  { name: 'their reports written, s', cell: ({ mass }) => mass.reportedSeconds.toFixed(1) },
  { name: 'last EC2 call that worked, s', cell: ({ mass }) => mass.lastCallSeconds.toFixed(1) },
  { name: "the token bucket's bound, s", cell: ({ mass }) => mass.boundSeconds.toFixed(1) },
  {
    name: `above the bound (goal: within ${GOAL_OVER_BOUND_PERCENT} %)`,
    cell: ({ mass: { overBoundPercent: over } }) =>
      over === undefined ? 'no bound' : `${over.toFixed(1)} %, ${met(over <= GOAL_OVER_BOUND_PERCENT)}`,
  },
  { name: 'calls for it', cell: ({ mass }) => counts(mass.calls) },
  { name: 'all pairs Ready again, s', cell: ({ mass }) => mass.convergedSeconds.toFixed(1) },
];

/** One run as lines `name: value`. */
export const formatRun = (run: Run): string =>
  [
    ...ROWS.map(({ name, cell }) => `${name}: ${cell(run)}`),
    ...(run.heapMB === undefined ? [] : [`heap after a full collection, MB: ${run.heapMB.toFixed(1)}`]),
    `operator's writes until Ready: ${counts(run.convergence.writes)}`,
    `processor seconds until Ready: ${counts(run.convergence.processors, 1)}`,
    `EC2 calls until Ready: ${counts(run.convergence.ec2Calls)}`,
    `writes at rest per minute: ${counts(run.rest.writesPerMinute, 1)}`,
    `reads at rest per minute: ${counts(run.rest.readsPerMinute, 1)}`,
    `pairs at once, each report -> call, s: ${spread(run.mass.perPair, 1000)}`,
    `agents' calls that failed: ${run.agentErrors}`,
    `operator's log: ${counts(run.operatorLog)}`,
  ].join('\n');

/** All runs as Markdown. */
export const formatRuns = (machine: string, runs: readonly Run[]): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    '# The operator under load',
    '',
    `Measured on ${machine}. Real API server, etcd and operator; the lab's EC2 with calls of 1.5 s; simulated agents.`,
    '',
    line(['', ...runs.map(({ pairs }) => `${pairs} pairs`)]),
    line(['---', ...runs.map(() => '---')]),
    ...ROWS.map(({ name, cell }) => line([name, ...runs.map(cell)])),
    '',
    ...runs.flatMap((run) => [`## ${run.pairs} pairs`, '', '```', formatRun(run), '```', '']),
  ].join('\n');
};
