import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agentSnapshot, pairSnapshot, status, workerSnapshot } from '../testing/snapshot.ts';
import { expose } from './exposition.ts';
import { createMetrics } from './metrics.ts';
import { familiesOf, type WorkerSnapshot } from './series.ts';
import type { AgentSnapshot } from './snapshot.ts';

/** Series by name and labels. */
const seriesOf = (text: string): Record<string, number> =>
  Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
  );
const scrape = (change: Partial<AgentSnapshot> = {}, worker: WorkerSnapshot = workerSnapshot()) =>
  seriesOf(expose(familiesOf(agentSnapshot(change), worker)));

const PAIR = 'namespace="prod",pair="web"';

test('the state: 1 for the present one, 0 for the others', () => {
  const series = scrape();
  assert.is(series[`hapair_vrrp_state{${PAIR},state="Master"}`], 1);
  for (const state of ['Init', 'Backup', 'Fault'])
    assert.is(series[`hapair_vrrp_state{${PAIR},state="${state}"}`], 0, state);
  assert.is(series[`hapair_vrrp_term{${PAIR}}`], 7);
});

test('transitions by from, to and reason; those that matter are there before the first', () => {
  const overslept = { from: 'Master', to: 'Backup', reason: 'Overslept', count: 2 } as const;
  const rare = { from: 'Fault', to: 'Master', reason: 'LastResort', count: 1 } as const;
  const series = scrape({ pairs: [pairSnapshot({ transitions: [overslept, rare] })] });
  const of = (labels: string) => series[`hapair_vrrp_transitions_total{${PAIR},${labels}}`];
  assert.is(of('from="Master",to="Backup",reason="Overslept"'), 2);
  assert.is(of('from="Fault",to="Master",reason="LastResort"'), 1);
  assert.is(of('from="Backup",to="Master",reason="MasterDownTimerExpired"'), 0);
  assert.is(of('from="Backup",to="Fault",reason="ChecksFailed"'), undefined);
});

test('what the worker counted, every reject cause included', () => {
  const series = scrape();
  assert.is(series[`hapair_vrrp_adverts_sent_total{${PAIR}}`], 40);
  assert.is(series[`hapair_vrrp_resignations_sent_total{${PAIR}}`], 1);
  assert.is(series[`hapair_vrrp_adverts_received_total{${PAIR}}`], 2);
  assert.is(series[`hapair_vrrp_overslept_total{${PAIR}}`], 1);
  assert.is(series[`hapair_vrrp_packets_rejected_total{${PAIR},cause="PasswordMismatch"}`], 5);
  assert.is(series[`hapair_vrrp_packets_rejected_total{${PAIR},cause="SourceNotPeer"}`], 0);
});

test('lateness is a histogram in seconds', () => {
  const series = scrape();
  assert.is(series['hapair_agent_timer_lateness_seconds_bucket{le="0.001"}'], 30);
  assert.is(series['hapair_agent_timer_lateness_seconds_bucket{le="0.01"}'], 39);
  assert.is(series['hapair_agent_timer_lateness_seconds_bucket{le="+Inf"}'], 40);
  assert.is(series.hapair_agent_timer_lateness_seconds_sum, 0.12);
  assert.is(series.hapair_agent_timer_lateness_seconds_count, 40);
  assert.is(series.hapair_agent_timer_lateness_max_seconds, 0.025);
  assert.is(series.hapair_agent_realtime_scheduling, 1);
});

test('conditions with their reason, addresses, and whether all of it is known to others', () => {
  const series = scrape();
  const condition = 'condition="PeerHeard",status="Unknown",reason="PeerNotExpected"';
  assert.is(series[`hapair_vrrp_condition{${PAIR},${condition}}`], 1);
  assert.is(series[`hapair_vrrp_vips{${PAIR}}`], 1);
  assert.is(series[`hapair_vrrp_vips_on_interface{${PAIR}}`], 1);
  assert.is(series[`hapair_vrrp_vips_delivered{${PAIR}}`], 1);
  assert.is(series[`hapair_vrrp_vips_settled{${PAIR}}`], 1);
  assert.is(series[`hapair_vrrp_report_pending{${PAIR}}`], 0);
  const pending = scrape({ pairs: [pairSnapshot({ isReported: false, isSettled: false })] });
  assert.is(pending[`hapair_vrrp_report_pending{${PAIR}}`], 1);
  assert.is(pending[`hapair_vrrp_vips_settled{${PAIR}}`], 0);
});

