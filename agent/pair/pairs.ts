/** All pairs of this node: which there are, and who hears what. Keys in, level-triggered actors out. */
import type { VRRPInstance, VRRPInstanceSpec } from '../../crds/types.ts';
import { instanceName } from '../../crds/types.ts';
import type { Key } from '../../kube/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Log } from '../../runtime/log.ts';
import { type AgentClient, createPairKube, getOrNull, VRRP_INSTANCES } from '../api/reports.ts';
import type { InstanceListener, InstanceStore } from '../api/watches.ts';
import type { Checks } from '../checks/checks.ts';
import {
  emptyRecord,
  type IMDSReading,
  type InterfaceReading,
  type PairAddresses,
  type PairDisk,
  type PairPorts,
  type PairRecord,
} from '../ports.ts';
import { beyondLimits, type Limits } from '../rules/limits.ts';
import type { CheckFinding } from '../rules/verdict.ts';
import type { FromWorker, ToWorker } from '../worker/messages.ts';
import { createHandClaims, type HandClaims } from './hand-claims.ts';
import type { AgentHandover, PairHandover } from './handover.ts';
import { LeftBehind } from './left-behind.ts';
import { Pair } from './pair.ts';
import type { PairSnapshot } from './snapshot.ts';
import type { PairView } from './view.ts';

/** What all pairs share. */
export type PairsOptions = {
  nodeName: string;
  leaseNamespace: string;
  /** The file of a pair. */
  openDisk(record: PairRecord): PairDisk;
  agentVersion: string;
  /** Of the node's owner; default: none. */
  limits?: Limits;
  client: AgentClient;
  addresses: PairAddresses;
  checks: Pick<Checks, 'follow'>;
  send(message: ToWorker): void;
  lastContactMs(): number | null;
  clock: Clock;
  /** Numbers in [0, 1) that spread retries; default Math.random. */
  random?: () => number;
  log: Log;
  /** Of the program that this one has replaced in place. */
  handover?: AgentHandover | undefined;
};

/** After a change of state EC2 is expected to follow: IMDS is read often for so long. */
const URGENT_MS = 10_000;

export class Pairs implements InstanceListener {
  readonly #options: PairsOptions;
  readonly #pairs = new Map<Key, Pair>();
  /** Pairs that are gone but for addresses of ours on the interface. */
  readonly #leftBehind: LeftBehind;
  readonly #forgetting = new Set<Pair>();
  /** Pairs that count: those that run, or are about to. */
  readonly #counted = new Set<Key>();
  #imds: IMDSReading | null = null;
  #interfaces: InterfaceReading | null = null;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #closing = false;

  readonly #handClaims: HandClaims;
  /** Pairs that the worker runs already, and that are not restored yet. */
  readonly #handedOver: Map<Key, PairHandover>;

