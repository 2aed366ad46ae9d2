/** A machine with a replica of the operator, which is the product's: its processes come and go, its surroundings are in virtual time. */
import { Registry } from 'prom-client';
import type { EC2API, EC2Connection } from '../ec2/api.ts';
import type { WatchSource } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import type { KubeClient } from '../kube/types.ts';
import { LEADER_LEASE } from '../operator/config.ts';
import { type Operator as Replica, runOperator } from '../operator/operator.ts';
import { SETTINGS } from '../operator/testing/fixtures.ts';
import { APIPath } from './api-client.ts';
import type { Random } from './random.ts';
import { Process, type Timeline } from './time.ts';

const NAMESPACE = 'hapair-system';
/** Key of the replicas' Lease. */
export const LEADER_LEASE_KEY = `${NAMESPACE}/${LEADER_LEASE}`;

/** What an operator is part of. */
export type OperatorWorld = {
  timeline: Timeline;
  random: Random;
  connect(process: Process, operator: Operator): KubeClient & WatchSource;
  connectEC2(process: Process, operator: Operator, connection: EC2Connection): EC2API;
  tell(who: string, message: string, fields: object): void;
  /** A step failed with something that no outage explains. */
  onFault(error: Error): void;
};

/** One replica's machine: processes come and go on it. */
export class Operator {
  readonly name: string;
  readonly path = new APIPath();
  process: Process | undefined;
  /** The process dies instead of making the n-th write from now on, Kubernetes' and EC2's together; counted down. */
  dieBeforeWrite = Number.POSITIVE_INFINITY;
  readonly #world: OperatorWorld;
  readonly #bootMs: number;
  #replica: Replica | undefined;
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

  /** By its own clock. */
  isLeader(): boolean {
    return this.runs && this.#replica?.isLeader() === true;
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

  /** SIGTERM: the process ends in order. */
  end(): void {
    const { process } = this;
    if (process?.isRunning !== true) return;
    this.#world.tell(process.name, 'operator asked to end', {});
    void this.#replica?.stop().then(() => {
      this.#world.tell(process.name, 'operator ended', {});
      process.kill();
    });
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
    const { timeline, random, connect, connectEC2, tell } = this.#world;
    if (this.process && !this.process.isDead) throw new Error(`${this.name} runs already`);
    this.#lives += 1;
    const process = new Process(timeline, `${this.name}#${this.#lives}`, this.#bootMs);
    this.process = process;
    this.#replica = undefined;
    const line = (fields: object, message: string): void => tell(process.name, message, fields);
    const kube = connect(process, this);
    const running = runOperator(
      { ...SETTINGS, namespace: NAMESPACE, version: '0.1.0', identity: process.name },
      { info: line, warn: line, error: line },
      {
        kube,
        electorKube: kube,
        connectEC2: (connection) => connectEC2(process, this, connection),
        clock: process.clock,
        random: random.next,
        // No step takes time of its own.
        yieldToEventLoop: () => Promise.resolve(),
        registry: new Registry(),
        onStepFailed: (error) => {
          if (error instanceof Error && !(error instanceof KubeError)) this.#world.onFault(error);
        },
      },
    );
    void running.then((replica) => {
      if (this.process === process) this.#replica = replica;
    });
  }
}
