/**
 * The operator's wiring: stores, queue, EC2, leadership and the reconciler; the work itself is reconcile.ts, the decisions
 * plan.ts.
 *
 * Every replica keeps its copies of Kubernetes and its readings of EC2 warm; the one that leads works on them. Whatever writes
 * asks the elector's own clock first, at the moment of writing. A process leads at most once: when leadership is lost it is
 * over, and a new process starts with nothing remembered.
 */

import { once } from 'node:events';
import { type HAPair, instanceName } from '../crds/types.ts';
import { validateHAPair } from '../crds/validate.ts';
import { createBudget } from '../ec2/budget.ts';
import { createEC2, type EC2 } from '../ec2/client.ts';
import { reasonOf } from '../ec2/errors.ts';
import { connectSDK } from '../ec2/sdk.ts';
import type { EC2Result } from '../ec2/types.ts';
import { connect, keyOf } from '../kube/client.ts';
import { sleep, systemClock } from '../kube/clock.ts';
import { createElector, electorIdentity } from '../kube/elector.ts';
import { messageOf } from '../kube/errors.ts';
import { createEventRecorder, referenceTo } from '../kube/events.ts';
import { eventLoopCheck, syncedCheck, taskCheck, watchCheck } from '../kube/health.ts';
import { LEASES } from '../kube/lease.ts';
import type { Log } from '../kube/log.ts';
import { type HandleResult, WorkQueue } from '../kube/queue.ts';
import { serve } from '../kube/server.ts';
import type { Key } from '../kube/types.ts';
import { createClaimIndex } from './conflicts.ts';
import { exposeGauges } from './gauges.ts';
import { counted, guarded, isNotLeading } from './leader-client.ts';
import { createLifeBook } from './life.ts';
import { createMetrics, type RequestResult } from './metrics.ts';
import { createPairSeries } from './pair-series.ts';
import { scopeOf } from './plan/addresses.ts';
import { createReachability } from './reachable.ts';
import { createReconciler } from './reconcile.ts';
import { watchAll } from './stores.ts';
import { isFailoverOpen } from './takeover.ts';
import { createViews } from './view.ts';

export type OperatorConfig = {
  /** Default: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config. */
  kubeconfigPath?: string | undefined;
  region: string;
  /** `<node>` stands for the node's name. */
  agentUsernameTemplate: string;
  /** ENIs and EIPs without this tag are not touched; absent: no tag is asked for. */
  requireTag?: { key: string; value: string };
  /** Where the agents' Leases and the operators' own are. */
  namespace: string;
  version: string;
  /** Unique among the replicas; a process that follows a dead one under its name need not wait. Default: host name and UUID. */
  identity?: string | undefined;
  /** Default: kube/elector-machine.ts. */
  election?: { leaseDurationMs?: number; renewDeadlineMs?: number; retryPeriodMs?: number };
  /** Where metrics and health are served; default: port 8080 of every address. Port 0: the kernel chooses. */
  http?: { bindAddress?: string | undefined; port?: number };
};

export type Operator = {
  identity: string;
  /** Of metrics and health. */
  port: number;
  /** Resolves when leadership was lost: no write has begun since, and the process must end. */
  lost: Promise<void>;
  /**
   * Begins no new step, waits for the answers to EC2 calls under way (each has a deadline), gives the Lease away so that
   * another replica leads at once, and closes everything.
   */
  stop(): Promise<void>;
};

/** Name of the Lease in the operator's namespace; the chart's Role names it too. */
export const LEADER_LEASE = 'hapair-operator';

/** Pairs handled at the same time; none waits for EC2, each for a write to the API server now and then. */
const WORKERS = 32;
const DEFAULT_PORT = 8080;
/** One for each worker, and some for Events and lists: a write that waited in line here could be sent when we lead no more. */
const CONNECTIONS = WORKERS + 8;
/** Bound on the end of steps and calls under way: longer than the deadline of an EC2 call. */
const FINISH_MS = 15_000;
/** Bound on writing the last Events. */
const FLUSH_MS = 3_000;
/** `reportingInstance` of an Event is at most this long. */
const INSTANCE_CHARACTERS = 128;

const problemsOf = ({ apiVersion, kind, metadata: { name, namespace }, spec }: HAPair): string[] => {
  const verdict = validateHAPair({ apiVersion, kind, metadata: { name, namespace }, spec });
  return verdict.ok ? [] : verdict.errors.map(({ path, message }) => `${path}: ${message}`);
};

/** A DryRun is answered by the error that says it would have worked. */
const resultOf = (result: EC2Result): RequestResult =>
  result.ok || result.code === 'DryRunOperation' ? 'Success' : reasonOf(result.class);

