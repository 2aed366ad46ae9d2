/** The whole system on one thread: two machines, the operator, the API server, EC2 and the network between them. */
import { type HAPair, type HAPairSpec, instanceName, type VRRPInstance } from '../crds/types.ts';
import type { EC2Call } from '../ec2/actions.ts';
import type { WatchSource } from '../kube/client.ts';
import { EVENTS } from '../kube/events.ts';
import type { KubeClient } from '../kube/types.ts';
import { HAPAIRS, VRRPINSTANCES } from '../operator/resources.ts';
import { ALLOCATION, NODE1, NODE2, pairOf, VIP } from '../operator/testing/fixtures.ts';
import { formatTime } from '../runtime/time.ts';
import { type APIPath, connectTo } from './api-client.ts';
import { APIServer, type Propagation } from './api-server.ts';
import { SimulatedEC2 } from './cloud.ts';
import { Invariants, Violation } from './invariants.ts';
import { Machine } from './machine.ts';
import { type Link, Network } from './network.ts';
import { Operator, type OperatorWorld } from './operator.ts';
import { createRandom, type Random } from './random.ts';
import { type Process, Timeline, wallAt } from './time.ts';

export const KEY = 'prod/web';

/** Each pair has it; a machine says what it finds. */
const CHECK = {
  name: 'app',
  httpGet: { port: 80, path: '/healthz', scheme: 'HTTP' as const },
  periodSeconds: 2,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 1,
};

/** Lines of the story that a failure prints. */
const STORY_LINES = 150;
const STORY_LIMIT = 2_000;

type Line = { atMs: number; who: string; message: string; fields: Record<string, unknown> };

const wordOf = (value: unknown): string =>
  typeof value === 'object' ? JSON.stringify(value) : String(value);

const textOf = ({ atMs, who, message, fields }: Line): string => {
  const words = Object.entries(fields)
    .filter(([name, value]) => !['pair', 'at', 'readAt'].includes(name) && value !== undefined)
    .map(([name, value]) => `${name}=${wordOf(value)}`);
  return `${(atMs / 1000).toFixed(3).padStart(9)}  ${who.padEnd(12)} ${message} ${words.join(' ')}`;
};

export type WorldOptions = {
  /** Default 1. */
  seed?: number;
  /** What differs from the seed's pair. */
  pair?: Partial<HAPairSpec>;
};

export class World {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly api = new APIServer(this.timeline);
  readonly ec2 = new SimulatedEC2(this.timeline);
  readonly network: Network;
  readonly node1: Machine;
  readonly node2: Machine;
  readonly operator: Operator;
  /** A second replica, which a trace may start. */
  readonly standby: Operator;
  readonly invariants: Invariants;
  readonly #story: Line[] = [];
  #fault: Error | undefined;

  constructor({ seed = 1, pair = {} }: WorldOptions = {}) {
    this.random = createRandom(seed);
    const { timeline, ec2, random } = this;
    this.network = new Network(timeline, random);
    const tell = (who: string, message: string, fields: object): void => this.tell(who, message, fields);
    const machineWorld = {
      timeline,
      network: this.network,
      ec2,
      random,
      tell,
      connect: (process: Process, path: APIPath) => this.#connect(process, path),
    };
    this.node1 = new Machine(NODE1, machineWorld);
    this.node2 = new Machine(NODE2, machineWorld);
    const operatorWorld: OperatorWorld = {
      timeline,
      random,
      tell,
      connect: (process, operator) => this.#connect(process, operator.path, operator),
      connectEC2: (process, operator, connection) =>
        ec2.connect(process, connection, {
          mayCall: () => operator.mayWrite(),
          onCall: (by, call) => this.#guard(() => this.invariants.onCall(by, call)),
          onAnswer: (by, call) => this.invariants.onAnswer(by, call),
          onRead: (by, view) => this.invariants.onEC2Read(by, view),
        }),
      onFault: (error) => {
        this.#fault ??= error;
      },
    };
    this.operator = new Operator('operator', operatorWorld);
    this.standby = new Operator('standby', operatorWorld);
    this.invariants = new Invariants({
      timeline,
      ec2,
      machines: this.machines,
      pairs: () => this.pairs,
      instancesOf: ({ metadata: { namespace, name } }) =>
        (this.api.list(VRRPINSTANCES, { namespace }) as unknown as VRRPInstance[]).filter(
          ({ spec }) => spec.pairName === name,
        ),
      areLinksClean: () => this.links.every(({ isClean }) => isClean),
      isSound: () => this.isSound,
    });
    for (const machine of this.machines)
      this.network.guard(machine.node.address, (datagram, deliver) =>
        this.#guard(() => this.invariants.onDatagram(machine, datagram, deliver)),
      );
    this.createPair('web', pair);
  }

