/**
 * One pair, its plan, and a world that does what the plan says, each step by hand and in virtual time: what is stored, what
 * EC2 has, and what the process remembers are three separate things, as in production.
 */
import type { HAPair, HAPairSpec, VRRPInstance, VRRPInstanceStatus } from '../../crds/types.ts';
import { FINALIZER } from '../../crds/types.ts';
import type { PlannedCall } from '../../delivery/types.ts';
import type { EC2Result, EC2View } from '../../ec2/types.ts';
import { callAnswered, callStarted, emptyMemory } from '../plan/memory.ts';
import type { EC2Reading, Life, PairMemory, Plan, PlanEvent } from '../plan/types.ts';
import { plan } from '../plan.ts';
import { Cloud } from './cloud.ts';
import { EPOCH_MS, pairOf, reportOf, SETTINGS } from './fixtures.ts';

export class Rig {
  nowMs = 0;
  pair: HAPair;
  instances: VRRPInstance[] = [];
  readonly cloud = new Cloud();
  memory: PairMemory = emptyMemory(0);
  reading: EC2Reading = {};
  life: Record<string, Life> = {};
  problems: string[] = [];
  rival: string | undefined;
  claimedElsewhere: string[] = [];
  requireTag: { key: string; value: string } | undefined;
  /** When this process began to lead. */
  ledSinceMs = Number.NEGATIVE_INFINITY;
  readonly events: PlanEvent[] = [];
  /** What only the operator's own readers were told. */
  readonly forOperator: PlanEvent[] = [];
  /** Every call begun, in order. */
  readonly calls: PlannedCall[] = [];
  statusWrites = 0;
  instanceWrites = 0;
  deleted = false;

  constructor(change: Partial<HAPairSpec> = {}) {
    this.pair = pairOf(change);
  }

  /** One plan, with its writes done unless `keep` leaves them out (a process that dies first). */
  step(keep: { writes?: boolean } = {}): Plan {
    const next = plan({
      nowMs: this.nowMs,
      wallMs: EPOCH_MS + this.nowMs,
      pair: this.pair,
      instances: this.instances,
      life: this.life,
      ec2: this.reading,
      ledSinceMs: this.ledSinceMs,
      memory: this.memory,
      settings: { ...SETTINGS, ...(this.requireTag && { requireTag: this.requireTag }) },
      problems: this.problems,
      claimedElsewhere: this.claimedElsewhere,
      ...(this.rival !== undefined && { rival: this.rival }),
    });
    this.memory = next.memory;
    if (next.call) {
      this.memory = callStarted(this.memory, next.call, this.nowMs);
      this.calls.push(next.call);
    }
    if (keep.writes !== false) this.write(next);
    this.events.push(...next.events);
    this.forOperator.push(...(next.forOperator ?? []));
    return next;
  }

  write(next: Plan): void {
    const { metadata } = this.pair;
    if (next.finalizer === 'add')
      this.pair = { ...this.pair, metadata: { ...metadata, finalizers: [FINALIZER] } };
    if (next.finalizer === 'remove') {
      this.pair = { ...this.pair, metadata: { ...metadata, finalizers: [] } };
      this.deleted = metadata.deletionTimestamp !== undefined;
    }
    if (next.status) {
      this.pair = { ...this.pair, status: structuredClone(next.status) };
      this.statusWrites++;
    }
    for (const wanted of next.instances) {
      const before = this.instances.find(({ metadata: { name } }) => name === wanted.metadata.name);
      this.instances = this.instances.filter((instance) => instance !== before);
      const { generation = 0 } = before?.metadata ?? {};
      const metadata = { ...wanted.metadata, generation: generation + 1 };
      this.instances.push({
        ...structuredClone({ ...wanted, metadata }),
        ...(before?.status && { status: before.status }),
      });
      this.instanceWrites++;
    }
    this.instances = this.instances.filter(({ metadata: { name } }) => !next.remove.includes(name));
  }

  edit(change: Partial<HAPairSpec>): void {
    const { metadata, spec } = this.pair;
    const generation = (metadata.generation ?? 0) + 1;
    this.pair = { ...this.pair, metadata: { ...metadata, generation }, spec: { ...spec, ...change } };
  }

  /** The user takes the pin away. */
  unpin(): void {
    const { pinnedNode: _gone, ...spec } = this.pair.spec;
    this.pair = { ...this.pair, spec };
    this.edit({});
  }

