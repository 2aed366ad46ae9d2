/**
 * One pair, once: gather, plan, act, report. The one place where the plan meets the world; everything it needs of the world is
 * a port declared here. EC2 is called without waiting: the answer puts the key back into the queue, so a slow call of one
 * pair holds up no other.
 */
import type { Reason } from '../crds/conditions.ts';
import {
  agentLeaseName,
  type HAPair,
  type HAPairStatus,
  instanceName,
  type VRRPInstance,
} from '../crds/types.ts';
import type { PlannedCall } from '../delivery/types.ts';
import type { Budget } from '../ec2/budget.ts';
import type { EC2 } from '../ec2/client.ts';
import { reasonOf } from '../ec2/errors.ts';
import { type EventNote, referenceTo } from '../kube/events.ts';
import type { HandleResult } from '../kube/queue.ts';
import type { Key, KubeClient } from '../kube/types.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { formatMicroTime } from '../runtime/time.ts';
import type { ClaimIndex } from './conflicts.ts';
import type { LifeBook } from './life.ts';
import { describeCall } from './plan/calls.ts';
import {
  callAnswered,
  callDeferred,
  callStarted,
  emptyMemory,
  instanceRefused,
  instanceWritten,
} from './plan/memory.ts';
import type { PairMemory, Plan, PlanEvent, PlanInput, Settings } from './plan/types.ts';
import { plan } from './plan.ts';
import { HAPAIRS } from './resources.ts';
import type { Views } from './view.ts';
import { PairWriter, type Watched } from './writer.ts';

/** The log's reasons for a call that is sent, and for one that EC2 has accepted: those of the condition and the Event. */
const CALL_REASONS: Record<PlannedCall['purpose'], { sent: Reason; accepted: Reason }> = {
  Place: { sent: 'Moving', accepted: 'AddressesMoved' },
  Move: { sent: 'Moving', accepted: 'AddressesMoved' },
  Repair: { sent: 'Moving', accepted: 'DriftRepaired' },
  Release: { sent: 'Releasing', accepted: 'AddressReleased' },
};

/** What the reconciler needs of the world. */
type Ports = {
  pairs: Watched<HAPair>;
  instances: Watched<VRRPInstance>;
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
  /** Monotonic time since when this process leads: see `PlanInput.ledSinceMs`. Default: as there. */
  ledSinceMs?: () => number;
  /** Tells the operator's own readers, in its own namespace; default: the log alone does. */
  tellOperator?: (event: PlanEvent) => void;
  /** Told of each accepted call that put back what had been moved away; default: nobody. */
  onDriftRepaired?: () => void;
  /** Told of each status written, and of the one it replaced; default: nobody. */
  onStatusWritten?: (before: HAPair['status'], after: HAPairStatus) => void;
};

/** Of one pair; `uid` tells a HAPair from a later one of the same name. */
type Remembered = {
  uid: string | undefined;
  memory: PairMemory;
  problems: { uid: unknown; generation: unknown; lines: readonly string[] } | undefined;
  /** Keys of its instances, whatever node they were of. */
  instanceKeys: readonly Key[];
};

/** Validates a spec once for each generation of a HAPair. */
const problemsIn = (of: Remembered, pair: HAPair, problemsOf: Ports['problemsOf']): readonly string[] => {
  const { uid, generation } = pair.metadata;
  const known = of.problems;
  if (known !== undefined && known.uid === uid && known.generation === generation) return known.lines;
  const lines = problemsOf(pair);
  of.problems = { uid, generation, lines };
  return lines;
};

/** The pair has served, and it is not known that it does: what a reading shows may move addresses, or end a failover. */
const isAwaited = ({ pair }: PlanInput, { memory }: Plan): boolean =>
  (pair.status?.term ?? 0) > 0 && !memory.delivery.converged;

type Gathered = { key: Key; input: PlanInput; of: Remembered };