test('what is not known has no series, never a 0', () => {
  const { vipsDelivered: _, ...unread } = status();
  const series = scrape({
    pairs: [pairSnapshot({ status: unread })],
    api: { isConnected: null, silenceMs: null, calls: {}, failure: null },
    leaseAgeMs: null,
    imdsAgeMs: null,
  });
  const missing = [
    `hapair_vrrp_vips_delivered{${PAIR}}`,
    'hapair_agent_api_connected',
    'hapair_agent_api_silence_seconds',
    'hapair_agent_lease_age_seconds',
    'hapair_agent_imds_age_seconds',
  ];
  for (const name of missing) assert.is(series[name], undefined, name);
});

test('a worker that does not answer is a series; what it would count is none', () => {
  const series = scrape({}, null);
  assert.is(series.hapair_agent_worker_answers, 0);
  assert.is(series[`hapair_vrrp_adverts_sent_total{${PAIR}}`], undefined);
  assert.is(series.hapair_agent_timer_lateness_seconds_count, undefined);
  assert.is(series[`hapair_vrrp_term{${PAIR}}`], 7, 'what the main thread knows stays');
  assert.is(scrape().hapair_agent_worker_answers, 1);
});

test('the links: API server by result, watches, Lease, IMDS', () => {
  const failure = { kind: 'Unauthorized', message: '401' } as const;
  const calls = { Success: 12, Unauthorized: 4, NotFound: 1 };
  const series = scrape({ api: { isConnected: false, silenceMs: 41_000, calls, failure } });
  assert.is(series.hapair_agent_api_connected, 0);
  assert.is(series.hapair_agent_api_silence_seconds, 41);
  assert.is(series['hapair_agent_kubernetes_calls_total{result="Unauthorized"}'], 4);
  assert.is(series['hapair_agent_kubernetes_calls_total{result="NotFound"}'], 1);
  assert.is(scrape()['hapair_agent_kubernetes_calls_total{result="Unauthorized"}'], 0);
  assert.is(series['hapair_agent_watch_age_seconds{namespace="prod",watch="own"}'], 1.5);
  assert.is(series['hapair_agent_watch_age_seconds{namespace="prod",watch="pairs"}'], undefined);
  assert.is(series['hapair_agent_watch_reconnects_total{namespace="prod",watch="own"}'], 2);
  assert.is(series['hapair_agent_watch_relists_total{namespace="prod",watch="own"}'], 1);
  assert.is(series.hapair_agent_lease_age_seconds, 4);
  assert.is(series.hapair_agent_imds_age_seconds, 0.5);
  assert.is(series.hapair_agent_log_lines_withheld_total, 3);
});

test('checks: verdict, runs by result, the last duration; none before the first verdict', () => {
  const runs = { success: 3, failure: 1, timeout: 2 };
  const series = scrape({
    checks: [
      { pair: 'prod/web', name: 'app', healthy: false, runs, lastDurationMs: 250 },
      { pair: 'prod/web', name: 'db', healthy: null, runs, lastDurationMs: null },
    ],
  });
  assert.is(series[`hapair_agent_check_healthy{${PAIR},check="app"}`], 0);
  assert.is(series[`hapair_agent_check_healthy{${PAIR},check="db"}`], undefined);
  assert.is(series[`hapair_agent_check_runs_total{${PAIR},check="app",result="timeout"}`], 2);
  assert.is(series[`hapair_agent_check_last_duration_seconds{${PAIR},check="app"}`], 0.25);
  assert.is(series[`hapair_agent_check_last_duration_seconds{${PAIR},check="db"}`], undefined);
});

test('a pair that is gone leaves no series behind, though the worker may still know it', () => {
  assert.is(Object.keys(scrape({ pairs: [] })).filter((name) => name.includes('pair=')).length, 0);
});

const metricsOf = (worker: () => Promise<NonNullable<WorkerSnapshot>>) =>
  createMetrics({ snapshot: () => agentSnapshot(), askWorker: worker }, '1.2.3');

test('a scrape has the process, the build and all of the above, and survives a silent worker', async () => {
  const series = seriesOf(await metricsOf(async () => workerSnapshot()).text());
  assert.is(series['hapair_agent_build_info{node="node1",version="1.2.3"}'], 1);
  assert.ok((series.process_resident_memory_bytes ?? 0) > 0);
  assert.is(series[`hapair_vrrp_adverts_sent_total{${PAIR}}`], 40);
  const silent = seriesOf(await metricsOf(() => Promise.reject(new Error('its loop hangs'))).text());
  assert.is(silent.hapair_agent_worker_answers, 0);
});

test('docs/metrics.md explains every metric of the agent, with its type, and none that is not there', async () => {
  const text = await metricsOf(async () => workerSnapshot()).text();
  const exposed = [...text.matchAll(/^# TYPE (hapair_\S+) (\S+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'metrics.md'), 'utf8');
  const explained = [...page.matchAll(/^\| `(hapair_(?:agent|vrrp)_\w+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  assert.equal(explained.sort(), exposed.sort());
});

test.run();
