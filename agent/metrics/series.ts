/**
 * The agent's own metrics by the conventions of Prometheus: base units, `_total` on counters, no label with an open set of
 * values. Reasons, causes and results are words of the code's own tables. Explained one by one in docs/metrics.md.
 */
import { INSTANCE_CONDITIONS } from '../../crds/conditions.ts';
import type { VRRPState } from '../../crds/types.ts';
import type { Key } from '../../kube/types.ts';
import type { CheckSnapshot } from '../checks/types.ts';
import type { PairSnapshot, TransitionCount } from '../pair/snapshot.ts';
import { REJECT_CAUSES } from '../vrrp/types.ts';
import type { PairStats, WorkerStats } from '../worker/messages.ts';
import type { Family, Labels, Sample } from './exposition.ts';
import type { AgentSnapshot } from './snapshot.ts';

/** What the worker answers to a ping; null: it does not. */
export type WorkerSnapshot = { stats: WorkerStats; realtime: boolean } | null;

const STATES: readonly VRRPState[] = ['Init', 'Backup', 'Master', 'Fault'];

/** Changes that are there from the start, so that the first of them is an increase. */
const EXPECTED: readonly Omit<TransitionCount, 'count'>[] = [
  { from: 'Backup', to: 'Master', reason: 'MasterDownTimerExpired' },
  { from: 'Backup', to: 'Master', reason: 'MasterResigned' },
  { from: 'Master', to: 'Backup', reason: 'HigherPriorityAdvert' },
  { from: 'Master', to: 'Backup', reason: 'YieldOrdered' },
  { from: 'Master', to: 'Backup', reason: 'Overslept' },
  { from: 'Master', to: 'Fault', reason: 'ChecksFailed' },
  { from: 'Master', to: 'Fault', reason: 'SourceAddressMissing' },
];

const SECOND_MS = 1_000;

/** All families of one scrape. What is not known has no series. */
export const familiesOf = (snapshot: AgentSnapshot, worker: WorkerSnapshot): Family[] => [
  ...pairFamilies(snapshot.pairs),
  ...countFamilies(snapshot.pairs, worker?.stats.pairs ?? {}),
  ...checkFamilies(snapshot.checks),
  ...linkFamilies(snapshot),
  ...timeFamilies(worker),
];

const pairFamilies = (pairs: readonly PairSnapshot[]): Family[] => {
  const ofEach = (samplesOf: (pair: PairSnapshot, labels: Labels) => Sample[]): Sample[] =>
    pairs.flatMap((pair) => samplesOf(pair, labelsOf(pair.key)));
  const gauge = (
    name: string,
    help: string,
    reading: (pair: PairSnapshot) => number | undefined,
  ): Family => ({
    name,
    help,
    type: 'gauge',
    samples: ofEach((pair, labels) => known(labels, reading(pair))),
  });
  return [
    {
      name: 'hapair_vrrp_state',
      help: 'The state of the election on this node: 1 for the present one.',
      type: 'gauge',
      samples: ofEach(({ election }, labels) =>
        STATES.map((state) => ({ labels: { ...labels, state }, value: bit(state === election) })),
      ),
    },
    gauge('hapair_vrrp_term', 'The term held, or the highest seen.', ({ status }) => status.term),
    {
      name: 'hapair_vrrp_transitions_total',
      help: 'Changes of state, by the reason of the change.',
      type: 'counter',
      samples: ofEach((pair, labels) =>
        withExpected(pair.transitions).map(({ from, to, reason, count }) => ({
          labels: { ...labels, from, to, reason },
          value: count,
        })),
      ),
    },
    {
      name: 'hapair_vrrp_condition',
      help: 'The present status and reason of a condition of the VRRPInstance; 1.',
      type: 'gauge',
      samples: ofEach(({ status }, labels) =>
        INSTANCE_CONDITIONS.map((condition) => {
          const found = status.conditions?.find(({ type }) => type === condition);
          const { status: said, reason } = found ?? { status: 'Unknown', reason: 'Unobserved' };
          return { labels: { ...labels, condition, status: said, reason }, value: 1 };
        }),
      ),
    },
    gauge('hapair_vrrp_vips', 'VIPs of the spec in force.', ({ vips }) => vips),
    gauge(
      'hapair_vrrp_vips_on_interface',
      'VIPs on the interface of this node.',
      ({ status }) => status.vipsOnInterface?.length,
    ),
    gauge(
      'hapair_vrrp_vips_delivered',
      'VIPs that EC2 delivers to this node, by IMDS.',
      ({ status }) => status.vipsDelivered?.length,
    ),
    gauge(
      'hapair_vrrp_vips_settled',
      'Whether the VIPs on the interface are those that EC2 delivers here, or IMDS cannot be read.',
      ({ isSettled }) => bit(isSettled),
    ),
    gauge('hapair_vrrp_report_pending', 'Whether the API server lacks the newest report.', ({ isReported }) =>
      bit(!isReported),
    ),
  ];
};