  constructor(options: PairsOptions) {
    const { handover, send, clock } = options;
    this.#options = options;
    this.#leftBehind = new LeftBehind({ ...options, isTaken: (address) => this.#isTaken(address) });
    this.#handClaims = createHandClaims(send, clock);
    this.#handedOver = new Map(Object.entries(handover?.pairs ?? {}));
    this.#imds = handover?.imds ?? null;
    this.#interfaces = handover?.interfaces ?? null;
    if (this.#interfaces !== null) this.#leftBehind.interfaces(this.#interfaces);
  }

  /** `namespace/pairName` of every pair. */
  keys(): Key[] {
    return [...this.#pairs.keys()];
  }

  /** What can be seen of each, for metrics and health. */
  snapshot(): PairSnapshot[] {
    return [...this.#pairs.values()].map((pair) => pair.snapshot());
  }

  /**
   * Goes on with a pair from disk. A record without a spec only remembers addresses: it waits for its pair.
   * @param isServed its namespace is; else nothing is left of the pair here but the addresses that were put up for it
   */
  restore(record: PairRecord, isServed = true): void {
    if (isServed && record.spec !== null) this.#counted.add(this.#open(record).key);
    else if (isServed || record.added.length > 0) this.#leftBehind.keep(record);
  }

  /** All records are restored: what the worker runs beside, for a namespace that is served no more, ends. */
  restored(): void {
    for (const pair of this.#handedOver.keys()) this.#options.send({ type: 'remove', pair });
    this.#handedOver.clear();
  }

  /** What the program that takes this one's place must know of each pair that runs. */
  handOver(lastAdvertAtMs: Readonly<Record<Key, number>>): Omit<AgentHandover, 'lastContactMs'> {
    const pairs: Record<Key, PairHandover> = {};
    for (const [key, pair] of this.#pairs) {
      const handover = pair.handOver(lastAdvertAtMs[key] ?? null);
      if (handover !== null) pairs[key] = handover;
    }
    return { pairs, imds: this.#imds, interfaces: this.#interfaces };
  }

  /** Every pair as `hapair-agent status` shows it, by name. */
  view(): PairView[] {
    return [...this.#pairs.values()].map((pair) => pair.view()).sort((a, b) => (a.pair < b.pair ? -1 : 1));
  }

  /**
   * Makes this node Master by hand, while the API server is away.
   * @param name `namespace/pair`, or `pair` if only one namespace has it
   * @returns the pair, and why not; null: it is Master now, or was
   */
  async claimByHand(name: string): Promise<{ pair: Key; refused: string | null }> {
    const keys = this.keys().sort();
    const [pair = name, second] = keys.filter((key) => key === name || key.endsWith(`/${name}`));
    const refuse = (refused: string) => ({ pair, refused });
    if (second !== undefined) return refuse(`several pairs have this name: name one of ${keys.join(', ')}`);
    const actor = this.#pairs.get(pair);
    if (actor === undefined)
      return refuse(`this node serves no such pair; it serves ${keys.join(', ') || 'none'}`);
    if (await actor.apiAnswers()) return refuse(pinInstead(pair, this.#options.nodeName));
    return { pair, refused: await this.#handClaims.ask(pair) };
  }

  /** This node's instance `namespace/pair.node` was added, changed or deleted, as `store` has it. */
  ownChanged(store: InstanceStore, key: Key): void {
    if (this.#closing) return;
    const instance = store.get(key);
    if (instance === undefined || instance.metadata.deletionTimestamp !== undefined) {
      this.#check(store, key);
      return;
    }
    const { namespace } = instance.metadata;
    const pairKey = `${namespace}/${instance.spec.pairName}`;
    const left = this.#leftBehind.take(pairKey) ?? emptyRecord(namespace, instance.spec.pairName);
    (this.#pairs.get(pairKey) ?? this.#open(left)).desired(instance);
  }

  /** A complete list of a namespace has been read: pairs it does not show may be gone. */
  ownListed(store: InstanceStore, namespace: string): void {
    for (const pairKey of this.keys()) {
      const key = instanceKeyOf(pairKey, this.#options.nodeName);
      if (pairKey.startsWith(`${namespace}/`) && store.get(key) === undefined) this.#check(store, key);
    }
  }

  /**
   * The instance `namespace/pair.node` of a pair of ours changed, this node's or the peer's, as `store` has it. It concerns that
   * pair alone: with every pair told of every change, many pairs that fail over together would hold each other up.
   */
  peerChanged(store: InstanceStore, key: Key): void {
    const changed = store.get(key);
    if (changed === undefined) return;
    const { namespace } = changed.metadata;
    const { pairName } = changed.spec;
    const peer = store
      .list()
      .find(
        ({ metadata, spec }) =>
          metadata.namespace === namespace &&
          spec.pairName === pairName &&
          spec.nodeName !== this.#options.nodeName,
      );
    if (peer !== undefined) this.#pairs.get(`${namespace}/${pairName}`)?.peer(peer);
  }

  /** What is known of the health checks of the pair `namespace/pairName`, each of them. */
  health(key: Key, findings: readonly CheckFinding[]): void {
    this.#pairs.get(key)?.health(findings);
  }

  /** What the worker says. */
  worker(message: FromWorker): void {
    if (message.type === 'pong' || message.type === 'stopped') return;
    if (message.type === 'claimByHand') {
      this.#handClaims.answered(message);
      return;
    }
    if (message.type === 'state') this.#changedAtMs = this.#options.clock.now();
    this.#pairs.get(message.pair)?.worker(message);
  }

  /** When each pair's last advert was sent, on the monotonic clock. */
  lastAdverts(lastAdvertAtMs: Record<Key, number>): void {
    for (const [key, atMs] of Object.entries(lastAdvertAtMs)) this.#pairs.get(key)?.lastAdvert(atMs);
  }

  /** A reading of IMDS; null: unknown. */
  imds(reading: IMDSReading | null): void {
    this.#imds = reading;
    this.#leftBehind.imds(reading);
    for (const pair of this.#pairs.values()) pair.imds(reading);
  }

  /** A reading of the machine's interfaces. */
  interfaces(reading: InterfaceReading): void {
    this.#interfaces = reading;
    this.#leftBehind.interfaces(reading);
    for (const pair of this.#pairs.values()) pair.interfaces(reading);
  }

  /** Once a second. */
  tick(): void {
    for (const pair of this.#pairs.values()) pair.tick();
  }

  /** The API server answers again. */
  apiBack(): void {
    for (const pair of this.#pairs.values()) pair.apiBack();
  }

  /** EC2 is expected to move an address here or away. */
  isUrgent(): boolean {
    const recent = this.#options.clock.now() - this.#changedAtMs < URGENT_MS;
    return recent || [...this.#pairs.values()].some((pair) => !pair.isSettled);
  }

  /** The worker has resigned for good. */
  stopped(): void {
    this.#closing = true;
    for (const pair of this.#pairs.values()) pair.stopped();
  }

  /** Takes every address we added off its interface, wherever EC2 delivers it. */
  abandonAddresses(): void {
    for (const pair of this.#pairs.values()) pair.abandonAddresses();
  }

  /** No address that we added is left on an interface. */
  get isDrained(): boolean {
    return [...this.#pairs.values()].every((pair) => pair.isDrained);
  }

  /** The API server has every pair's newest report. */
  get isReported(): boolean {
    return [...this.#pairs.values()].every((pair) => pair.isReported);
  }

  /** Ends all actors; unfinished steps are waited for. */
  async close(): Promise<void> {
    await Promise.all([...this.#pairs.values()].map((pair) => pair.close()));
  }

  #beyondLimits(key: Key, spec: VRRPInstanceSpec): string | null {
    const { limits } = this.#options;
    const others = this.#counted.size - (this.#counted.has(key) ? 1 : 0);
    const why = limits === undefined ? null : beyondLimits(spec, others, limits);
    if (why === null) this.#counted.add(key);
    return why;
  }

  #isTaken(address: string): boolean {
    return [...this.#pairs.values()].some((pair) => pair.decidesOn(address));
  }

  #open(record: PairRecord): Pair {
    const { client, clock, random, log, nodeName, leaseNamespace, openDisk } = this.#options;
    const { addresses, checks, agentVersion, send, lastContactMs } = this.#options;
    const key = `${record.namespace}/${record.pairName}`;
    const place = { namespace: record.namespace, pairName: record.pairName, nodeName, leaseNamespace };
    const ports: PairPorts = {
      send,
      kube: createPairKube(client, clock, place),
      addresses,
      followChecks: (specs, sourceAddress) => checks.follow({ pair: key, sourceAddress }, specs),
      disk: openDisk(record),
      beyondLimits: (spec) => this.#beyondLimits(key, spec),
      lastContactMs,
      clock,
      ...(random && { random }),
      log,
      agentVersion,
    };
    const pair = new Pair(record, ports, this.#handedOver.get(key));
    this.#handedOver.delete(key);
    this.#pairs.set(pair.key, pair);
    if (this.#interfaces !== null) pair.interfaces(this.#interfaces);
    pair.imds(this.#imds);
    return pair;
  }

  /** Forgets a pair only after a successful read without it; a failed read is repeated. */
  #check(store: InstanceStore, key: Key): void {
    const pairKey = pairKeyOf(key, this.#options.nodeName);
    const pair = this.#pairs.get(pairKey);
    if (pair === undefined) return;
    void this.#forgetIfGone(store, key, pair).catch((error: unknown) => {
      const err = messageOf(error);
      this.#options.log.warn({ pair: pairKey, reason: 'StepFailed', err }, 'pair not forgotten yet');
      this.#options.clock.setTimer(CHECK_AGAIN_MS, () => this.#check(store, key));
    });
  }

  async #forgetIfGone(store: InstanceStore, key: Key, pair: Pair): Promise<void> {
    const found = await getOrNull<VRRPInstance>(this.#options.client, VRRP_INSTANCES, key);
    if (this.#pairs.get(pair.key) !== pair || this.#closing || this.#forgetting.has(pair)) return;
    // Forgetting, once begun, is finished, whatever comes after.
    if (found !== null && !pair.isGone) {
      pair.desired(found);
      if (found.metadata.deletionTimestamp === undefined) return;
    }
    this.#forgetting.add(pair);
    const left = await pair.forget().finally(() => this.#forgetting.delete(pair));
    this.#pairs.delete(pair.key);
    this.#counted.delete(pair.key);
    if (left !== null) this.#leftBehind.keep(left);
    // It may have been made anew meanwhile.
    if (store.get(key) !== undefined) this.ownChanged(store, key);
  }
}

/** With the API server there a person asks by it: the operator moves the addresses, and everybody sees it. */
const pinInstead = (pair: Key, nodeName: string): string => {
  const [namespace, name] = pair.split('/');
  const patch = `kubectl patch hapair ${name} -n ${namespace} --type=merge -p '{"spec":{"pinnedNode":"${nodeName}"}}'`;
  return `the API server answers, so ask by it: ${patch} (or set preferredNode for an ordered switch)`;
};

/** How soon a failed read of a missing instance is repeated. */
const CHECK_AGAIN_MS = 5_000;

/** `namespace/pair` of the instance `namespace/pair.node`; a pair's name may hold dots, a node's cannot. */
const pairKeyOf = (instanceKey: Key, nodeName: string): Key => instanceKey.slice(0, -(nodeName.length + 1));

/** `namespace/pair.node` of the pair `namespace/pair`. */
const instanceKeyOf = (pairKey: Key, nodeName: string): Key => {
  const [namespace, pairName = ''] = pairKey.split('/');
  return `${namespace}/${instanceName(pairName, nodeName)}`;
};
