import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairStatus, HistoryEntry } from '../crds/types.ts';
import { exposeGauges, type GaugeSources } from './gauges.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createPairSeries } from './pair-series.ts';

/** Series by name and labels. */
const scrape = async ({ registry }: Metrics): Promise<Record<string, number>> => {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
};

const entry = (change: Partial<HistoryEntry> = {}): HistoryEntry => ({
  from: 'node1',
  to: 'node2',
  term: 2,
  reason: 'Failover',
  time: '2026-11-22T10:00:00.000000Z',
  ...change,
});
const withHistory = (...history: HistoryEntry[]): HAPairStatus => ({ history });

test('a failover is counted once, by its reason, and is at 0 before the first', async () => {
  const metrics = createMetrics('1.2.3');
  assert.is((await scrape(metrics))['hapair_failovers_total{reason="Failover"}'], 0);
  const first = entry({ reportMilliseconds: 12 });
  metrics.statusWritten(undefined, withHistory(first));
  metrics.statusWritten(withHistory(first), withHistory(first));
  metrics.statusWritten(withHistory(first), {});
  const series = await scrape(metrics);
  assert.is(series['hapair_failovers_total{reason="Failover"}'], 1);
  assert.is(series['hapair_failover_duration_seconds_sum{step="reported"}'], 0.012);
  assert.is(series['hapair_failover_duration_seconds_count{step="reported"}'], 1);
});

test('steps whose time becomes known later are observed then, once', async () => {
  const metrics = createMetrics('1.2.3');
  const open = entry({ reportMilliseconds: 12 });
  const done = entry({ reportMilliseconds: 12, callMilliseconds: 1500, confirmMilliseconds: 2500 });
  metrics.statusWritten(undefined, withHistory(open));
  metrics.statusWritten(withHistory(open), withHistory(done));
  metrics.statusWritten(withHistory(done), withHistory(done));
  const series = await scrape(metrics);
  assert.is(series['hapair_failovers_total{reason="Failover"}'], 1);
  assert.is(series['hapair_failover_duration_seconds_sum{step="called"}'], 1.5);
  assert.is(series['hapair_failover_duration_seconds_count{step="confirmed"}'], 1);
  assert.is(series['hapair_failover_duration_seconds_bucket{le="3",step="confirmed"}'], 1);
  assert.is(series['hapair_failover_duration_seconds_count{step="reported"}'], 1);
});

test('calls, writes and steps by result', async () => {
  const metrics = createMetrics('1.2.3');
  metrics.ec2Answered('AssignPrivateIpAddresses', 'EC2Throttled', 0.2);
  metrics.ec2Answered('AssignPrivateIpAddresses', 'Success', 1.2);
  metrics.driftRepaired();
  metrics.kubernetesWrote('HAPair/status', 'Conflict');
  metrics.stepped('Requeued', 0.002);
  const series = await scrape(metrics);
  const action = 'action="AssignPrivateIpAddresses"';
  assert.is(series[`hapair_ec2_requests_total{${action},result="EC2Unauthorized"}`], 0, 'an increase from 0');
  assert.is(series['hapair_ec2_requests_total{action="DescribeAddresses",result="EC2Throttled"}'], 0);
  assert.is(series.hapair_drift_repairs_total, 1);
  assert.is(series[`hapair_ec2_requests_total{${action},result="EC2Throttled"}`], 1);
  assert.is(series[`hapair_ec2_request_duration_seconds_sum{${action}}`], 1.4);
  assert.is(series['hapair_kubernetes_writes_total{kind="HAPair/status",result="Conflict"}'], 1);
  assert.is(series['hapair_reconcile_total{result="Requeued"}'], 1);
  assert.is(series['hapair_reconcile_total{result="Failed"}'], 0);
  assert.is(series['hapair_build_info{version="1.2.3"}'], 1);
  assert.ok((series.process_resident_memory_bytes ?? 0) > 0);
});

/** A source that says nothing in particular. */
const someSources = (): GaugeSources => ({
  queue: { depth: () => 0, processing: () => 0, retries: () => 0, oldestWaitingMs: () => 0 },
  watches: {},
  budget: () => [],
  isLeader: () => false,
  leaseTransitions: () => 0,
  eventsDropped: () => 0,
  now: () => 0,
});

test('docs/metrics.md explains every metric of the operator, with its type, and none that is not there', async () => {
  const metrics = createMetrics('1.2.3');
  exposeGauges(metrics.registry, someSources());
  const text = `${await metrics.registry.metrics()}${createPairSeries(() => 0).text()}`;
  const exposed = [...text.matchAll(/^# TYPE (hapair_\S+) (\S+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  const page = await readFile(join(import.meta.dirname, '..', 'docs', 'metrics.md'), 'utf8');
  const explained = [...page.matchAll(/^\| `(hapair_(?!agent_|vrrp_)\w+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  assert.equal(explained.sort(), exposed.sort());
});

test('what is looked up: each scrape shows the present', async () => {
  const metrics = createMetrics('1.2.3');
  let [waiting, leads, retries, contactMs] = [3, false, 5, Number.NEGATIVE_INFINITY];
  const sources: GaugeSources = {
    queue: { depth: () => 7, processing: () => 2, retries: () => retries, oldestWaitingMs: () => 1500 },
    watches: {
      hapairs: {
        lastContactMs: () => contactMs,
        stats: () => ({ relists: 1, reconnects: 2, events: 3 }),
      },
    },
    budget: () => [{ region: 'r', action: 'DescribeAddresses', tokens: 95, waiting }],
    isLeader: () => leads,
    leaseTransitions: () => 4,
    eventsDropped: () => 6,
    now: () => 10_000,
  };
  exposeGauges(metrics.registry, sources);
  const before = await scrape(metrics);
  assert.is(before.hapair_leader, 0);
  assert.is(before['hapair_watch_age_seconds{resource="hapairs"}'], undefined, 'no contact yet');
  [waiting, leads, retries, contactMs] = [0, true, 6, 8_000];
  const after = await scrape(metrics);
  const budget = '{region="r",action="DescribeAddresses"}';
  const wanted = {
    hapair_leader: 1,
    hapair_leader_transitions_total: 4,
    hapair_workqueue_depth: 7,
    hapair_workqueue_processing: 2,
    hapair_workqueue_longest_wait_seconds: 1.5,
    hapair_workqueue_retries_total: 6,
    hapair_events_dropped_total: 6,
    'hapair_watch_age_seconds{resource="hapairs"}': 2,
    'hapair_watch_relists_total{resource="hapairs"}': 1,
    'hapair_watch_reconnects_total{resource="hapairs"}': 2,
    'hapair_watch_events_total{resource="hapairs"}': 3,
    [`hapair_ec2_budget_tokens${budget}`]: 95,
    [`hapair_ec2_budget_waiting${budget}`]: 0,
  };
  for (const [name, value] of Object.entries(wanted)) assert.is(after[name], value, name);
});

test.run();
