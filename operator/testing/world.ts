/**
 * Kubernetes and EC2 as the reconciler's ports see them, in virtual time: writes return stored objects, the watch may lag,
 * calls take their time, and the operator's process can be killed between any two writes.
 */
import {
  agentLeaseName,
  FINALIZER,
  type HAPair,
  instanceName,
  type VRRPInstance,
  type VRRPInstanceStatus,
} from '../../crds/types.ts';
import type { EC2Call } from '../../ec2/actions.ts';
import type { ReadResult } from '../../ec2/client.ts';
import { failureOf } from '../../ec2/errors.ts';
import type { EC2Result } from '../../ec2/types.ts';
import { KubeError } from '../../kube/errors.ts';
import type { EventNote } from '../../kube/events.ts';
import { WorkQueue } from '../../kube/queue.ts';
import type { Key, KubeClient, KubeObject } from '../../kube/types.ts';
import { canonical } from '../../runtime/json.ts';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { createLifeBook } from '../life.ts';
import { Reconciler } from '../reconcile.ts';
import { createViews } from '../view.ts';
import { Cloud } from './cloud.ts';
import { pairOf, reportOf, SETTINGS } from './fixtures.ts';

export const KEY = 'prod/web';

/** Thrown into the operator to end its life between two writes. */
class Killed extends Error {}

const never = <T>(): Promise<T> => new Promise(() => undefined);

export class World {
  readonly clock = createVirtualClock();
  readonly cloud = new Cloud();
  readonly objects = new Map<string, KubeObject>();
  readonly events: EventNote[] = [];
  readonly logs: { level: 'info' | 'warn' | 'error'; message: string; fields: Record<string, unknown> }[] =
    [];
  /** Kubernetes writes and the beginnings of EC2 calls, in order. */
  readonly writes: string[] = [];
  /** How long EC2 takes to answer; its effect comes half-way. */
  callMs = 100;
  /** The next answers of EC2, instead of success; `effect` says whether it happens all the same. */
  readonly answers: { result: EC2Result; effect: boolean }[] = [];
  /** The process dies instead of the n-th write from now on; counted down. */
  killBeforeWrite = Number.POSITIVE_INFINITY;
  killed = false;
  /** Readings of EC2 that were begun. */
  reads = 0;
  /** When this process began to lead. */
  ledSinceMs = Number.NEGATIVE_INFINITY;
  /** The call budget has a token. */
  admits = true;
  /** Agents take over what they are told within 20 ms. */
  acknowledges = false;
  /** A field manager that owns a field of the instances. */
  rivals: string | undefined;
  /** Status writes are refused with this. */
  refusal: KubeError | undefined;
  /** EC2 cannot be read. */
  cloudIsAway = false;
  /** The operator leads. */
  leads = true;
  /** Rules of the API that a HAPair breaks, by its UID. */
  readonly problems = new Map<string | undefined, string[]>();
  #version = 100;
  #life = new AbortController();
  #queue = new WorkQueue();
  #book = createLifeBook();

  constructor(pair: HAPair = pairOf()) {
    this.put(`hapairs/${KEY}`, { ...pair, metadata: { ...pair.metadata, finalizers: [] } });
    this.start();
  }

  put<T extends KubeObject>(id: string, object: T): T {
    this.#version++;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.objects.set(id, stored);
    return structuredClone(stored);
  }

  get pair(): HAPair {
    return this.objects.get(`hapairs/${KEY}`) as unknown as HAPair;
  }

  instance(node: string): VRRPInstance | undefined {
    const id = `vrrpinstances/prod/${instanceName('web', node)}`;
    return this.objects.get(id) as unknown as VRRPInstance | undefined;
  }

  get isGone(): boolean {
    return !this.objects.has(`hapairs/${KEY}`);
  }

