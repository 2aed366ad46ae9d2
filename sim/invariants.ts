/**
 * The invariants of the design, watched from outside after every step. Nothing here uses the product's own reasoning: it
 * knows what each process has read, what it wrote, and what is true. A broken one names itself.
 */
import { VRRP_PROTOCOL } from '../agent/vrrp/ipv4.ts';
import {
  API_GROUP,
  FINALIZER,
  type HAPair,
  type PairAddress,
  type VRRPInstance,
  type VRRPState,
  vipsOf,
} from '../crds/types.ts';
import { type EC2Call, idsOf } from '../ec2/actions.ts';
import type { EC2View } from '../ec2/types.ts';
import type { Lease } from '../kube/lease-types.ts';
import type { Resource } from '../kube/types.ts';
import { canonical } from '../runtime/json.ts';
import type { APIWrite } from './api-client.ts';
import type { Stored } from './api-server.ts';
import type { SimulatedEC2 } from './cloud.ts';
import type { Machine } from './machine.ts';
import type { Datagram } from './network.ts';
import { LEADER_LEASE_KEY } from './operator.ts';
import { type Process, type Timeline, wallAt } from './time.ts';

/** A broken invariant. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** What is true, for the checks that compare with it. */
type Truth = {
  timeline: Timeline;
  ec2: SimulatedEC2;
  machines: readonly Machine[];
  pairs(): HAPair[];
  instancesOf(pair: HAPair): VRRPInstance[];
  /** Both directions between the two nodes are in order. */
  areLinksClean(): boolean;
  /** Every process, path and service is in order. */
  isSound(): boolean;
};

/** Instances and pairs reach EC2's end state within this time of the last fault; retries and signs of life included. */
export const CONVERGE_MS = 120_000;
/** A deletion ends within this time of the last fault. */
const DELETE_MS = 90_000;
/** What a step through threads and kernel may take. */
const STEP_MS = 60;
/** From a decision until its writes are stored, at the most, on a path in order. */
const WRITE_MS = 50;
/** How long a new Master listens before it reports its claim; written down here once more, for nothing here believes the product. */
const LISTEN_MS = 10;
/** Two that out-claim each other take terms as fast as the API server answers; nothing else takes so many. */
const RACE = { terms: 20, withinMs: 10_000 };
/** How much later than the metadata an agent may put an address on its interface: its poll, and `ip`. */
const DOOR_MS = 2_500;

/** What one operator's process knows of one pair, from what it has received. */
type Knowledge = {
  pair: HAPair | undefined;
  /** By node. */
  reports: Map<string, { state: VRRPState; term: number; version: number }>;
  /** The highest term of any Master report it has read, and whose. */
  term: number;
  masters: Set<string>;
  /** Those before, and when a report of a higher term took their place. */
  former: { masters: ReadonlySet<string>; untilMs: number };
  /** What the reports, the pin and the spec were when the last target was named (S3). */
  basis: string;
  target: string | undefined;
  unanswered: number;
  /** The newest answer of EC2 on each ENI and EIP, and when it was asked for. */
  view: Pick<EC2View, 'networkInterfaces' | 'elasticIPs'>;
  readAtMs: Map<string, number>;
};

/** What a call moves, read off the call itself; of a kind that is not known here, by its row. */
const keysOf = (call: EC2Call): readonly string[] => {
  if ('privateIPAddresses' in call) return call.privateIPAddresses;
  return 'allocationID' in call ? [call.allocationID] : idsOf(call);
};

const names = ({ vip, eipAllocationID }: Partial<PairAddress>, key: string): boolean =>
  vip === key || eipAllocationID === key;

const versionOf = (object: { metadata: { resourceVersion?: string } }): number =>
  Number(object.metadata.resourceVersion ?? 0);