const countFamilies = (
  pairs: readonly PairSnapshot[],
  stats: Readonly<Record<Key, PairStats | undefined>>,
): Family[] => {
  const counter = (
    name: string,
    help: string,
    samplesOf: (counted: PairStats, labels: Labels) => Sample[],
  ): Family => ({
    name,
    help,
    type: 'counter',
    samples: pairs.flatMap(({ key }) => {
      const counted = stats[key];
      return counted === undefined ? [] : samplesOf(counted, labelsOf(key));
    }),
  });
  return [
    counter('hapair_vrrp_adverts_sent_total', 'Adverts sent, resignations apart.', (counted, labels) =>
      known(labels, counted.advertsSent),
    ),
    counter('hapair_vrrp_resignations_sent_total', 'Adverts of priority 0 sent.', (counted, labels) =>
      known(labels, counted.resignationsSent),
    ),
    counter(
      'hapair_vrrp_adverts_received_total',
      'Adverts of the peer that passed every check, resignations included.',
      (counted, labels) => known(labels, counted.advertsReceived),
    ),
    counter(
      'hapair_vrrp_packets_rejected_total',
      'Packets that failed a check and changed nothing, by the first check that failed.',
      ({ rejected }, labels) =>
        REJECT_CAUSES.map((cause) => ({ labels: { ...labels, cause }, value: rejected[cause] ?? 0 })),
    ),
    counter(
      'hapair_vrrp_overslept_total',
      'Times that a Master stepped down, or a Backup listened again, because the process or the machine had slept.',
      (counted, labels) => known(labels, counted.overslept),
    ),
  ];
};

const checkFamilies = (checks: readonly CheckSnapshot[]): Family[] => {
  const ofEach = (samplesOf: (check: CheckSnapshot, labels: Labels) => Sample[]): Sample[] =>
    checks.flatMap((check) => samplesOf(check, { ...labelsOf(check.pair), check: check.name }));
  return [
    {
      name: 'hapair_agent_check_healthy',
      help: 'The verdict of a health check.',
      type: 'gauge',
      samples: ofEach(({ healthy }, labels) => known(labels, healthy === null ? undefined : bit(healthy))),
    },
    {
      name: 'hapair_agent_check_runs_total',
      help: 'Runs of a health check, by result.',
      type: 'counter',
      samples: ofEach(({ runs }, labels) =>
        Object.entries(runs).map(([result, value]) => ({ labels: { ...labels, result }, value })),
      ),
    },
    {
      name: 'hapair_agent_check_last_duration_seconds',
      help: 'How long the last run of a health check took.',
      type: 'gauge',
      samples: ofEach(({ lastDurationMs }, labels) => known(labels, seconds(lastDurationMs))),
    },
  ];
};