/** Reconciles pairs, one at a time each: gathers, plans, acts on EC2, reports to Kubernetes. */
export class Reconciler {
  readonly #ports: Ports;
  readonly #settings: Settings;
  readonly #signal: AbortSignal;
  #writer: PairWriter;
  readonly #remembered = new Map<Key, Remembered>();
  readonly #unanswered = new Set<Promise<void>>();

  /** @param signal aborts EC2 calls that are under way; those that are not aborted are waited for by `idle` */
  constructor(ports: Ports, settings: Settings, signal: AbortSignal) {
    this.#ports = ports;
    this.#settings = settings;
    this.#signal = signal;
    this.#writer = new PairWriter(ports);
  }

  /** Does the next step for one pair. @throws KubeError when a write fails: the step is to be repeated */
  async reconcile(key: Key): Promise<HandleResult> {
    const gathered = this.#gather(key);
    if (!gathered) {
      this.#forget(key);
      return undefined;
    }
    const next = plan(gathered.input);
    const isDeferred = this.#act(gathered, next);
    await this.#report(gathered, next);
    const requeueAfterMs = isDeferred ? next.requeueWhenDeferredMs : next.requeueAfterMs;
    return requeueAfterMs === undefined ? undefined : { requeueAfterMs };
  }

  /** Forgets everything but the calls that EC2 has not answered (S5): this process leads anew. */
  beginAnew(): void {
    this.#writer = new PairWriter(this.#ports);
    const nowMs = this.#ports.clock.now();
    for (const [key, of] of this.#remembered) {
      this.#ports.budget.withdraw(key);
      const { calls } = of.memory;
      if (calls.unanswered) of.memory = { ...emptyMemory(nowMs), calls };
      else this.#remembered.delete(key);
    }
  }

  /** Resolves when no EC2 call is unanswered. */
  async idle(): Promise<void> {
    while (this.#unanswered.size > 0) await Promise.all(this.#unanswered);
  }

  /** Everything that the plan depends on, as it is now; undefined: the HAPair is gone. */
  #gather(key: Key): Gathered | undefined {
    const { pairs, instances, life, views, claims, clock, problemsOf, ledSinceMs } = this.#ports;
    const nowMs = clock.now();
    const pair = this.#writer.pairOf(key, pairs);
    if (!pair) return undefined;
    const of = this.#remember(key, pair, nowMs);
    const { name, namespace } = pair.metadata;
    const nodes = [...new Set([...pair.spec.nodes, ...(pair.status?.nodes ?? [])].map((node) => node.name))];
    of.instanceKeys = nodes.map((node) => `${namespace}/${instanceName(name, node)}`);
    const signsOf = (node: string) => [agentLeaseName(node), `${namespace}/${instanceName(name, node)}`];
    const rival = claims.rivalOf(key);
    const input = {
      nowMs,
      wallMs: clock.wall(),
      pair,
      instances: of.instanceKeys.flatMap((each) => this.#writer.instanceOf(each, instances) ?? []),
      life: Object.fromEntries(nodes.map((node) => [node, life.of(signsOf(node))])),
      ec2: views.of(key),
      ...(ledSinceMs && { ledSinceMs: ledSinceMs() }),
      memory: of.memory,
      settings: this.#settings,
      problems: problemsIn(of, pair, problemsOf),
      claimedElsewhere: claims.claimedElsewhere(key),
      ...(rival !== undefined && { rival }),
    };
    return { key, input, of };
  }

  /** A HAPair of the same name but another UID starts with no memory, but for a call that is still unanswered (S5). */
  #remember(key: Key, pair: HAPair, nowMs: number): Remembered {
    const known = this.#remembered.get(key);
    if (known && (known.uid === pair.metadata.uid || known.memory.calls.unanswered)) return known;
    const fresh = {
      uid: pair.metadata.uid,
      memory: emptyMemory(nowMs),
      problems: undefined,
      instanceKeys: [],
    };
    this.#remembered.set(key, fresh);
    return fresh;
  }