/** Whether `work` ended in time. */
const endsWithin = async (work: Promise<unknown>, timeoutMs: number): Promise<boolean> => {
  const waiting = new AbortController();
  try {
    const late = sleep(systemClock, timeoutMs, waiting.signal).then(() => false);
    return await Promise.race([work.then(() => true), late]);
  } finally {
    waiting.abort();
  }
};

/**
 * Starts a replica and returns once it answers on its port; it leads when it is elected and its stores are fresh.
 * @throws Error when there is no usable kubeconfig, the port cannot be had, or the times of the election do not fit together
 */
export const startOperator = async (config: OperatorConfig, log: Log): Promise<Operator> => {
  const { kubeconfigPath, region, agentUsernameTemplate, namespace, version } = config;
  const { identity = electorIdentity(), http = {} } = config;
  const clock = systemClock;
  /** Ends everything. */
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Ends the steps of the loop; what they began goes on. */
  const finishing = new AbortController();
  const finished = once(finishing.signal, 'abort');

  const metrics = createMetrics(version);
  const series = createPairSeries(clock.wall);
  const userAgent = `hapair-operator/${version}`;
  const kube = await connect({ kubeconfigPath, userAgent, callConnections: CONNECTIONS });
  // Connections of its own: renewals must not stand in line behind the writes of a thousand pairs.
  const electorKube = await connect({ kubeconfigPath, userAgent: `${userAgent} leader-election` });
  const leaderLease = `${namespace}/${LEADER_LEASE}`;
  const elector = createElector({
    ...config.election,
    client: { get: electorKube.get, ...counted(electorKube, metrics.kubernetesWrote) },
    key: leaderLease,
    identity,
    clock,
    onError: (error) => log.warn({ error: messageOf(error) }, 'the Lease was not read or renewed'),
  });
  const writes = guarded(counted(kube, metrics.kubernetesWrote), elector.isLeader);
  const budget = createBudget({ clock, onTurn: (key) => queue.addUrgent(key) });
  const ec2 = createEC2({
    api: connectSDK({ defaultRegion: region, wall: clock.wall, mayWrite: elector.isLeader }),
    clock,
    budget,
    onAnswer: (action, result, ms) => metrics.ec2Answered(action, resultOf(result), ms / 1000),
  });
  const reachability = createReachability(ec2, region, clock, Math.random);
  const claims = createClaimIndex(region);
  const life = createLifeBook();
  const queue = new WorkQueue();
  const events = createEventRecorder({
    client: writes,
    controller: 'hapair.io/operator',
    instance: identity.slice(0, INSTANCE_CHARACTERS),
    signal,
    log,
  });

  /** From the moment at which this process leads and its stores are fresh. */
  let isWorking = false;
  let ledSinceMs = Number.POSITIVE_INFINITY;
  /** A pair that was never elected has no failover to hurry for: those of others need not wait behind thousands of new ones. */
  const requeue = (key: Key): void => {
    if (!isWorking) return;
    const hasServed = (pairs.get(key)?.status?.term ?? 0) > 0;
    if (hasServed) queue.add(key);
    else queue.addAfter(key, 0);
  };
  const read: EC2['read'] = async (...request) => {
    const result = await ec2.read(...request);
    reachability.note(result);
    return result;
  };
  /** Calls that are under way. */
  let moving = 0;
  const call: EC2['call'] = (...request) => {
    moving++;
    return ec2.call(...request).finally(() => moving--);
  };
  const views = createViews({
    ec2: { read, facts: ec2.facts },
    clock,
    random: Math.random,
    onRead: (key, asked) => {
      if (asked) requeue(key);
      else if (isWorking) queue.addAfter(key, 0);
    },
    isMoving: () =>
      moving > 0 ||
      budget.levels().some(({ action, waiting }) => waiting > 0 && !action.startsWith('Describe')),
    signal,
    log,
  });
  /** A standby plans nothing; what stands in spec and status is what its first plan will ask for. */
  const keepWarm = (key: Key, pair: HAPair | undefined): void => {
    if (!pair) {
      views.forget(key);
      return;
    }
    views.cover(key, scopeOf(pair, pair.spec, region));
    if (!views.of(key).view) views.want(key, clock.now());
  };

  const { pairs, instances, leases } = watchAll({
    kube,
    namespace,
    leaderLease,
    life,
    clock,
    onPair: (key, pair) => {
      series.observe(key, pair);
      for (const other of claims.update(key, pair)) requeue(other);
      if (isWorking) requeue(key);
      else keepWarm(key, pair);
    },
    onInstanceOf: requeue,
    onLeaderLease: elector.nudge,
    signal,
    log,
  });
  const stores = Object.entries({ hapairs: pairs, vrrpinstances: instances, leases });

  const reconciler = createReconciler(
    {
      pairs,
      instances,
      kube: writes,
      ec2: { call },
      budget,
      mayWrite: elector.isLeader,
      views,
      claims,
      life,
      events,
      clock,
      random: Math.random,
      log,
      problemsOf,
      requeue,
      ledSinceMs: () => ledSinceMs,
      onStatusWritten: metrics.statusWritten,
    },
    { region, agentUsernameTemplate, ...(config.requireTag && { requireTag: config.requireTag }) },
    // Calls under way when leadership is given up are waited for, not cut.
    new AbortController().signal,
  );

  const handle = async (key: Key): Promise<HandleResult> => {
    const startedMs = clock.now();
    const seconds = (): number => (clock.now() - startedMs) / 1000;
    try {
      const result = await reconciler.reconcile(key);
      metrics.stepped(result === undefined ? 'Done' : 'Requeued', seconds());
      return result;
    } catch (error) {
      metrics.stepped('Failed', seconds());
      throw error;
    }
  };

  const tellElected = (): void => {
    log.info({ reason: 'LeaderElected', identity }, 'leading');
    const lease = leases.get(leaderLease) ?? { metadata: { name: LEADER_LEASE, namespace } };
    events.record({
      regarding: referenceTo(lease, LEASES),
      type: 'Normal',
      reason: 'LeaderElected',
      message: `${identity} leads and makes the writes.`,
    });
  };

  /** Resolves when the loop has ended, or was ended before it began. */
  const work = async (): Promise<void> => {
    await Promise.race([elector.elected, finished]);
    if (finishing.signal.aborted) return;
    ledSinceMs = clock.now();
    tellElected();
    // What another process wrote before it was over must be known before the first decision.
    await Promise.race([Promise.all(stores.map(([, store]) => store.refresh())), finished]);
    if (finishing.signal.aborted) return;
    isWorking = true;
    for (const pair of pairs.list()) {
      const { name, namespace } = pair.metadata;
      const terms = pair.spec.nodes.map(
        (node) => instances.get(`${namespace}/${instanceName(name, node.name)}`)?.status?.term ?? 0,
      );
      // As routine: what is open, and changes from now on, come before.
      if (isFailoverOpen(pair, terms)) queue.add(keyOf(pair));
      else queue.addAfter(keyOf(pair), 0);
    }
    await queue.run({
      workers: WORKERS,
      signal: finishing.signal,
      handle,
      onError: (pair, error, retryInMs) => {
        if (isNotLeading(error)) return;
        log.error(
          { pair, error: messageOf(error), retryInMs: Math.round(retryInMs) },
          'step failed, will be repeated',
        );
      },
    });
  };

  exposeGauges(metrics.registry, {
    queue,
    watches: Object.fromEntries(stores),
    budget: budget.levels,
    isLeader: elector.isLeader,
    leaseTransitions: () => leases.get(leaderLease)?.spec?.leaseTransitions ?? 0,
    eventsDropped: events.dropped,
    now: clock.now,
  });
  const listening = Promise.withResolvers<void>();
  const election = listening.promise.then(() => elector.run(signal));
  const server = await serve({
    bindAddress: http.bindAddress,
    port: http.port ?? DEFAULT_PORT,
    healthz: [
      eventLoopCheck(clock, signal),
      taskCheck('elector', election),
      ...stores.map(([plural, store]) => watchCheck(plural, store, clock)),
    ],
    readyz: [...stores.map(([plural, store]) => syncedCheck(plural, store)), reachability.check],
    metrics: {
      contentType: metrics.registry.contentType,
      text: async () => `${await metrics.registry.metrics()}${series.text()}`,
    },
    log,
  });
  listening.resolve();
  const lost = Promise.withResolvers<void>();
  void election.then((end) => {
    if (end !== 'Lost') return;
    finishing.abort();
    lost.resolve();
  });
  const reading = Promise.all([views.run(), reachability.prove(signal)]);
  const working = work();

  return {
    identity,
    port: server.port,
    lost: lost.promise,
    async stop() {
      finishing.abort();
      const isFinished = await endsWithin(
        working.then(() => reconciler.idle()),
        FINISH_MS,
      );
      await endsWithin(events.flush(), FLUSH_MS);
      if (isFinished) await elector.release();
      else log.warn({ reason: 'LeaderLost' }, 'a call is still under way: the Lease is left to run out');
      stopping.abort();
      await reading;
      ec2.close();
      await Promise.all([server.close(), kube.close(), electorKube.close()]);
    },
  };
};
