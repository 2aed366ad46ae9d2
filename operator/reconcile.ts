/**
 * One pair, once: gather, plan, act, report. The one place where the plan meets the world; everything it needs of the world is
 * a port declared here. EC2 is called without waiting: the answer puts the key back into the queue, so a slow call of one
 * pair holds up no other.
 */
import {
  agentLeaseName,
  FINALIZER,
  type HAPair,
  type HAPairStatus,
  instanceName,
  type VRRPInstance,
} from '../crds/types.ts';
import type { Budget } from '../ec2/budget.ts';
import type { EC2 } from '../ec2/client.ts';
import type { Clock } from '../kube/clock.ts';
import { isKubeError } from '../kube/errors.ts';
import { type EventNote, referenceTo } from '../kube/events.ts';
import type { Log } from '../kube/log.ts';
import type { HandleResult } from '../kube/queue.ts';
import type { Key, KubeClient, Store } from '../kube/types.ts';
import type { ClaimIndex } from './conflicts.ts';
import type { LifeBook } from './life.ts';
import { BUDGET_PATIENCE_MS } from './plan/converge.ts';
import { callAnswered, callDeferred, callStarted, describeCall, emptyMemory } from './plan/memory.ts';
import type { PairMemory, Plan, PlanInput, PlannedCall, Settings } from './plan/types.ts';
import { plan } from './plan.ts';
import { FIELD_MANAGER, HAPAIRS, VRRPINSTANCES } from './resources.ts';
import type { Views } from './view.ts';
import { createWrittenObjects } from './written.ts';

/** What the reconciler needs of the world. */
export type Ports = {
  pairs: Pick<Store<HAPair>, 'get'>;
  instances: Pick<Store<VRRPInstance>, 'get'>;
  kube: Pick<KubeClient, 'apply' | 'patch' | 'delete'>;
  ec2: Pick<EC2, 'call'>;
  /** The account's calls: a pair that must wait its turn is put back into the queue when it comes. */
  budget: Pick<Budget, 'admit' | 'withdraw'>;
  /** S4: this process leads, by its own monotonic clock. */
  mayWrite: () => boolean;
  views: Pick<Views, 'cover' | 'want' | 'of' | 'forget'>;
  claims: Pick<ClaimIndex, 'rivalOf' | 'claimedElsewhere'>;
  life: Pick<LifeBook, 'of'>;
  events: { record(note: EventNote): void };
  clock: Pick<Clock, 'now' | 'wall'>;
  random: () => number;
  log: Log;
  /** Rules of the API that an object breaks, one line each. */
  problemsOf: (pair: HAPair) => readonly string[];
  /** Puts a pair back into the queue. */
  requeue: (key: Key) => void;
  /**
   * Calls rest on readings begun at this monotonic time or later: before it another process led, and its calls may be missing
   * in what a standby read. Default: on any.
   */
  ledSinceMs?: () => number;
  /** Told of each status written, and of the one it replaced; default: nobody. */
  onStatusWritten?: (before: HAPair['status'], after: HAPairStatus) => void;
};

export type Reconciler = {
  reconcile(key: Key): Promise<HandleResult>;
  /** Resolves when no EC2 call is unanswered. */
  idle(): Promise<void>;
};

/** Of one pair; `uid` tells a HAPair from a later one of the same name. */
type Remembered = {
  uid: string | undefined;
  memory: PairMemory;
  problems?: { generation: unknown; lines: readonly string[] };
  /** Keys of its instances, whatever node they were of. */
  instanceKeys?: readonly Key[];
  /** Whose fields stood in the way of the last write of an instance. */
  conflict?: string;
};