  /** Does what the plan wants of EC2. @returns true: its call waits for its turn in the budget */
  #act({ key, input, of }: Gathered, next: Plan): boolean {
    const { views, budget } = this.#ports;
    of.memory = next.memory;
    this.#tell(key, input, next);
    const isDeferred = next.call !== undefined && !this.#begin(key, of, next.call, next);
    if (!next.call) budget.withdraw(key);
    views.cover(key, next.scope);
    if (next.readSinceMs !== undefined) views.want(key, next.readSinceMs, isAwaited(input, next));
    return isDeferred;
  }

  /**
   * Begins the planned call, unless this process does not lead (S4) or the account's budget has no turn for it yet.
   * @returns false: it waits for its turn
   */
  #begin(key: Key, of: Remembered, planned: PlannedCall, { scope: { region }, turn }: Plan): boolean {
    const { clock, log, budget, ec2, mayWrite, random, requeue } = this.#ports;
    if (!mayWrite()) return true;
    const { action } = planned.call;
    if (!budget.admit(key, region, action, turn ?? planned.purpose)) {
      of.memory = callDeferred(of.memory, clock.now());
      return false;
    }
    const startedAtMs = clock.now();
    of.memory = callStarted(of.memory, planned, startedAtMs);
    const fields = { pair: key, node: planned.node, term: planned.term, action };
    const { purpose } = planned;
    const { sent, accepted } = CALL_REASONS[purpose];
    log.info({ ...fields, reason: sent, purpose, call: describeCall(planned) }, 'call sent');
    const answered = ec2.call(region, planned.call, this.#signal).then((result) => {
      const reason = result.ok ? accepted : reasonOf(result.class);
      const callMs = clock.now() - startedAtMs;
      of.memory = callAnswered(of.memory, { result, atMs: clock.now(), random: random() });
      const error = result.ok ? {} : { code: result.code, error: result.message };
      log[result.ok ? 'info' : 'warn']({ ...fields, reason, callMs, ...error }, 'call answered');
      if (result.ok && purpose === 'Repair') this.#ports.onDriftRepaired?.();
      this.#unanswered.delete(answered);
      requeue(key);
    });
    this.#unanswered.add(answered);
    return true;
  }

  /** Lines for what this plan learnt: a new authority, a reading that confirmed it. */
  #tell(key: Key, { memory: before, wallMs }: PlanInput, { memory, forOperator = [] }: Plan): void {
    const { log, tellOperator } = this.#ports;
    for (const event of forOperator) {
      log.warn({ pair: key, reason: event.reason, error: event.message }, 'an address is held elsewhere');
      tellOperator?.(event);
    }
    const { head } = memory.authority;
    if (!head) return;
    const fields = { pair: key, node: head.node, term: head.term };
    const known = before.authority.head;
    if (known?.node !== head.node || known.term !== head.term)
      log.info({ ...fields, reason: 'Elected', readAt: formatMicroTime(wallMs) }, 'report read');
    if (memory.delivery.converged && !before.delivery.converged)
      log.info({ ...fields, reason: 'Converged' }, 'read back');
  }

  /** Tells Kubernetes: Events, and what is to be stored. */
  async #report({ key, input, of }: Gathered, next: Plan): Promise<void> {
    const regarding = referenceTo(input.pair, HAPAIRS);
    for (const event of next.events) this.#ports.events.record({ regarding, ...event });
    await this.#writer.write(key, input.pair, next, (conflict) => {
      of.memory = conflict === undefined ? instanceWritten(of.memory) : instanceRefused(of.memory, conflict);
    });
  }

  #forget(key: Key): void {
    const { views, budget } = this.#ports;
    views.forget(key);
    budget.withdraw(key);
    const known = this.#remembered.get(key);
    this.#writer.forget(key, known?.instanceKeys ?? []);
    if (!known?.memory.calls.unanswered) this.#remembered.delete(key);
  }
}
