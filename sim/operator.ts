/**
 * A replica of the operator: the product's elector, reconciler, queue, views and watches, wired much as operator.ts wires them (there, who
 * is in a hurry overtakes others; here nothing takes time). Whatever writes asks the elector first.
 */
import type { HAPair } from '../crds/types.ts';
import { validateHAPair } from '../crds/validate.ts';
import { createBudget } from '../ec2/budget.ts';
import type { EC2 } from '../ec2/client.ts';
import { keyOf, type WatchSource } from '../kube/client.ts';
import { createElector } from '../kube/elector.ts';
import { KubeError } from '../kube/errors.ts';
import { createEventRecorder } from '../kube/events.ts';
import { WorkQueue } from '../kube/queue.ts';
import type { Key, KubeClient } from '../kube/types.ts';
import { createClaimIndex } from '../operator/conflicts.ts';
import { guarded } from '../operator/leader-client.ts';
import { createLifeBook } from '../operator/life.ts';
import { createReconciler } from '../operator/reconcile.ts';
import { watchAll } from '../operator/stores.ts';
import { SETTINGS } from '../operator/testing/fixtures.ts';
import { createViews } from '../operator/view.ts';
import { APIPath } from './api-client.ts';
import type { Random } from './random.ts';
import { Process, type Timeline } from './time.ts';

/** The Lease of the replicas. */
export const LEADER_LEASE = 'hapair-system/hapair-operator';

/** A process that lost the Lease ends, and its service manager starts another. */
const RESTART_MS = 2_000;

/** What an operator is part of. */
export type OperatorWorld = {
  timeline: Timeline;
  random: Random;
  connect(process: Process, operator: Operator): KubeClient & WatchSource;
  connectEC2(process: Process, operator: Operator): Pick<EC2, 'read' | 'call' | 'facts'>;
  tell(who: string, message: string, fields: object): void;
  /** A step failed with something that no outage explains. */
  onFault(error: Error): void;
};

const problemsOf = ({ apiVersion, kind, metadata: { name, namespace }, spec }: HAPair): string[] => {
  const verdict = validateHAPair({ apiVersion, kind, metadata: { name, namespace }, spec });
  return verdict.ok ? [] : verdict.errors.map(({ path, message }) => `${path}: ${message}`);
};

/** One replica's machine: processes come and go on it. */
export class Operator {
  readonly name: string;
  readonly path = new APIPath();
  process: Process | undefined;
  /** The process dies instead of making the n-th write from now on, Kubernetes' and EC2's together; counted down. */
  dieBeforeWrite = Number.POSITIVE_INFINITY;
  /** By its own clock. */
  isLeader: () => boolean = () => false;
  readonly #world: OperatorWorld;
  readonly #bootMs: number;
  #lives = 0;

  constructor(name: string, world: OperatorWorld) {
    this.name = name;
    this.#world = world;
    this.#bootMs = world.random.between(10_000, 100_000);
  }

  get runs(): boolean {
    return this.process?.isRunning === true;
  }

  get isStopped(): boolean {
    return this.process !== undefined && !this.process.isRunning && !this.process.isDead;
  }

  /** Asked before every write. */
  mayWrite(): boolean {
    if (!this.isLeader()) return true;
    if (--this.dieBeforeWrite >= 0) return true;
    this.kill();
    return false;
  }

  kill(): void {
    this.process?.kill();
    this.dieBeforeWrite = Number.POSITIVE_INFINITY;
    this.#world.tell(this.name, 'operator killed', {});
  }

  /** SIGSTOP. */
  stop(): void {
    this.process?.stop();
  }

  /** SIGCONT. */
  resume(): void {
    this.process?.resume();
  }

  start(): void {
    const { timeline, random, tell } = this.#world;
    if (this.process && !this.process.isDead) throw new Error(`${this.name} runs already`);
    this.#lives += 1;
    const process = new Process(timeline, `${this.name}#${this.#lives}`, this.#bootMs);
    this.process = process;
    const { clock } = process;
    const { signal } = new AbortController();
    const line = (fields: object, message: string): void => tell(process.name, message, fields);
    const log = { info: line, warn: line, error: line };
    const client = this.#world.connect(process, this);
    const elector = createElector({
      client,
      key: LEADER_LEASE,
      identity: process.name,
      clock,
      random: random.next,
      onError: () => undefined,
    });
    const kube = guarded(client, elector.isLeader);
    // No step takes time of its own.
    const breathe = () => Promise.resolve();
    const { now, setTimer } = clock;
    const queue = new WorkQueue({ now, setTimer, random: random.next, breathe });
    let isWorking = false;
    const requeue = (key: Key): void => {
      if (isWorking) queue.add(key);
    };
    const budget = createBudget({ clock, onTurn: (key) => queue.addUrgent(key) });
    const ec2 = this.#world.connectEC2(process, this);
    const claims = createClaimIndex(SETTINGS.region);
    const life = createLifeBook();
    const events = createEventRecorder({
      client: kube,
      controller: 'hapair.io/operator',
      instance: process.name,
      signal,
      clock,
      random: random.next,
    });
    const views = createViews({
      ...{ ec2, clock, random: random.next, breathe },
      ...{ onRead: requeue, signal, log },
    });
    const { pairs, instances, leases } = watchAll({
      kube: client,
      namespace: 'hapair-system',
      leaderLease: LEADER_LEASE,
      life,
      clock,
      random: random.next,
      onPair: (key, pair) => {
        for (const other of claims.update(key, pair)) requeue(other);
        requeue(key);
      },
      onInstanceOf: requeue,
      onLeaderLease: elector.nudge,
      signal,
      log,
    });
    const reconciler = createReconciler(
      {
        pairs,
        instances,
        kube,
        ec2,
        budget,
        mayWrite: elector.isLeader,
        views,
        claims,
        life,
        events,
        clock,
        random: random.next,
        log,
        problemsOf,
        requeue,
      },
      SETTINGS,
      signal,
    );
    void views.run();
    void elector.run(signal).then(() => {
      tell(process.name, 'leadership lost', {});
      process.kill();
      timeline.after(RESTART_MS, () => this.process === process && this.start());
    });
    void elector.elected
      .then(() => Promise.all([pairs.refresh(), instances.refresh(), leases.refresh()]))
      .then(() => {
        tell(process.name, 'leads', {});
        isWorking = true;
        for (const pair of pairs.list()) queue.add(keyOf(pair));
        void queue.run({
          workers: 32,
          signal,
          handle: (key) => reconciler.reconcile(key),
          onError: (key, error) => {
            tell(process.name, 'step failed', { pair: key, error: String(error) });
            if (error instanceof Error && !(error instanceof KubeError)) this.#world.onFault(error);
          },
        });
      });
    this.isLeader = () => process.isRunning && elector.isLeader();
  }
}