export class Invariants {
  readonly #truth: Truth;
  #lease: { process: Process; untilMs: number } | undefined;
  readonly #knowledge = new Map<Process, Map<string, Knowledge>>();
  /** Kubernetes writes (Leases and Events apart) and EC2 calls, newest last. */
  readonly writes: { atMs: number; what: string }[] = [];
  /** Orders to switch that users gave, and terms recorded to yield. */
  ordersGiven = 0;
  readonly #yieldTerms = new Set<number>();
  /** The policy may have given orders of its own. */
  #isAutomatic = false;
  #seenYields = 0;
  /** When the last terms were reported, newest last. */
  readonly #termsAtMs: number[] = [];
  #disturbedAtMs = 0;
  #electionShape = '';
  #electionSinceMs = 0;
  #masterlessSinceMs = 0;
  /** The interval of the last advert that each has heard. */
  readonly #learned = new Map<Machine, number>();
  readonly #resigned: { receiver: Machine; deadlineMs: number }[] = [];
  /** Since when a VIP has been delivered to a closed door, by VIP and node. */
  readonly #doors = new Map<string, number>();

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** Something happened that no process did: a fault, an edit, a theft. */
  disturb(): void {
    this.#disturbedAtMs = this.#truth.timeline.nowMs;
  }

  /** How long everything has been in order. */
  get calmMs(): number {
    return this.#truth.timeline.nowMs - this.#disturbedAtMs;
  }

