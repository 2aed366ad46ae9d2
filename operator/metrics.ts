/**
 * What the operator counts, by the conventions of Prometheus: base units, `_total` on counters, no label with an open set of
 * values. Results are the words of crds/conditions.ts and kube/errors.ts. Explained one by one in docs/metrics.md.
 *
 * Here are the things that happen; what is looked up when somebody asks is gauges.ts, and the series of single pairs, which
 * come and go with them, are pair-series.ts.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Reason } from '../crds/conditions.ts';
import type { HAPairStatus, HistoryEntry } from '../crds/types.ts';
import { ACTIONS } from '../ec2/actions.ts';
import type { KubeErrorKind } from '../kube/errors.ts';

/** How a write to Kubernetes ended. */
export type WriteResult = 'Success' | KubeErrorKind;

/** How one request to EC2 ended: `Success` or the word of its error class. */
export type RequestResult = 'Success' | Reason;

/** How a step of the loop ended: nothing more to do, again after a while, or failed and repeated. */
type StepResult = 'Done' | 'Requeued' | 'Failed';

export type Metrics = {
  registry: Registry;
  /** One step for one pair. */
  stepped(result: StepResult, seconds: number): void;
  /** A write to the API server; `kind` is such as `HAPair` or `HAPair/status`. */
  kubernetesWrote(kind: string, result: WriteResult): void;
  /** The Lease of the replicas was written, or could not be. */
  leaseWritten(seconds: number): void;
  /** A request to EC2 was answered, or will not be. */
  ec2Answered(action: string, result: RequestResult, seconds: number): void;
  /** A call was accepted that put back what had been moved away. */
  driftRepaired(): void;
  /** The status of a pair was written: tells new switches, and steps of the newest one whose time became known. */
  statusWritten(before: HAPairStatus | undefined, after: HAPairStatus): void;
};

/** Reasons of a new entry in `status.history`: there from the start, so that a first failover is an increase. */
const SWITCH_REASONS: readonly Reason[] = [
  'FirstElection',
  'Failover',
  'SwitchoverRequested',
  'AutomaticFailback',
];

/** Results that alerts ask for: there at 0 from the start, so that a first refusal is an increase. */
const REFUSALS: readonly Reason[] = ['EC2CredentialsInvalid', 'EC2Unauthorized', 'EC2Throttled'];

/** Steps of a failover as `status.history` measures them. */
const STEPS = {
  reported: 'reportMilliseconds',
  called: 'callMilliseconds',
  confirmed: 'confirmMilliseconds',
} as const satisfies Record<string, keyof HistoryEntry>;

/** Seconds: from a warm call on the same machine to a call that EC2 holds until its deadline. */
const FAILOVER_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60];
const EC2_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10];
const STEP_BUCKETS = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** A registry with what every process of Node tells of itself. */
const registryOfProcess = (): Registry => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
};

/**
 * Registers what the operator counts.
 * @param version of the operator, shown by `hapair_build_info`
 * @param registry default: one with the process's own metrics
 */
export const createMetrics = (version: string, registry = registryOfProcess()): Metrics => {
  const registers = [registry];

  new Gauge({
    name: 'hapair_build_info',
    help: 'The version of the operator; always 1.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);

  const leaseWrite = new Gauge({
    name: 'hapair_lease_write_seconds',
    help: 'How long the newest write of the Lease of the replicas took, with or without an answer.',
    registers,
  });

  const failovers = new Counter({
    name: 'hapair_failovers_total',
    help: 'Changes of the elected master that this process recorded, by reason.',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of SWITCH_REASONS) failovers.inc({ reason }, 0);

  const failoverDuration = new Histogram({
    name: 'hapair_failover_duration_seconds',
    help: 'Steps of a failover: reported (from the claim to its reading), called (from the reading to the answer of EC2), confirmed (from the reading to a look at EC2 that agrees).',
    labelNames: ['step'],
    buckets: FAILOVER_BUCKETS,
    registers,
  });
  for (const step of Object.keys(STEPS)) failoverDuration.zero({ step });

  const ec2Requests = new Counter({
    name: 'hapair_ec2_requests_total',
    help: 'Requests to the EC2 API, by action and result.',
    labelNames: ['action', 'result'],
    registers,
  });
  for (const action of Object.keys(ACTIONS))
    for (const result of REFUSALS) ec2Requests.inc({ action, result }, 0);
  const drift = new Counter({
    name: 'hapair_drift_repairs_total',
    help: 'Calls accepted that put back an address that somebody had moved away.',
    registers,
  });
  const ec2Duration = new Histogram({
    name: 'hapair_ec2_request_duration_seconds',
    help: 'Time from sending a request to the EC2 API to its answer or deadline, by action.',
    labelNames: ['action'],
    buckets: EC2_BUCKETS,
    registers,
  });
  const writes = new Counter({
    name: 'hapair_kubernetes_writes_total',
    help: 'Writes to the Kubernetes API, by kind (with subresource) and result.',
    labelNames: ['kind', 'result'],
    registers,
  });
  const steps = new Counter({
    name: 'hapair_reconcile_total',
    help: 'Steps of the loop, each for one pair, by result.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['Done', 'Requeued', 'Failed'] as const) steps.inc({ result }, 0);
  const stepDuration = new Histogram({
    name: 'hapair_reconcile_duration_seconds',
    help: 'Time of one step of the loop for one pair; no step waits for EC2.',
    buckets: STEP_BUCKETS,
    registers,
  });

  return {
    registry,
    stepped(result, seconds) {
      steps.inc({ result });
      stepDuration.observe(seconds);
    },
    kubernetesWrote(kind, result) {
      writes.inc({ kind, result });
    },
    leaseWritten(seconds) {
      leaseWrite.set(seconds);
    },
    ec2Answered(action, result, seconds) {
      ec2Requests.inc({ action, result });
      ec2Duration.observe({ action }, seconds);
    },
    driftRepaired() {
      drift.inc();
    },
    statusWritten(before, after) {
      const newest = after.history?.[0];
      if (!newest) return;
      const known = before?.history?.find(({ time }) => time === newest.time);
      if (!known) failovers.inc({ reason: newest.reason });
      for (const [step, field] of Object.entries(STEPS)) {
        const ms = newest[field];
        if (ms !== undefined && known?.[field] === undefined) failoverDuration.observe({ step }, ms / 1000);
      }
    },
  };
};