const linkFamilies = (agent: AgentSnapshot): Family[] => {
  const { api, watches, leaseAgeMs, imdsAgeMs, withheldLines } = agent;
  const gauge = (name: string, help: string, value: number | undefined): Family => ({
    name,
    help,
    type: 'gauge',
    samples: known({}, value),
  });
  const ofWatches = (reading: (watch: AgentSnapshot['watches'][number]) => number | undefined): Sample[] =>
    watches.flatMap((watch) => known({ namespace: watch.namespace, watch: watch.of }, reading(watch)));
  return [
    gauge(
      'hapair_agent_api_connected',
      'Whether the API server answered the last call.',
      api.isConnected === null ? undefined : bit(api.isConnected),
    ),
    gauge(
      'hapair_agent_api_silence_seconds',
      'Time since the API server last gave a sign of life; from 40 s on the agent advertises priority 100.',
      seconds(api.silenceMs),
    ),
    {
      name: 'hapair_agent_kubernetes_calls_total',
      help: 'Calls to the Kubernetes API, by result.',
      type: 'counter',
      samples: Object.entries({ Success: 0, Unauthorized: 0, ...api.calls }).map(([result, value]) => ({
        labels: { result },
        value,
      })),
    },
    {
      name: 'hapair_agent_watch_age_seconds',
      help: 'Time since the API server last said anything on a watch; it says something every minute.',
      type: 'gauge',
      samples: ofWatches(({ ageMs }) => seconds(ageMs)),
    },
    {
      name: 'hapair_agent_watch_reconnects_total',
      help: 'Watches opened anew.',
      type: 'counter',
      samples: ofWatches(({ reconnects }) => reconnects),
    },
    {
      name: 'hapair_agent_watch_relists_total',
      help: 'Complete lists after the first, for a gap that the API server could not fill.',
      type: 'counter',
      samples: ofWatches(({ relists }) => relists),
    },
    gauge(
      'hapair_agent_lease_age_seconds',
      "Time since this node's Lease was renewed; it is renewed every 10 s.",
      seconds(leaseAgeMs),
    ),
    gauge(
      'hapair_agent_imds_age_seconds',
      'Time since the instance metadata was read; it is read every second.',
      seconds(imdsAgeMs),
    ),
    {
      name: 'hapair_agent_log_lines_withheld_total',
      help: 'Log lines withheld because they repeat a cause; a later line counts them.',
      type: 'counter',
      samples: [{ value: withheldLines }],
    },
  ];
};

const timeFamilies = (worker: WorkerSnapshot): Family[] => {
  const answers: Family = {
    name: 'hapair_agent_worker_answers',
    help: 'Whether the VRRP worker answered when this was asked; without that nothing it counts is shown.',
    type: 'gauge',
    samples: [{ value: bit(worker !== null) }],
  };
  if (worker === null) return [answers];
  const { boundsMs, counts, sumMs, maxMs } = worker.stats.lateness;
  return [
    answers,
    {
      name: 'hapair_agent_realtime_scheduling',
      help: 'Whether the system granted real-time scheduling to the VRRP worker.',
      type: 'gauge',
      samples: [{ value: bit(worker.realtime) }],
    },
    {
      name: 'hapair_agent_timer_lateness_seconds',
      help: 'How late the timers of the VRRP worker were served.',
      type: 'histogram',
      buckets: { bounds: boundsMs.map((boundMs) => boundMs / SECOND_MS), counts, sum: sumMs / SECOND_MS },
    },
    {
      name: 'hapair_agent_timer_lateness_max_seconds',
      help: 'The latest that a timer of the VRRP worker was served since the start.',
      type: 'gauge',
      samples: [{ value: maxMs / SECOND_MS }],
    },
  ];
};

/** Names of Kubernetes objects hold no slash. */
const labelsOf = (key: Key): Labels => {
  const [namespace = '', pair = ''] = key.split('/');
  return { namespace, pair };
};

const withExpected = (transitions: readonly TransitionCount[]): TransitionCount[] => {
  const isSame = (a: Omit<TransitionCount, 'count'>, b: Omit<TransitionCount, 'count'>): boolean =>
    a.from === b.from && a.to === b.to && a.reason === b.reason;
  const missing = EXPECTED.filter((expected) => !transitions.some((known) => isSame(known, expected)));
  return [...transitions, ...missing.map((expected) => ({ ...expected, count: 0 }))];
};

const known = (labels: Labels, value: number | undefined): Sample[] =>
  value === undefined ? [] : [{ labels, value }];

const seconds = (ms: number | null): number | undefined => (ms === null ? undefined : ms / SECOND_MS);

const bit = (isTrue: boolean): 0 | 1 => (isTrue ? 1 : 0);