  /** An operator's process received this state of an object. */
  onRead(process: Process, object: Stored | undefined): void {
    if (object?.kind === 'HAPair') {
      const pair = object as unknown as HAPair;
      const known = this.#of(process, `${pair.metadata.namespace}/${pair.metadata.name}`);
      if (known.pair !== undefined && known.pair.metadata.uid !== pair.metadata.uid) {
        this.#knowledge.get(process)?.delete(`${pair.metadata.namespace}/${pair.metadata.name}`);
        this.onRead(process, object);
        return;
      }
      if (known.pair === undefined || versionOf(pair) >= versionOf(known.pair))
        known.pair = structuredClone(pair);
      this.#rebase(known);
    } else if (object?.kind === 'VRRPInstance') {
      const { spec, status, metadata } = object as unknown as VRRPInstance;
      const known = this.#of(process, `${metadata.namespace}/${spec.pairName}`);
      if (status === undefined) return;
      const version = versionOf({ metadata });
      const { state, term } = status;
      if (state === 'Master' && term > known.term) {
        known.former = { masters: new Set(known.masters), untilMs: this.#truth.timeline.nowMs };
        known.masters.clear();
      }
      known.term = state === 'Master' ? Math.max(known.term, term) : known.term;
      if (state === 'Master' && term === known.term) known.masters.add(spec.nodeName);
      if ((known.reports.get(spec.nodeName)?.version ?? 0) > version) return;
      known.reports.set(spec.nodeName, { state, term, version });
      this.#rebase(known);
    }
  }

  /** A process's write is stored. */
  onWrite({ process, verb, resource, key }: APIWrite, before: Stored | undefined, after: Stored | undefined) {
    if (key === LEADER_LEASE_KEY) this.#noteLease(process, before, after);
    if (resource.group !== API_GROUP) return;
    this.#wrote(`${process.name}: ${verb} ${resource.plural} ${key}`);
    if (resource.plural !== 'hapairs') {
      this.#mustKeepTimes(resource, before, after);
      this.#mustHaveListened(before, after);
      return;
    }
    const [old, current] = [before, after] as unknown as [HAPair | undefined, HAPair | undefined];
    this.#mustKeepTimes(resource, before, after);
    this.#mustNameTheMaster(process, key, old, current);
    this.#mustBeTrue(process, key, old, current);
    this.#mustHaveSeenTheEnd(process, key, old, current);
    const recorded = current?.status?.failback?.yieldTerm ?? 0;
    if (recorded > 0) this.#yieldTerms.add(recorded);
    this.#isAutomatic ||= current?.spec.failback.policy === 'Automatic';
    if (this.#yieldTerms.size > this.ordersGiven && !this.#isAutomatic)
      this.#fail('S9 orders', `${this.#yieldTerms.size} yields were recorded for ${this.ordersGiven} orders`);
  }

  /** A process begins a call. */
  onCall(process: Process, call: EC2Call): void {
    const text = `${process.name}: ${JSON.stringify(call)}`;
    this.#wrote(text);
    const { nowMs } = this.#truth.timeline;
    if (this.#lease?.process !== process || nowMs > this.#lease.untilMs)
      this.#fail('S4 lease', `${text}, but its lease ran out`);
    const candidates = [...(this.#knowledge.get(process)?.values() ?? [])].filter(({ pair }) =>
      [...(pair?.spec.addresses ?? []), ...(pair?.status?.addresses ?? [])].some((address) =>
        keysOf(call).some((callKey) => names(address, callKey)),
      ),
    );
    const known = candidates.find(({ pair }) => this.#covers(pair, call));
    if (known?.pair === undefined) this.#fail('S2 blast radius', `${text} is neither in spec nor recorded`);
    else {
      this.#checkCall(known, known.pair, call, text);
      known.unanswered += 1;
    }
  }

  /** What Kubernetes stores went back: whatever was read of it before counts for nothing. */
  onRestored(): void {
    this.#knowledge.clear();
  }

  /** The call is answered, or given up. */
  onAnswer(process: Process, call: EC2Call): void {
    for (const known of this.#knowledge.get(process)?.values() ?? [])
      if (known.unanswered > 0 && this.#covers(known.pair, call)) known.unanswered -= 1;
  }

  /** A process received an answer of EC2 to a reading. */
  onEC2Read(process: Process, view: EC2View): void {
    for (const { view: known, readAtMs } of this.#knowledge.get(process)?.values() ?? [])
      for (const kind of ['networkInterfaces', 'elasticIPs'] as const)
        for (const [id, thing] of Object.entries(view[kind])) {
          // Of two that overtake each other the one that was begun later counts.
          if ((readAtMs.get(id) ?? 0) > view.readAtMs) continue;
          readAtMs.set(id, view.readAtMs);
          Object.assign(known[kind], { [id]: thing });
        }
  }

  /** A datagram reaches a machine; `deliver` hands it over. */
  onDatagram(receiver: Machine, { from, bytes }: Datagram, deliver: () => void): void {
    if (bytes[9] !== VRRP_PROTOCOL) throw new Error('only VRRP goes over this network');
    const sender = this.#truth.machines.find(({ node }) => node.address === from);
    const [pairKey, before] = receiver.elections.entries().next().value ?? [];
    deliver();
    const peer = pairKey === undefined ? undefined : sender?.elections.get(pairKey);
    const after = pairKey === undefined ? undefined : receiver.elections.get(pairKey);
    if (!before || !after || !peer || !receiver.runs) return;
    const priority = bytes[22] ?? 0;
    if (priority > 0) this.#learned.set(receiver, peer.config.advertisementIntervalMs);
    const comparable = ({
      version,
      virtualRouterID,
      advertisementIntervalMs,
      password,
    }: typeof peer.config) =>
      canonical([version, virtualRouterID, advertisementIntervalMs, [...(password ?? [])]]);
    if (comparable(peer.config) !== comparable(after.config)) return;
    if (priority === 0) {
      if (before.state !== 'Backup' || after.config.claim === 'Never' || !this.#truth.areLinksClean()) return;
      const { version, advertisementIntervalMs, priority: own } = after.config;
      // v3 counts with the interval of the Master's last advert, which a change may have left behind.
      const learnedMs = Math.max(advertisementIntervalMs, this.#learned.get(receiver) ?? 0);
      const skewMs = ((256 - own) * (version === 2 ? 1000 : learnedMs)) / 256;
      const deadlineMs = this.#truth.timeline.nowMs + skewMs + STEP_MS;
      this.#resigned.push({ receiver, deadlineMs });
      return;
    }
    this.#forgetResigned(receiver);
    if (before.state !== 'Master' || after.reason === 'Overslept') return;
    const own = before.config.priority;
    const yieldsTo =
      priority > own || (priority === own && addressNumber(from) > addressNumber(receiver.node.address));
    const isMaster = after.state === 'Master';
    if (isMaster === yieldsTo)
      this.#fail('V4 tie', `${receiver.name} (${own}) heard ${from} (${priority}) and is ${after.state}`);
  }

  /** Between any two steps. */
  afterStep(): void {
    this.#checkElection();
    this.#checkResigned();
    this.#checkDoors();
    this.#checkYields();
    if (!this.#truth.isSound() || this.#isHeldDown()) this.disturb();
    else this.#checkCalm();
  }

  /** The Lease counts from when a renewal is stored, which is later than the process itself may count from. */
  #noteLease(process: Process, before: Stored | undefined, after: Stored | undefined): void {
    const { holderIdentity, leaseDurationSeconds = 0 } = (after as unknown as Lease | undefined)?.spec ?? {};
    if (before === after || holderIdentity !== process.name) return;
    this.#lease = { process, untilMs: this.#truth.timeline.nowMs + leaseDurationSeconds * 1_000 };
  }

  #of(process: Process, key: string): Knowledge {
    const ofProcess = this.#knowledge.get(process) ?? new Map<string, Knowledge>();
    this.#knowledge.set(process, ofProcess);
    const known = ofProcess.get(key) ?? {
      pair: undefined,
      reports: new Map(),
      term: 0,
      masters: new Set(),
      former: { masters: new Set(), untilMs: 0 },
      basis: '',
      target: undefined,
      unanswered: 0,
      view: { networkInterfaces: {}, elasticIPs: {} },
      readAtMs: new Map(),
    };
    ofProcess.set(key, known);
    return known;
  }

  #rebase(known: Knowledge): void {
    const reports = [...known.reports].map(([node, { state, term }]) => [node, state, term]);
    const basis = canonical([reports.sort(), known.pair?.metadata.generation]);
    if (basis === known.basis) return;
    known.basis = basis;
    known.target = undefined;
  }

  #wrote(what: string): void {
    this.writes.push({ atMs: this.#truth.timeline.nowMs, what });
    if (this.writes.length > 1_000) this.writes.shift();
  }

  /** S2: each address, and the ENI with it, in spec or recorded. */
  #covers(pair: HAPair | undefined, call: EC2Call): boolean {
    if (pair === undefined) return false;
    const { spec, status } = pair;
    const interfaces = [
      ...spec.nodes.map(({ networkInterfaceID }) => networkInterfaceID),
      ...(status?.addresses ?? []).flatMap(({ networkInterfaceIDs }) => networkInterfaceIDs),
    ];
    const addresses = [...spec.addresses, ...(status?.addresses ?? [])];
    return (
      interfaces.includes(call.networkInterfaceID) &&
      keysOf(call).every((key) => addresses.some((address) => names(address, key)))
    );
  }

  #checkCall(known: Knowledge, pair: HAPair, call: EC2Call, text: string): void {
    if (known.unanswered > 0) this.#fail('S5 single step', `${text} while another call is unanswered`);
    if (pair.spec.paused) this.#fail('S1 authority', `${text} although spec.paused is set`);
    if (pair.metadata.deletionTimestamp !== undefined) return;
    const releases = call.action === 'UnassignPrivateIpAddresses' || call.action === 'DisassociateAddress';
    if (releases && !keysOf(call).some((key) => pair.spec.addresses.some((address) => names(address, key))))
      return;
    const node = pair.spec.nodes.find(
      ({ networkInterfaceID }) => networkInterfaceID === call.networkInterfaceID,
    )?.name;
    // A pin is authority, and until the pinned node is ready the elected master keeps what it has.
    if (node === undefined || node !== pair.spec.pinnedNode) {
      if (node === undefined || !known.masters.has(node))
        this.#fail(
          'S1 authority',
          `${text}, but the Masters read with term ${known.term} are ${[...known.masters].join(', ') || 'none'}`,
        );
      if (known.term < (pair.status?.term ?? 0))
        this.#fail('S1 authority', `${text} in term ${known.term}, below status.term ${pair.status?.term}`);
    }
    if (known.target !== undefined && known.target !== node)
      this.#fail('S3 no tug-of-war', `${text}, but ${known.target} was the target of the same reports`);
    known.target = node;
  }

  /** S7: a condition's time moves only with its status. */
  #mustKeepTimes(resource: Resource, before: Stored | undefined, after: Stored | undefined): void {
    const conditionsOf = (object: Stored | undefined) =>
      (object as unknown as HAPair | undefined)?.status?.conditions ?? [];
    const old = conditionsOf(before);
    for (const { type, status, lastTransitionTime } of conditionsOf(after)) {
      const previous = old.find((condition) => condition.type === type);
      if (previous?.status === status && previous.lastTransitionTime !== lastTransitionTime)
        this.#fail(
          'S7 truth',
          `${type} of ${resource.kind} stayed ${status}, and its lastTransitionTime moved`,
        );
    }
  }

  /** T18: a claim is reported once it has listened for an objection; T3: nobody claims against a living Master again and again. */
  #mustHaveListened(before: Stored | undefined, after: Stored | undefined): void {
    const [old, current] = [before, after] as unknown as [VRRPInstance | undefined, VRRPInstance | undefined];
    if (current?.status?.state !== 'Master' || old?.status?.term === current.status.term) return;
    const { nowMs } = this.#truth.timeline;
    const { nodeName, pairName } = current.spec;
    const machine = this.#truth.machines.find(({ name }) => name === nodeName);
    const election = machine?.elections.get(`${current.metadata.namespace}/${pairName}`);
    if (election?.state === 'Master' && nowMs - election.sinceMs < LISTEN_MS)
      this.#fail('T18', `${nodeName} reported a claim ${nowMs - election.sinceMs} ms after its first advert`);
    this.#termsAtMs.push(nowMs);
    if (this.#termsAtMs.length <= RACE.terms) return;
    const sinceMs = nowMs - (this.#termsAtMs.shift() ?? 0);
    if (sinceMs < RACE.withinMs) this.#fail('T3', `${RACE.terms} terms were taken within ${sinceMs} ms`);
  }

  /** S1: another node is named master only by a Master report that was read, and that is not older than what was acted on. */
  #mustNameTheMaster(
    process: Process,
    key: string,
    old: HAPair | undefined,
    current: HAPair | undefined,
  ): void {
    const { master } = current?.status ?? {};
    if (master === undefined || master === old?.status?.master) return;
    const known = this.#of(process, key);
    const actedOn = old?.status?.term ?? 0;
    const what = `${process.name}: ${master} is named master`;
    if (known.term < actedOn)
      this.#fail('S1 authority', `${what} in term ${known.term}, below status.term ${actedOn}`);
    // What was decided is stored a moment later; meanwhile a newer report may have been read.
    const { masters, untilMs } = known.former;
    const wasMaster = masters.has(master) && this.#truth.timeline.nowMs - untilMs <= WRITE_MS;
    if (!known.masters.has(master) && !wasMaster)
      this.#fail(
        'S1 authority',
        `${what}, but the Masters read with term ${known.term} are ${[...known.masters].join(', ') || 'none'}`,
      );
  }

  /** S7: Ready becomes True only after a reading that matched. */
  #mustBeTrue(process: Process, key: string, old: HAPair | undefined, current: HAPair | undefined): void {
    const readyOf = (pair: HAPair | undefined) =>
      pair?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    if (readyOf(current) !== 'True' || readyOf(old) === 'True' || current === undefined) return;
    const { view } = this.#of(process, key);
    const { paused, pinnedNode } = current.spec;
    const head = (paused ? undefined : pinnedNode) ?? current.status?.master;
    const node = current.spec.nodes.find(({ name }) => name === head);
    const isThere = ({ vip, eipAllocationID }: PairAddress): boolean => {
      const addresses = view.networkInterfaces[node?.networkInterfaceID ?? '']?.privateIPAddresses ?? [];
      const elasticIP = eipAllocationID === undefined ? undefined : view.elasticIPs[eipAllocationID];
      return (
        (vip === undefined || addresses.some(({ privateIPAddress }) => privateIPAddress === vip)) &&
        (eipAllocationID === undefined || elasticIP?.networkInterfaceID === node?.networkInterfaceID)
      );
    };
    const accepted = current.status?.conditions?.find(({ type }) => type === 'Accepted')?.status === 'True';
    const wanted = accepted ? current.spec.addresses : (current.status?.addresses ?? []);
    if (!wanted.every(isThere))
      this.#fail('S7 truth', `Ready became True, but no reading of ${process.name} matched`);
  }

  /** S8: with Unassign the finalizer goes only after EC2 was seen without the addresses. */
  #mustHaveSeenTheEnd(
    process: Process,
    key: string,
    old: HAPair | undefined,
    current: HAPair | undefined,
  ): void {
    const had = old?.metadata.finalizers?.includes(FINALIZER) === true;
    const has = current?.metadata.finalizers?.includes(FINALIZER) === true;
    if (!had || has || old?.spec.deletionPolicy !== 'Unassign') return;
    const { view } = this.#of(process, key);
    const shared = this.#truth
      .pairs()
      .filter(({ metadata }) => metadata.uid !== old.metadata.uid)
      .flatMap(({ spec }) => spec.addresses);
    for (const { vip, eipAllocationID, networkInterfaceIDs } of old.status?.addresses ?? []) {
      const isShared = shared.some(
        (other) =>
          (vip !== undefined && other.vip === vip) ||
          (eipAllocationID !== undefined && other.eipAllocationID === eipAllocationID),
      );
      if (isShared) continue;
      const holds = networkInterfaceIDs.some((id) =>
        view.networkInterfaces[id]?.privateIPAddresses.some(
          ({ privateIPAddress }) => privateIPAddress === vip,
        ),
      );
      const isUnread = networkInterfaceIDs.some((id) => view.networkInterfaces[id] === undefined);
      if (isUnread || holds)
        this.#fail(
          'S8 delete',
          `the finalizer went, and no reading showed ${vip ?? eipAllocationID} unassigned`,
        );
    }
  }