/** @param signal aborts EC2 calls that are under way; absent ones are waited for by `idle` */
export const createReconciler = (ports: Ports, settings: Settings, signal: AbortSignal): Reconciler => {
  const { kube, clock, views, log } = ports;
  const remembered = new Map<Key, Remembered>();
  const writtenPairs = createWrittenObjects<HAPair>();
  const writtenInstances = createWrittenObjects<VRRPInstance>();
  const unanswered = new Set<Promise<void>>();

  /** @returns nothing when the HAPair is gone */
  const gather = (key: Key): { input: PlanInput; of: Remembered } | undefined => {
    const nowMs = clock.now();
    const pair = writtenPairs.freshest(key, ports.pairs.get(key), nowMs);
    if (!pair) return undefined;
    const of = remember(key, pair, nowMs);
    const { name, namespace, generation } = pair.metadata;
    const nodes = [...new Set([...pair.spec.nodes, ...(pair.status?.nodes ?? [])].map((node) => node.name))];
    of.instanceKeys = nodes.map((node) => `${namespace}/${instanceName(name, node)}`);
    const instances = of.instanceKeys.flatMap((instanceKey) => {
      const instance = writtenInstances.freshest(instanceKey, ports.instances.get(instanceKey), nowMs);
      return instance ? [instance] : [];
    });
    const life = Object.fromEntries(
      nodes.map((node) => [
        node,
        ports.life.of([agentLeaseName(node), `${namespace}/${instanceName(name, node)}`]),
      ]),
    );
    if (of.problems?.generation !== generation) of.problems = { generation, lines: ports.problemsOf(pair) };
    const rival = ports.claims.rivalOf(key);
    const input = {
      nowMs,
      wallMs: clock.wall(),
      pair,
      instances,
      life,
      ec2: views.of(key),
      memory: of.memory,
      settings,
      problems: of.problems?.lines ?? [],
      claimedElsewhere: ports.claims.claimedElsewhere(key),
      ...(rival !== undefined && { rival }),
      ...(of.conflict !== undefined && { conflict: of.conflict }),
    };
    return { input, of };
  };

  /** A HAPair of the same name but another UID starts with no memory, but for a call that is still unanswered (S5). */
  const remember = (key: Key, pair: HAPair, nowMs: number): Remembered => {
    const known = remembered.get(key);
    if (known && (known.uid === pair.metadata.uid || known.memory.call)) return known;
    const fresh = { uid: pair.metadata.uid, memory: emptyMemory(nowMs) };
    remembered.set(key, fresh);
    return fresh;
  };

  /**
   * Begins the planned call, unless this process does not lead (S4) or the account's budget has no turn for it yet.
   * @returns false: it waits for its turn
   */
  const begin = (key: Key, of: Remembered, planned: PlannedCall, region: string): boolean => {
    if (!ports.mayWrite()) return true;
    const { action } = planned.call;
    if (!ports.budget.admit(key, region, action, planned.purpose)) {
      of.memory = callDeferred(of.memory, clock.now());
      return false;
    }
    of.memory = callStarted(of.memory, planned, clock.now());
    const fields = { pair: key, node: planned.node, term: planned.term, action };
    log.info({ ...fields, reason: planned.purpose, call: describeCall(planned) }, 'call sent');
    const answered = ports.ec2.call(region, planned.call, signal).then((result) => {
      const reason = result.ok ? 'AddressesMoved' : result.code;
      const callMs = clock.now() - (of.memory.call?.startedAtMs ?? Number.NaN);
      of.memory = callAnswered(of.memory, { result, atMs: clock.now(), random: ports.random() });
      log.info({ ...fields, reason, callMs, ...(!result.ok && { error: result.message }) }, 'call answered');
      unanswered.delete(answered);
      ports.requeue(key);
    });
    unanswered.add(answered);
    return true;
  };

  /** Removals come first: `status.nodes`, by which a left-over is found again, is written after them. */
  const act = async (key: Key, of: Remembered, pair: HAPair, next: Plan): Promise<void> => {
    if (next.finalizer === 'add') await writeFinalizer(key, pair, next.finalizer);
    for (const name of next.remove) await removeInstance(`${pair.metadata.namespace}/${name}`);
    if (next.status) await writeStatus(key, pair, next);
    for (const instance of next.instances) await writeInstance(of, instance);
    if (next.finalizer === 'remove') await writeFinalizer(key, pair, next.finalizer);
  };

  const removeInstance = async (instanceKey: Key): Promise<void> => {
    try {
      await kube.delete(VRRPINSTANCES, instanceKey);
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
    }
    writtenInstances.forget(instanceKey);
    log.info({ instance: instanceKey, reason: 'Unconfigured' }, 'instance removed');
  };

  /** `test` makes the patch fail rather than undo what somebody else changed meanwhile. */
  const writeFinalizer = async (key: Key, pair: HAPair, action: 'add' | 'remove'): Promise<void> => {
    const { finalizers = [], resourceVersion } = pair.metadata;
    const at = `/metadata/finalizers/${finalizers.indexOf(FINALIZER)}`;
    const operations =
      action === 'add'
        ? [
            { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
            { op: 'add', path: '/metadata/finalizers', value: [...finalizers, FINALIZER] },
          ]
        : [
            { op: 'test', path: at, value: FINALIZER },
            { op: 'remove', path: at },
          ];
    writtenPairs.remember(key, await kube.patch<HAPair>(HAPAIRS, key, operations), clock.now());
    log.info({ pair: key, reason: action === 'add' ? 'Accepted' : 'Deleted' }, `finalizer ${action}`);
  };

  const writeStatus = async (key: Key, pair: HAPair, { status, reason }: Plan): Promise<void> => {
    const { name, namespace, uid } = pair.metadata;
    const metadata = { name, namespace, ...(uid !== undefined && { uid }) };
    const { apiVersion, kind } = pair;
    // The apply type wants a spec; the status subresource ignores everything but status.
    const object = { apiVersion, kind, metadata, status } as HAPair;
    const manager = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' as const };
    writtenPairs.remember(key, await kube.apply<HAPair>(HAPAIRS, object, manager), clock.now());
    if (status) ports.onStatusWritten?.(pair.status, status);
    const { master: node, term, holder } = status ?? {};
    log.info({ pair: key, reason, node, term, holder }, 'status written');
  };

  /** A field that somebody else owns is shown, not fought for: the condition says whose it is, and how to give it back. */
  const writeInstance = async (of: Remembered, instance: VRRPInstance): Promise<void> => {
    const { name, namespace } = instance.metadata;
    const stored = await kube
      .apply<VRRPInstance>(VRRPINSTANCES, instance, { fieldManager: FIELD_MANAGER })
      .catch((error: unknown) => {
        if (isKubeError(error, 'Conflict') && error.conflicts.length > 0) {
          const owners = error.conflicts.map(({ manager, field }) => `${field} (${manager})`);
          of.conflict = `VRRPInstance ${name} belongs to the operator, but others have taken over ${owners.join(', ')}. Delete the instance, and the operator makes it anew.`;
        }
        throw error;
      });
    delete of.conflict;
    writtenInstances.remember(`${namespace}/${name}`, stored, clock.now());
    const { nodeName: node, priority, termFloor, yieldTerm, pairName } = instance.spec;
    const fields = { pair: `${namespace}/${pairName}`, node, priority, termFloor, yieldTerm };
    log.info({ ...fields, reason: yieldTerm > 0 ? 'SwitchoverRequested' : 'Accepted' }, 'instance written');
  };

  /** Lines for what this plan learnt: a new authority, a reading that confirmed it. */
  const tell = (key: Key, before: PairMemory, { memory, reason }: Plan, wallMs: number): void => {
    const { authority } = memory;
    if (!authority) return;
    const fields = { pair: key, node: authority.node, term: authority.term };
    if (before.authority?.node !== authority.node || before.authority.term !== authority.term) {
      log.info({ ...fields, reason: 'Elected', readAt: wallMs }, 'report read');
    }
    if (memory.converged && !before.converged) log.info({ ...fields, reason }, 'read back');
  };

  const forget = (key: Key): void => {
    views.forget(key);
    ports.budget.withdraw(key);
    writtenPairs.forget(key);
    for (const instanceKey of remembered.get(key)?.instanceKeys ?? []) writtenInstances.forget(instanceKey);
    if (!remembered.get(key)?.memory.call) remembered.delete(key);
  };

  return {
    async reconcile(key) {
      const gathered = gather(key);
      if (!gathered) {
        forget(key);
        return undefined;
      }
      const { input, of } = gathered;
      const next = plan(input);
      const { view, failure } = input.ec2;
      const ledSinceMs = ports.ledSinceMs?.() ?? Number.NEGATIVE_INFINITY;
      const isOutdated = next.call !== undefined && (view?.readAtMs ?? Number.NEGATIVE_INFINITY) < ledSinceMs;
      if (isOutdated) {
        views.cover(key, next.scope);
        views.want(key, ledSinceMs);
        // The reading puts the pair back; if it fails, the status says so.
        if (!failure) return undefined;
      }
      // The field says again what the operator would write: nothing is in conflict any more.
      if (next.instances.length === 0 && of.conflict !== undefined) {
        delete of.conflict;
        ports.requeue(key);
      }
      of.memory = next.memory;
      tell(key, input.memory, next, input.wallMs);
      const waits = next.call !== undefined && !isOutdated && !begin(key, of, next.call, next.scope.region);
      if (!next.call) ports.budget.withdraw(key);
      views.cover(key, next.scope);
      if (next.readSinceMs !== undefined) views.want(key, next.readSinceMs);
      const regarding = referenceTo(input.pair, HAPAIRS);
      for (const event of next.events) ports.events.record({ regarding, ...event });
      await act(key, of, input.pair, next);
      const { requeueAfterMs } = next;
      if (requeueAfterMs === undefined) return undefined;
      return { requeueAfterMs: waits ? Math.min(requeueAfterMs, BUDGET_PATIENCE_MS) : requeueAfterMs };
    },
    async idle() {
      while (unanswered.size > 0) await Promise.all(unanswered);
    },
  };
};