  /** Everything started, and node1 serving. */
  static async started(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    world.operator.start();
    for (const machine of world.machines) machine.start();
    await world.until('the pair is served by node1', () => world.isServedBy('node1'), 30_000);
    return world;
  }

  /** The same, and at rest: each agent has shown signs of life, node2 is ready to take over. */
  static async converged(options: WorldOptions = {}): Promise<World> {
    const world = await World.started(options);
    await world.pass(45_000);
    world.ec2.calls.length = 0;
    return world;
  }

  get machines(): readonly Machine[] {
    return [this.node1, this.node2];
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  /** Both directions between the nodes. */
  get links(): readonly Link[] {
    return [this.link(this.node1, this.node2), this.link(this.node2, this.node1)];
  }

  /** Every process, path and service is in order. */
  get isSound(): boolean {
    const { ec2, operator, standby } = this;
    const replicas = [operator, standby].filter(({ process }) => process !== undefined);
    return (
      this.machines.every((machine) => machine.isSound && machine.path.isClean) &&
      this.links.every(({ isClean }) => isClean) &&
      replicas.every(({ path }) => path.isClean) &&
      replicas.some((replica) => replica.isLeader()) &&
      !replicas.some(({ isStopped }) => isStopped) &&
      !ec2.isAway &&
      ec2.refusal === undefined &&
      ec2.staleMs === 0 &&
      ec2.omitted.size === 0 &&
      ec2.fates.length === 0
    );
  }

  get pairs(): HAPair[] {
    return this.api.list(HAPAIRS, {}) as unknown as HAPair[];
  }

  /** The pair `web`. @throws when it is gone */
  get pair(): HAPair {
    return this.api.get(HAPAIRS, KEY) as unknown as HAPair;
  }

  get isGone(): boolean {
    return this.api.find(HAPAIRS, KEY) === undefined;
  }

  /** Its VRRPInstance on a node. */
  instance(node: string): VRRPInstance {
    return this.api.get(VRRPINSTANCES, `prod/${instanceName('web', node)}`) as unknown as VRRPInstance;
  }

  link(from: Machine, to: Machine): Link {
    return this.network.link(from.node.address, to.node.address);
  }

  /** Cuts one direction. */
  cut(from: Machine, to: Machine): void {
    this.link(from, to).isCut = true;
    this.tell('network', `cut ${from.name} -> ${to.name}`, {});
  }

  /** Cuts both directions. */
  part(): void {
    this.cut(this.node1, this.node2);
    this.cut(this.node2, this.node1);
  }

  /** A node's agent, or a replica of the operator, loses the API server. */
  cutAPI(who: Machine | Operator): void {
    who.path.isCut = true;
    this.tell('network', `cut ${who.name} -> API server`, {});
  }

  healAPI(who: Machine | Operator): void {
    who.path.isCut = false;
    this.tell('network', `healed ${who.name} -> API server`, {});
  }

  /** Both directions work again. */
  heal(): void {
    for (const link of this.links) Object.assign(link, { isCut: false, loss: 0, delayMs: 0.3 });
    this.tell('network', 'healed', {});
  }

  /** The node where EC2 has the VIP and the EIP; undefined unless they agree. */
  get holder(): string | undefined {
    const vipAt = this.ec2.holderOf(VIP);
    const eipAt = this.ec2.cloud.elasticIPs.get(ALLOCATION)?.networkInterfaceID;
    if (vipAt !== eipAt) return undefined;
    return this.machines.find(({ node }) => node.networkInterfaceID === vipAt)?.name;
  }

  /** The nodes that EC2 was asked to move something to, in order. */
  get moves(): string[] {
    const nodeOf = (id: string) =>
      this.machines.find(({ node }) => node.networkInterfaceID === id)?.name ?? id;
    return this.ec2.calls.map(({ call }) => nodeOf(call.networkInterfaceID));
  }

  /** How often a Master has yielded by order. */
  get yields(): number {
    return this.machines.reduce((sum, { yields }) => sum + yields.length, 0);
  }

  /** The only running Master. */
  get master(): string | undefined {
    const masters = this.machines.filter(({ isMaster }) => isMaster);
    return masters.length === 1 ? masters[0]?.name : undefined;
  }

  /** It is Master, EC2 delivers to it, and the status says so. */
  isServedBy(node: string): boolean {
    return (
      this.master === node &&
      this.holder === node &&
      this.pair.status?.holder === node &&
      this.condition('Ready') === 'True Serving'
    );
  }

  condition(type: string): string {
    const found = this.pair.status?.conditions?.find((condition) => condition.type === type);
    return found ? `${found.status} ${found.reason}` : 'absent';
  }

  message(type: string): string {
    return this.pair.status?.conditions?.find((condition) => condition.type === type)?.message ?? '';
  }

  /** The reasons of all Events about the pair, each as often as it was told. */
  get told(): string[] {
    type Event = { reason: string; regarding: { kind: string; name: string }; series?: { count: number } };
    return (this.api.list(EVENTS, { namespace: 'prod' }) as unknown as Event[])
      .filter(({ regarding: { kind, name } }) => kind === HAPAIRS.kind && name === 'web')
      .flatMap(({ reason, series }) => Array.from({ length: series?.count ?? 1 }, () => reason));
  }

  /** A user creates a HAPair in the namespace prod. */
  createPair(name: string, change: Partial<HAPairSpec>): void {
    const { apiVersion, kind, spec } = pairOf({ healthChecks: [CHECK], ...change });
    this.api.create(HAPAIRS, { apiVersion, kind, metadata: { name, namespace: 'prod' }, spec } as never);
    this.disturb('created', { pair: name });
  }

  /** A user creates a Secret in the namespace prod. */
  createSecret(name: string, words: Record<string, string>): void {
    const data = Object.fromEntries(
      Object.entries(words).map(([key, word]) => [key, Buffer.from(word).toString('base64')]),
    );
    const secrets = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret' };
    this.api.create(secrets, { kind: 'Secret', metadata: { name, namespace: 'prod' }, data } as never);
  }

  /** A user edits the pair's spec. */
  edit(change: Partial<HAPairSpec>, name = 'web'): void {
    const pair = this.api.get(HAPAIRS, `prod/${name}`);
    const spec = { ...(pair.spec as HAPairSpec), ...change };
    this.#countOrder(pair as unknown as HAPair, change);
    this.api.replace(HAPAIRS, { ...pair, spec } as never);
    this.disturb('edited', change);
  }

  /** A user takes a field of the spec away. */
  unset(field: 'pinnedNode' | 'preferredNode'): void {
    const { [field]: _gone, ...spec } = this.pair.spec;
    this.api.replace(HAPAIRS, { ...this.pair, spec } as never);
    this.disturb('unset', { field });
  }

  /** The status is lost, as when a pair is restored from a backup of its manifest. */
  loseStatus(): void {
    const { status: _gone, ...pair } = this.pair;
    this.api.apply(HAPAIRS, pair as never, { fieldManager: 'restore', subresource: 'status' });
    this.disturb('status lost');
  }

  /** etcd is put back to what it was at `revision`. */
  restore(revision: number): void {
    this.invariants.onRestored();
    this.api.restore(revision);
    this.disturb('restored', { revision });
  }

  /** A user orders the switch to `preferredNode` now. */
  request(preferredNode: string): void {
    const { failback } = this.pair.spec;
    const requestedAt = formatTime(wallAt(this.nowMs));
    this.edit({ preferredNode, failback: { ...failback, requestedAt } });
  }

  /** kubectl delete. */
  delete(propagation: Propagation = 'Background', name = 'web'): void {
    this.api.delete(HAPAIRS, `prod/${name}`, propagation);
    this.disturb('deleted', { propagation });
  }

  /** Something happened that no process did. */
  disturb(what: string, fields: object = {}): void {
    this.invariants.disturb();
    this.tell('user', what, fields);
  }

  /** Lets time pass; every invariant is checked after every step. @throws Violation */
  async pass(ms: number): Promise<void> {
    await this.#run(ms, () => false);
  }

  /** Lets time pass until something holds. @throws Error when it does not hold within `withinMs` */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    let isSo = holds();
    if (!isSo)
      await this.#run(withinMs, () => {
        isSo = holds();
        return isSo;
      });
    if (!isSo) throw new Error(`${what}: not within ${withinMs / 1000} s\n${this.story()}`);
  }

  /** Nothing may be written to Kubernetes (Leases apart) or EC2 meanwhile (S6). */
  async staysQuiet(ms = 90_000): Promise<void> {
    const { length } = this.invariants.writes;
    await this.pass(ms);
    const late = this.invariants.writes.slice(length);
    if (late.length > 0)
      throw new Violation(`S6 quiet: ${late.map(({ what }) => what).join('; ')}\n${this.story()}`);
  }

  /** As if the operator had written this; nothing is stored. @throws Violation */
  pretendWritten(pair: HAPair): void {
    const { process } = this.operator;
    if (process === undefined) throw new Error('the operator does not run');
    const write = { process, verb: 'apply status', resource: HAPAIRS, key: KEY };
    this.invariants.onWrite(write, this.api.get(HAPAIRS, KEY), pair as never);
  }

  /** As if the operator had begun this call; nothing is called. @throws Violation */
  pretendCalled(call: EC2Call): void {
    const { process } = this.operator;
    if (process === undefined) throw new Error('the operator does not run');
    this.invariants.onCall(process, call);
  }

  /** A line of the story. */
  tell(who: string, message: string, fields: object): void {
    this.#story.push({ atMs: this.timeline.nowMs, who, message, fields: { ...fields } });
    if (this.#story.length > STORY_LIMIT) this.#story.splice(0, STORY_LIMIT / 2);
  }

  /** All that happened, as text that is equal for equal lives. */
  get whole(): string {
    return this.#story.map(textOf).join('\n');
  }

  /** What happened, newest last. */
  story(lines = STORY_LINES): string {
    return this.#story.slice(-lines).map(textOf).join('\n');
  }

  /** Every line of somebody's log that is wanted. */
  logged(who: string, isWanted: (line: Line) => boolean): Line[] {
    return this.#story.filter((line) => line.who.startsWith(who) && isWanted(line));
  }

  async #run(ms: number, isOver: () => boolean): Promise<void> {
    try {
      await this.timeline.run(ms, () => {
        this.invariants.afterStep();
        if (this.#fault) throw this.#fault;
        return isOver();
      });
    } catch (error) {
      if (error instanceof Error) error.message = `${error.message}\n${this.story()}`;
      throw error;
    }
  }

  /** A violation inside a process's own step must not end up as that process's failed step. */
  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#fault ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #countOrder({ spec }: HAPair, { preferredNode, failback }: Partial<HAPairSpec>): void {
    const isPreferred = preferredNode !== undefined && preferredNode !== spec.preferredNode;
    const isRequest =
      failback?.requestedAt !== undefined && failback.requestedAt !== spec.failback.requestedAt;
    if (isPreferred || isRequest) this.invariants.ordersGiven += 1;
  }

  #connect(process: Process, path: APIPath, operator?: Operator): KubeClient & WatchSource {
    return connectTo(this.api, this.timeline, process, path, {
      onWrite: (write, before, after) => this.#guard(() => this.invariants.onWrite(write, before, after)),
      ...(operator && {
        mayWrite: () => operator.mayWrite(),
        onRead: (by, object) => this.invariants.onRead(by, object),
      }),
    });
  }
}