  /** S9: a Master yields at most once for each recorded order. */
  #checkYields(): void {
    const yields = this.#truth.machines.reduce((sum, machine) => sum + machine.yields.length, 0);
    if (yields === this.#seenYields) return;
    this.#seenYields = yields;
    if (yields > this.#yieldTerms.size)
      this.#fail('S9 orders', `${yields} yields for ${this.#yieldTerms.size} recorded orders`);
  }

  /** V1 and V2: once links and agents have been in order for master-down and one advert. */
  #checkElection(): void {
    const { timeline, machines } = this.#truth;
    const { nowMs } = timeline;
    const isReady = (machine: Machine) => machine.state === 'Backup' || machine.state === 'Master';
    const shape = machines
      .map((machine) => {
        const { runs, elections } = machine;
        return [...elections.values()]
          .map(
            ({ config }) =>
              `${runs} ${isReady(machine)} ${config.advertisementIntervalMs} ${config.priority}`,
          )
          .join();
      })
      .join(';');
    if (shape !== this.#electionShape || !this.#truth.areLinksClean()) {
      this.#electionShape = shape;
      this.#electionSinceMs = nowMs;
    }
    // Whoever accepts two sets of parameters waits for a Master of the slower one.
    const intervals = machines.flatMap(({ elections }) =>
      [...elections.values()].map(({ config: { advertisementIntervalMs, accept = [] } }) =>
        Math.max(advertisementIntervalMs, ...accept.map((set) => set.advertisementIntervalMs)),
      ),
    );
    const intervalMs = Math.max(...intervals, 0);
    // Three adverts, the longest skew, one advert more; v2's skew is a share of a second.
    const windowMs = 4 * intervalMs + Math.max(1_000, intervalMs) + STEP_MS;
    const masters = machines.filter(({ isMaster }) => isMaster).map(({ name }) => name);
    const candidates = machines.filter(
      (machine) =>
        isReady(machine) && [...machine.elections.values()].every(({ config }) => config.claim !== 'Never'),
    );
    if (masters.length > 0 || candidates.length === 0) this.#masterlessSinceMs = nowMs;
    if (nowMs - this.#electionSinceMs <= windowMs) return;
    if (masters.length > 1)
      this.#fail('V2 no false master', `${masters.join(' and ')} are Master on sound links`);
    if (masters.length > 0 || intervals.length !== machines.length) return;
    const isLate = nowMs - this.#masterlessSinceMs > windowMs;
    if (isLate)
      this.#fail('V1 one master', `${candidates.map(({ name }) => name).join(' and ')}: nobody is Master`);
  }

  #forgetResigned(receiver: Machine): void {
    const at = this.#resigned.findIndex((entry) => entry.receiver === receiver);
    if (at >= 0) this.#resigned.splice(at, 1);
  }