  #write(what: string): void {
    if (this.killed) throw new Killed();
    if (--this.killBeforeWrite < 0) {
      this.kill();
      throw new Killed();
    }
    this.writes.push(what);
  }

  /** The process is gone at once: nothing that it began is heard of again, but a call that reached EC2 goes on there. */
  kill(): void {
    this.killed = true;
    this.#life.abort();
  }

  start(): void {
    this.killed = false;
    this.killBeforeWrite = Number.POSITIVE_INFINITY;
    this.#life = new AbortController();
    const { signal } = this.#life;
    const { clock } = this;
    const random = () => 0.5;
    // Nothing takes time here but what the clock is told.
    const atOnce = () => Promise.resolve();
    const queue = new WorkQueue({
      now: clock.now,
      setTimer: clock.setTimer,
      random,
      yieldToEventLoop: atOnce,
    });
    this.#queue = queue;
    this.#book = createLifeBook();
    const requeue = (key: Key): void => queue.add(key);
    const log = this.#log(() => signal.aborted);
    const read = async (): Promise<ReadResult> => {
      this.reads += 1;
      const readAtMs = clock.now();
      await new Promise<void>((resolve) => clock.setTimer(5, resolve));
      if (signal.aborted) return never<ReadResult>();
      if (!this.cloudIsAway) return { view: this.cloud.view(readAtMs) };
      const failure = failureOf({ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' });
      return { view: { readAtMs, networkInterfaces: {}, elasticIPs: {} }, failure };
    };
    const views = createViews({
      ec2: { read, holders: async () => ({ holders: this.cloud.view(0).holders }), facts: () => never() },
      clock,
      random,
      onRead: requeue,
      yieldToEventLoop: atOnce,
      signal,
      log,
    });
    const reconciler = new Reconciler(
      {
        pairs: {
          get: (key) => this.objects.get(`hapairs/${key}`) as unknown as HAPair | undefined,
          shownVersion: () => String(this.#version),
        },
        instances: {
          get: (key) => this.objects.get(`vrrpinstances/${key}`) as unknown as VRRPInstance | undefined,
          shownVersion: () => String(this.#version),
        },
        kube: this.#kube(),
        ec2: { call: (_region, call) => this.#call(call, signal) },
        budget: { admit: () => this.admits, withdraw: () => undefined },
        mayWrite: () => this.leads,
        views,
        claims: { rivalOf: () => undefined, claimedElsewhere: () => [] },
        life: this.#book,
        events: { record: (note) => this.events.push(note) },
        clock,
        random,
        log,
        problemsOf: ({ metadata: { uid } }) => this.problems.get(uid) ?? [],
        requeue,
        ledSinceMs: () => this.ledSinceMs,
      },
      SETTINGS,
      signal,
    );
    void views.run();
    void queue.run({
      workers: 2,
      signal,
      handle: (key) => reconciler.reconcile(key),
      onError: (_key, error) => {
        if (!(error instanceof Killed)) log.error({ reason: 'StepFailed', error }, 'step failed');
      },
    });
    for (const node of ['node1', 'node2']) this.#observe(node);
    queue.add(KEY);
  }

  #log(isSilent: () => boolean) {
    const line =
      (level: 'info' | 'warn' | 'error') =>
      (fields: object, message: string): void => {
        if (!isSilent()) this.logs.push({ level, message, fields: fields as Record<string, unknown> });
      };
    return { info: line('info'), warn: line('warn'), error: line('error') };
  }

  #call(call: EC2Call, signal: AbortSignal): Promise<EC2Result> {
    this.#write(call.action);
    const { result, effect } = this.answers.shift() ?? { result: { ok: true }, effect: true };
    this.clock.setTimer(this.callMs / 2, () => {
      if (effect) this.cloud.apply(call);
    });
    return new Promise((resolve) =>
      this.clock.setTimer(this.callMs, () => {
        if (!signal.aborted) resolve(result);
      }),
    );
  }

  #kube(): Pick<KubeClient, 'apply' | 'patch' | 'delete'> {
    return {
      apply: async (resource, object, { subresource }) => {
        this.#write(subresource ? 'status' : 'instance');
        if (subresource && this.refusal) throw this.refusal;
        const id = `${resource.plural}/${object.metadata.namespace}/${object.metadata.name}`;
        const before = this.objects.get(id) as (KubeObject & { status?: unknown }) | undefined;
        const changed = object as KubeObject & { status?: unknown };
        if (!subresource && this.rivals !== undefined) {
          const conflicts = [{ manager: this.rivals, field: '.spec.priority' }];
          throw new KubeError('apply: 409 Conflict', { kind: 'Conflict', status: 409, conflicts });
        }
        const generation = ((before?.metadata as { generation?: number } | undefined)?.generation ?? 0) + 1;
        const after = subresource
          ? { ...before, metadata: before?.metadata ?? object.metadata, status: changed.status }
          : {
              ...changed,
              metadata: { ...changed.metadata, generation },
              ...(before?.status !== undefined && { status: before.status }),
            };
        this.#queue.add(KEY);
        if (!subresource && this.acknowledges) this.clock.setTimer(20, () => this.#acknowledge(id));
        return this.put(id, after) as unknown as typeof object;
      },
      patch: async <T extends KubeObject>(_resource: unknown, _key: Key, operations: readonly object[]) => {
        this.#write('finalizer');
        const adds = operations.some((operation) => 'op' in operation && operation.op === 'add');
        const { metadata } = this.pair;
        const after = { ...this.pair, metadata: { ...metadata, finalizers: adds ? [FINALIZER] : [] } };
        const stored = this.put(`hapairs/${KEY}`, after);
        if (metadata.deletionTimestamp !== undefined && !adds) this.objects.delete(`hapairs/${KEY}`);
        this.#queue.add(KEY);
        return stored as unknown as T;
      },
      delete: async (resource, key) => {
        this.#write('delete');
        this.objects.delete(`${resource.plural}/${key}`);
      },
    };
  }

  /** The agent has this instance's spec on disk and runs it; one that may not claim is no Master. */
  #acknowledge(id: string): void {
    const instance = this.objects.get(id) as unknown as VRRPInstance | undefined;
    if (!instance?.status) return;
    const { generation } = instance.metadata;
    const state = instance.spec.claim === 'Never' ? 'Backup' : instance.status.state;
    const status = {
      ...instance.status,
      state,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
    this.put(id, { ...instance, status });
    this.#observe(instance.spec.nodeName);
    this.#queue.add(KEY);
  }

  #observe(node: string): void {
    const { status } = this.instance(node) ?? {};
    this.#book.observe(`prod/${instanceName('web', node)}`, status && canonical(status), this.clock.now());
  }

  /** The user edits the HAPair. */
  edit(change: Partial<HAPair['spec']>): void {
    const { metadata, spec } = this.pair;
    const generation = (metadata.generation ?? 0) + 1;
    this.put(`hapairs/${KEY}`, {
      ...this.pair,
      metadata: { ...metadata, generation },
      spec: { ...spec, ...change },
    });
    this.#queue.add(KEY);
  }

  /** It has the finalizer already: a deletion that comes before it is one with Retain. */
  hold(): void {
    this.put(`hapairs/${KEY}`, {
      ...this.pair,
      metadata: { ...this.pair.metadata, finalizers: [FINALIZER] },
    });
  }

  delete(): void {
    const deletionTimestamp = '2026-11-22T11:00:00Z';
    const { metadata } = this.pair;
    this.put(`hapairs/${KEY}`, { ...this.pair, metadata: { ...metadata, deletionTimestamp } });
    if ((metadata.finalizers ?? []).length === 0) this.objects.delete(`hapairs/${KEY}`);
    this.#queue.add(KEY);
  }

  report(
    node: string,
    state: VRRPInstanceStatus['state'],
    term: number,
    change: Partial<VRRPInstanceStatus> = {},
  ): void {
    const instance = this.instance(node);
    if (!instance) throw new Error(`no VRRPInstance of ${node}`);
    const status = reportOf(state, term, this.clock.now(), change);
    this.put(`vrrpinstances/prod/${instanceName('web', node)}`, { ...instance, status });
    this.#observe(node);
    this.#queue.add(KEY);
  }

  /** The agent's Lease is renewed. */
  renew(node: string): void {
    this.#book.observe(agentLeaseName(node), String(this.clock.now()), this.clock.now());
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  condition(type: string): string {
    const found = this.pair.status?.conditions?.find((condition) => condition.type === type);
    return found ? `${found.status} ${found.reason}` : 'absent';
  }

  /** A converged pair: node1 is master in term 1, node2 its live Backup. */
  static async converged(): Promise<World> {
    const world = new World();
    await world.pass(1000);
    world.report('node1', 'Backup', 0);
    world.report('node2', 'Backup', 0);
    await world.pass(1000);
    world.report('node1', 'Master', 1);
    world.report('node2', 'Backup', 1);
    await world.pass(2000);
    world.writes.length = 0;
    world.cloud.effects.length = 0;
    world.logs.length = 0;
    return world;
  }
}