  delete(): void {
    const deletionTimestamp = '2026-11-22T11:00:00Z';
    const { metadata } = this.pair;
    this.pair = { ...this.pair, metadata: { ...metadata, deletionTimestamp } };
    this.deleted = (metadata.finalizers ?? []).length === 0;
  }

  /** It has the finalizer, as pairs with Retain had it of earlier versions. */
  hold(): void {
    this.pair = { ...this.pair, metadata: { ...this.pair.metadata, finalizers: [FINALIZER] } };
  }

  instance(node: string): VRRPInstance {
    const found = this.instances.find(({ spec }) => spec.nodeName === node);
    if (!found) throw new Error(`no VRRPInstance of ${node}`);
    return found;
  }

  /** The agent on `node` reports, which is a sign of life. */
  report(
    node: string,
    state: VRRPInstanceStatus['state'],
    term: number,
    change: Partial<VRRPInstanceStatus> = {},
  ): void {
    const status = reportOf(state, term, this.nowMs, change);
    this.instances = this.instances.map((each) => (each.spec.nodeName === node ? { ...each, status } : each));
    this.alive(node);
  }

  /** The agent on `node` has what is stored on disk and runs it. */
  acknowledge(node: string): void {
    const { status, metadata } = this.instance(node);
    if (!status) throw new Error(`${node} has not reported`);
    const { generation = 0 } = metadata;
    this.instances = this.instances.map((each) =>
      each.spec.nodeName === node ? { ...each, status: { ...status, observedGeneration: generation } } : each,
    );
    this.alive(node);
  }

  /** The agent's Lease is seen renewed. */
  alive(node: string): void {
    const { lastMs } = this.life[node] ?? {};
    this.life[node] = { lastMs: this.nowMs, ...(lastMs !== undefined && { previousMs: lastMs }) };
  }

  /** EC2 is read now; `view` stands for a stale or incomplete answer. */
  read(view: EC2View = this.cloud.view(this.nowMs)): void {
    this.reading = { view };
  }

  /** The unanswered call takes effect and is answered. */
  answer(result: EC2Result = { ok: true }, effect = result.ok): void {
    const { unanswered } = this.memory.calls;
    if (!unanswered) throw new Error('no call is under way');
    if (effect) this.cloud.apply(unanswered.call);
    this.memory = callAnswered(this.memory, { result, atMs: this.nowMs, random: 1 });
  }

  /** The process dies and starts anew: only what is stored remains. */
  restart(): void {
    this.memory = emptyMemory(this.nowMs);
    this.reading = {};
    this.life = {};
  }

  pass(ms: number): void {
    this.nowMs += ms;
  }

  /** One plan; its call, if any, works a millisecond later, and a reading that it asks for is made. */
  settleOnce(): Plan {
    const next = this.step();
    this.pass(1);
    if (next.call) this.answer();
    else if (next.readSinceMs !== undefined) this.read();
    return next;
  }

  /** Plans, answers calls and reads EC2 as asked until nothing more is wanted. @throws after 30 rounds. */
  settle(): void {
    for (let round = 0; round < 30; round++) {
      this.pass(1);
      const next = this.step();
      if (next.call) {
        this.pass(1);
        this.answer();
      } else if (next.readSinceMs !== undefined) this.read();
      else if (!next.status && next.instances.length === 0 && !next.finalizer) return;
    }
    throw new Error('the pair never comes to rest');
  }

  /** A converged pair: node1 is master in term 1, node2 its live Backup. */
  static converged(change: Partial<HAPairSpec> = {}): Rig {
    const rig = new Rig(change);
    rig.settle();
    rig.report('node1', 'Backup', 0);
    rig.report('node2', 'Backup', 0);
    rig.pass(1000);
    rig.report('node1', 'Master', 1);
    rig.report('node2', 'Backup', 1);
    rig.settle();
    rig.calls.length = 0;
    rig.events.length = 0;
    rig.statusWrites = 0;
    rig.instanceWrites = 0;
    return rig;
  }

  condition(type: string): string {
    const found = this.pair.status?.conditions?.find((condition) => condition.type === type);
    return found ? `${found.status} ${found.reason}` : 'absent';
  }

  get reasons(): string[] {
    return this.events.map(({ reason }) => reason);
  }
}