  /** V3: who hears priority 0 takes over within the skew time. */
  #checkResigned(): void {
    const { nowMs } = this.#truth.timeline;
    for (const { receiver, deadlineMs } of [...this.#resigned]) {
      const { config } = receiver.elections.values().next().value ?? {};
      const isExcused =
        !receiver.runs ||
        config === undefined ||
        config.claim === 'Never' ||
        receiver.state === 'Fault' ||
        receiver.disturbedAtMs > deadlineMs - 2_000;
      if (receiver.isMaster || isExcused) this.#forgetResigned(receiver);
      else if (nowMs > deadlineMs)
        this.#fail('V3 resign', `${receiver.name} heard priority 0 and is ${receiver.state}`);
    }
  }

  /** V5: EC2 delivers to a node whose agent runs, and its interface lacks the address. */
  #checkDoors(): void {
    const { timeline, ec2, machines } = this.#truth;
    for (const pair of this.#truth.pairs()) {
      for (const { spec } of this.#truth.instancesOf(pair)) {
        const machine = machines.find(({ name }) => name === spec.nodeName);
        const key = `${pair.metadata.namespace}/${pair.metadata.name}`;
        const runs =
          machine?.isSound === true && machine.elections.has(key) && machine.has(spec.sourceAddress);
        for (const vip of vipsOf(spec)) {
          const door = `${vip} ${spec.nodeName}`;
          const isClosed =
            runs &&
            ec2.holderOf(vip, ec2.deliveryLagMs) === machine.node.networkInterfaceID &&
            !machine.has(vip);
          if (!isClosed) this.#doors.delete(door);
          else {
            const sinceMs = Math.max(this.#doors.get(door) ?? timeline.nowMs, machine.disturbedAtMs);
            this.#doors.set(door, sinceMs);
            if (timeline.nowMs - sinceMs > ec2.imdsLagMs + DOOR_MS)
              this.#fail('V5 door', `EC2 delivers ${vip} to ${spec.nodeName}, whose interface lacks it`);
          }
        }
      }
    }
  }

