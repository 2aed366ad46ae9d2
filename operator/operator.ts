/** The operator's wiring: stores, queue, EC2 and the reconciler; the work itself is reconcile.ts, the decisions plan.ts. */
import { hostname } from 'node:os';
import type { HAPair, VRRPInstance } from '../crds/types.ts';
import { validateHAPair } from '../crds/validate.ts';
import { createBudget } from '../ec2/budget.ts';
import { createEC2 } from '../ec2/client.ts';
import { connect } from '../kube/client.ts';
import { systemClock } from '../kube/clock.ts';
import { createEventRecorder } from '../kube/events.ts';
import { LEASES, type Lease } from '../kube/lease.ts';
import type { Log } from '../kube/log.ts';
import { WorkQueue } from '../kube/queue.ts';
import type { Key } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';
import { createClaimIndex } from './conflicts.ts';
import { createLifeBook } from './life.ts';
import { canonical } from './plan/support.ts';
import { createReconciler } from './reconcile.ts';
import { HAPAIRS, VRRPINSTANCES } from './resources.ts';
import { createViews } from './view.ts';

export type OperatorConfig = {
  /** Default: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config. */
  kubeconfigPath?: string | undefined;
  region: string;
  /** `<node>` stands for the node's name. */
  agentUsernameTemplate: string;
  /** Where the agents' Leases are. */
  namespace: string;
  version: string;
};

export type Operator = {
  /** Begins no new step, waits for the answers to EC2 calls under way (each has a deadline), closes everything. */
  stop(): Promise<void>;
};

/** Pairs handled at the same time; none waits for EC2, each for a write to the API server now and then. */
const WORKERS = 32;
/** Bound on writing the last Events. */
const FLUSH_MS = 3_000;

/** `namespace/pair` of an instance's key `namespace/pair.node`; a node's name has no dot. */
const pairKeyOf = (instanceKey: Key): Key => instanceKey.slice(0, instanceKey.lastIndexOf('.'));

const problemsOf = ({ apiVersion, kind, metadata: { name, namespace }, spec }: HAPair): string[] => {
  const verdict = validateHAPair({ apiVersion, kind, metadata: { name, namespace }, spec });
  return verdict.ok ? [] : verdict.errors.map(({ path, message }) => `${path}: ${message}`);
};

/**
 * Starts the operator and returns once its stores are complete.
 *
 * Leader election will stand between the stores and the queue: until this process leads, stores and readings are kept warm
 * and no worker runs. Until it exists only one replica may run.
 */
export const startOperator = async (config: OperatorConfig, log: Log): Promise<Operator> => {
  const { kubeconfigPath, region, agentUsernameTemplate, namespace, version } = config;
  const stopping = new AbortController();
  const { signal } = stopping;
  const clock = systemClock;
  const kube = await connect({ kubeconfigPath, userAgent: `hapair-operator/${version}` });
  const ec2 = createEC2({ defaultRegion: region, now: clock.now, wall: clock.wall });
  const queue = new WorkQueue();
  const requeue = (key: Key): void => queue.add(key);
  const budget = createBudget({ clock, onTurn: requeue });
  const claims = createClaimIndex(region);
  const life = createLifeBook();
  const events = createEventRecorder({
    client: kube,
    controller: 'hapair.io/operator',
    instance: hostname(),
    signal,
    log,
  });
  const views = createViews({ ec2, clock, random: Math.random, onRead: requeue, signal, log });

  const pairs = watch<HAPair>(
    kube,
    HAPAIRS,
    {},
    {
      signal,
      log,
      onChange: (key) => {
        for (const other of claims.update(key, pairs.get(key))) queue.add(other);
        queue.add(key);
      },
    },
  );
  const instances = watch<VRRPInstance>(
    kube,
    VRRPINSTANCES,
    {},
    {
      signal,
      log,
      onChange: (key) => {
        const instance = instances.get(key);
        if (instance) life.observe(key, instance.status && canonical(instance.status), clock.now());
        else life.forget(key);
        queue.add(pairKeyOf(key));
      },
    },
  );
  const leases = watch<Lease>(
    kube,
    LEASES,
    { namespace },
    {
      signal,
      log,
      onChange: (key) => {
        const lease = leases.get(key);
        const name = key.slice(key.indexOf('/') + 1);
        if (lease) life.observe(name, lease.spec?.renewTime, clock.now());
        else life.forget(name);
      },
    },
  );

  const calls = new AbortController();
  const reconciler = createReconciler(
    {
      pairs,
      instances,
      kube,
      ec2,
      budget,
      mayWrite: () => true,
      views,
      claims,
      life,
      events,
      clock,
      random: Math.random,
      log,
      problemsOf,
      requeue,
    },
    { region, agentUsernameTemplate },
    calls.signal,
  );
  await Promise.all([pairs.synced, instances.synced, leases.synced]);
  const reading = views.run();
  const working = queue.run({
    workers: WORKERS,
    signal,
    handle: (key) => reconciler.reconcile(key),
    onError: (key, error, retryInMs) => {
      const message = error instanceof Error ? error.message : String(error);
      log.error(
        { pair: key, error: message, retryInMs: Math.round(retryInMs) },
        'step failed, will be repeated',
      );
    },
  });

  return {
    async stop() {
      await Promise.race([
        events.flush(),
        new Promise((resolve) => clock.setTimer(FLUSH_MS, () => resolve(undefined))),
      ]);
      stopping.abort();
      await Promise.all([working, reading]);
      await reconciler.idle();
      ec2.close();
      await kube.close();
    },
  };
};
