/** What a replica of the operator consists of, and how its parts are connected. Nothing works on pairs yet: that is leading.ts. */
import type { HAPair } from '../crds/types.ts';
import { validateHAPair } from '../crds/validate.ts';
import { Elector, electorIdentity } from '../kube/elector.ts';
import { EventRecorder } from '../kube/events.ts';
import { WorkQueue } from '../kube/queue.ts';
import type { Key } from '../kube/types.ts';
import { messageOf } from '../runtime/error-text.ts';
import type { Log } from '../runtime/log.ts';
import { Account } from './account.ts';
import { LEADER_LEASE, type OperatorConfig } from './config.ts';
import { createClaimIndex } from './conflicts.ts';
import { counted, guarded } from './leader-client.ts';
import { createLifeBook } from './life.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { PairQueue } from './pair-queue.ts';
import { createPairSeries } from './pair-series.ts';
import { scopeOf } from './plan/addresses.ts';
import { Reconciler } from './reconcile.ts';
import { referenceToLeaderLease, watchAll } from './stores.ts';
import type { Surroundings } from './surroundings.ts';
import { createViews, type Views } from './view.ts';

/** What the parts are made of. */
type PartsOptions = {
  config: OperatorConfig;
  surroundings: Surroundings;
  log: Log;
  /** Ends everything. */
  signal: AbortSignal;
};

/** The parts of one replica. */
export type Parts = ReturnType<typeof createParts>;

/** `reportingInstance` of an Event is at most this long. */
const INSTANCE_CHARACTERS = 128;

const problemsOf = ({ apiVersion, kind, metadata: { name, namespace }, spec }: HAPair): string[] => {
  const verdict = validateHAPair({ apiVersion, kind, metadata: { name, namespace }, spec });
  return verdict.ok ? [] : verdict.errors.map(({ path, message }) => `${path}: ${message}`);
};

/** A write of the Lease that takes so long is on the way to losing it; half of the renewDeadline is the most that it bears. */
const SLOW_WRITE_MS = 2_000;
const SLOW_WRITE = [
  'the API server takes long to write, and a leader that cannot renew its Lease in time is none. Look for an admission webhook that does not',
  'answer (kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations), then at the API server and etcd',
].join(' ');

const electorOf = ({ config, surroundings, log }: PartsOptions, identity: string, metrics: Metrics) => {
  const { electorKube, clock, random } = surroundings;
  return new Elector({
    ...config.election,
    client: { get: electorKube.get, ...counted(electorKube, metrics.kubernetesWrote) },
    key: `${config.namespace}/${LEADER_LEASE}`,
    identity,
    clock,
    random,
    onError: (error) =>
      log.warn({ reason: 'LeaseNotRenewed', error: messageOf(error) }, 'the Lease was not read or renewed'),
    onWrite: (tookMs) => {
      metrics.leaseWritten(tookMs / 1000);
      if (tookMs >= SLOW_WRITE_MS) log.warn({ reason: 'SlowWrites', tookMs: Math.round(tookMs) }, SLOW_WRITE);
    },
  });
};

/** A standby plans nothing; what stands in spec and status is what its first plan will ask for. */
const keepWarm = (views: Views, key: Key, pair: HAPair | undefined, region: string, nowMs: number): void => {
  if (!pair) {
    views.forget(key);
    return;
  }
  views.cover(key, scopeOf(pair, pair.spec, region));
  if (!views.of(key).view) views.want(key, nowMs);
};

/** Makes the parts; the stores begin to watch. @throws RangeError when the times of the election do not fit together */
export const createParts = (options: PartsOptions) => {
  const { config, surroundings, log, signal } = options;
  const { region, namespace, agentUsernameTemplate, requireTag } = config;
  const { identity = electorIdentity() } = config;
  const { kube, clock, random, yieldToEventLoop } = surroundings;

  const metrics = createMetrics(config.version, surroundings.registry);
  const series = createPairSeries(clock.wall);
  const elector = electorOf(options, identity, metrics);
  const isLeader = (): boolean => elector.isLeader();
  const writes = guarded(counted(kube, metrics.kubernetesWrote), isLeader);
  const queue = new WorkQueue({ now: clock.now, setTimer: clock.setTimer, random, yieldToEventLoop });
  const pairQueue = new PairQueue(queue, (key) => stores.pairs.get(key));
  const requeue = (key: Key): void => pairQueue.changed(key);
  const account = new Account({
    api: surroundings.connectEC2({ mayWrite: isLeader }),
    ...{ region, clock, random, metrics },
    onTurn: (key) => queue.addUrgent(key),
  });
  const claims = createClaimIndex(region);
  const life = createLifeBook();
  const events = new EventRecorder({
    client: writes,
    controller: 'hapair.io/operator',
    instance: identity.slice(0, INSTANCE_CHARACTERS),
    ...{ signal, clock, random, log },
  });
  const views = createViews({
    ec2: account,
    ...{ clock, random, yieldToEventLoop, signal, log },
    onRead: (key, asked) => (asked ? pairQueue.changed(key) : pairQueue.noticed(key)),
    isMoving: () => account.isMoving,
  });
  const stores = watchAll({
    ...{ kube, namespace, life, clock, random, signal, log },
    leaderLease: `${namespace}/${LEADER_LEASE}`,
    onPair: (key, pair) => {
      series.observe(key, pair);
      for (const other of claims.update(key, pair)) requeue(other);
      if (pairQueue.isOpen) requeue(key);
      else keepWarm(views, key, pair, region, clock.now());
    },
    onInstanceOf: requeue,
    onLeaderLease: () => elector.nudge(),
  });
  const reconciler = new Reconciler(
    {
      ...{ pairs: stores.pairs, instances: stores.instances, kube: writes },
      ...{ ec2: account, budget: account.budget, mayWrite: isLeader },
      ...{ views, claims, life, events, clock, random, log, problemsOf, requeue },
      ledSinceMs: () => elector.electedAtMs(),
      onStatusWritten: metrics.statusWritten,
      onDriftRepaired: metrics.driftRepaired,
      tellOperator: (event) =>
        events.record({ regarding: referenceToLeaderLease(stores, namespace), ...event }),
    },
    { region, agentUsernameTemplate, ...(requireTag && { requireTag }) },
    // Calls under way when leadership is given up are waited for, not cut.
    new AbortController().signal,
  );
  return { identity, metrics, series, elector, queue, pairQueue, account, views, stores, events, reconciler };
};