  /** A flapping pair's incumbent keeps the addresses for as long as the status says: that is no rest yet. */
  #isHeldDown(): boolean {
    const nowMs = wallAt(this.#truth.timeline.nowMs);
    return this.#truth.pairs().some(({ status }) => Date.parse(status?.damping?.holdUntil ?? '') > nowMs);
  }

  /** L1, L2, L3: the world has been in order for long enough. */
  #checkCalm(): void {
    const { calmMs } = this;
    if (calmMs <= DELETE_MS) return;
    for (const pair of this.#truth.pairs()) {
      const { metadata, spec, status } = pair;
      const isHeld = spec.paused && spec.deletionPolicy === 'Unassign';
      if (metadata.deletionTimestamp !== undefined && !isHeld)
        this.#fail('L3 delete', `HAPair ${metadata.name} is still there`);
      if (calmMs <= CONVERGE_MS || spec.paused) continue;
      const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
      if (accepted?.reason === 'AddressConflict') continue;
      this.#mustBeConverged(pair);
      if ((status?.failback?.yieldTerm ?? 0) > 0)
        this.#fail('S9 orders', 'a recorded order was never consumed');
    }
    const calmSinceMs = this.#truth.timeline.nowMs - calmMs;
    const late = this.writes.at(-1);
    if (late !== undefined && late.atMs > calmSinceMs + CONVERGE_MS)
      this.#fail('L2 stay', `at rest, and yet ${late.what}`);
  }

  /** L1: EC2's holder is the unique Master, or the pinned node. */
  #mustBeConverged(pair: HAPair): void {
    const { machines, ec2 } = this.#truth;
    // What the pair never had and somebody else has stays there.
    const isHeld = (vip: string): boolean => {
      const eni = ec2.cloud.where(vip);
      return (
        eni !== undefined &&
        !machines.some(({ node }) => node.networkInterfaceID === eni) &&
        !pair.status?.addresses?.some((address) => address.vip === vip && address.placedTime !== undefined)
      );
    };
    if (pair.spec.addresses.some(({ vip }) => vip !== undefined && isHeld(vip))) return;
    const masters = machines.filter(({ isMaster }) => isMaster);
    const names = masters.map(({ name }) => name).join(' and ') || 'nobody';
    if (masters.length !== 1) this.#fail('L1 converge', `${names} is Master`);
    const wanted = masters[0]?.node.networkInterfaceID;
    for (const { vip, eipAllocationID } of pair.spec.addresses) {
      const holder = vip === undefined ? wanted : ec2.holderOf(vip);
      if (holder !== wanted) this.#fail('L1 converge', `${vip} is on ${holder}, and ${names} is Master`);
      const place = eipAllocationID === undefined ? undefined : ec2.cloud.elasticIPs.get(eipAllocationID);
      if (eipAllocationID !== undefined && place?.networkInterfaceID !== wanted)
        this.#fail(
          'L1 converge',
          `${eipAllocationID} is on ${place?.networkInterfaceID}, and ${names} is Master`,
        );
    }
    const ready = pair.status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'True')
      this.#fail('L1 converge', `Ready is ${ready?.status}: ${ready?.reason}: ${ready?.message}`);
  }

  #fail(invariant: string, what: string): never {
    throw new Violation(`${invariant}: ${what}`);
  }
}

const addressNumber = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
