/**
 * One pair on this node: a serial actor. Its inputs change the state; then everything that follows from the state is done
 * again from the top: what the worker must run, what belongs on the interface, what the report must say. Slow work goes by
 * lanes, one for each kind, so that a silent API server never keeps a VIP from the interface.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Reason } from '../../crds/conditions.ts';
import { type VRRPInstance, type VRRPInstanceSpec, type VRRPState, vipsOf } from '../../crds/types.ts';
import { KubeError, messageOf } from '../../kube/errors.ts';
import type { PairLook } from '../http/look.ts';
import { isAnswer } from '../kube.ts';
import { isDead, observeLife } from '../rules/life.ts';
import { noteReject } from '../rules/peer.ts';
import { isCutOff } from '../rules/priority.ts';
import { observeTurns, sameStatus } from '../rules/report.ts';
import type { CheckFinding } from '../rules/verdict.ts';
import type { FromWorker, WorkerConfig } from '../worker/messages.ts';
import { type Lane, openLane, type Step } from './lane.ts';
import { goOn, handoverOf, type PairHandover, withInherited } from './pair-handover.ts';
import { interfaceStep } from './pair-interface.ts';
import { isLoaded, loadStep } from './pair-load.ts';
import { reportStep, seePeer, seeTerm, statusOf } from './pair-report.ts';
import {
  deliveredTo,
  factsOf,
  faultOf,
  type Instances,
  initialState,
  interfaceNameOf,
  isLastCandidate,
  isOverwritten,
  isVerified,
  longestIntervalMs,
  mayResignToPeer,
  mustConfirmNever,
  mustWatchPeer,
  newestSpec,
  onInterface,
  orderedTerm,
  ownAddresses,
  type PairState,
  peerFaultOf,
  strandedAddresses,
  TRANSITIONS_KEPT,
  vipInterfaceOf,
  vipPlan,
  vipsUp,
  workerConfig,
} from './pair-state.ts';
import type { IMDSReading, InterfaceReading, PairPorts, PairRecord } from './pair-types.ts';
import { type PairView, viewOf } from './pair-view.ts';
import { Transitions } from './transitions.ts';

/** What the worker says about one pair. */
export type PairMessage = Exclude<FromWorker, { type: 'pong' | 'stopped' | 'claimByHand' }>;

/** While a newer Master hides this one, its Lease and report are read so often. */
const LIFE_POLL_MS = 5_000;
/** Readings of the peer further apart do not prove that the API was reachable throughout. */
const LIFE_GAP_MS = 12_000;
/** Two that overwrite each other's reports do not chase each other any faster. */
const SAY_AGAIN_MS = 10_000;
/** A worker leaves Init within so long, or its Init is reported. */
const STARTING_MS = 2_000;

export class Pair {
  readonly key: string;
  readonly #state: PairState;
  readonly #ports: PairPorts;
  readonly #lanes: Record<'load' | 'interface' | 'report' | 'read', Lane>;
  #sentConfig: WorkerConfig | null = null;
  /** The newest spec that asks for that configuration. */
  #sentSpec: VRRPInstanceSpec | null = null;
  #sentFault: Reason | null = null;
  #followed: Pick<VRRPInstanceSpec, 'healthChecks' | 'sourceAddress'> | null = null;
  /** Verdicts of the program that this one has replaced; each stands until the check has one of its own. */
  #inherited: readonly CheckFinding[] = [];
  #saidAgainAtMs = Number.NEGATIVE_INFINITY;
  #lifePolledAtMs = Number.NEGATIVE_INFINITY;
  readonly #transitions = new Transitions();

  /**
   * With a spec in `record` the election begins from disk, before the API server has answered.
   * @param handover of the program that this one has replaced in place: its worker runs already
   */
  constructor(record: PairRecord, ports: PairPorts, handover?: PairHandover) {
    this.#state = initialState(record, ports.clock.wall());
    if (handover !== undefined) {
      goOn(this.#state, handover);
      this.#sentConfig = handover.running.config;
      this.#sentSpec = handover.running.spec;
      this.#sentFault = handover.running.fault;
      this.#inherited = handover.checks;
    }
    this.#ports = ports;
    this.key = this.#state.key;
    this.#lanes = {
      load: this.#openLane('load', () => loadStep(this.#state, ports)),
      interface: this.#openLane('interface', () => interfaceStep(this.#state, ports)),
      report: this.#openLane('report', () => reportStep(this.#state, ports)),
      read: this.#openLane('read', () => this.#readStep()),
    };
  }

  /** The newest VRRPInstance that the API server has shown. */
  wish(instance: VRRPInstance): void {
    const { wish, gone } = this.#state;
    if (gone) return;
    const { uid, generation = 0 } = instance.metadata;
    // A watch may lag behind a read.
    if (wish !== null && wish.metadata.uid === uid && (wish.metadata.generation ?? 0) > generation) return;
    const probed = instance.spec.probe !== newestSpec(this.#state)?.probe;
    this.#state.wish = instance;
    this.#state.confirmedNever &&= instance.spec.claim === 'Never';
    this.#state.contact.specRead ||= isLoaded(this.#state, instance);
    if (instance.status !== undefined) seeTerm(this.#state, instance.status.term);
    this.#converge(probed);
    this.#lanes.load.kick(true);
  }

  /** The peer's VRRPInstance; null: it has none. */
  peer(instance: VRRPInstance | null): void {
    if (instance === null) this.#state.peer = undefined;
    else seePeer(this.#state, instance);
    this.#converge();
  }

  /** What is known of the pair's health checks, each of them. */
  health(findings: readonly CheckFinding[]): void {
    this.#state.checks = withInherited(findings, this.#inherited);
    this.#converge();
  }

  /** A reading of the instance metadata; null: it could not be read. */
  imds(reading: IMDSReading | null): void {
    const state = this.#state;
    state.imds = reading;
    const spec = state.loaded?.spec ?? state.wish?.spec;
    if (reading !== null && spec !== undefined) {
      const isHere = isVerified(state, spec);
      state.lastDelivered = deliveredTo(reading, spec) ?? (isHere ? state.lastDelivered : []);
      this.#arrive(state.lastDelivered);
      if (isHere && state.record.verifiedNetworkInterfaceID !== spec.networkInterfaceID) {
        state.record = { ...state.record, verifiedNetworkInterfaceID: spec.networkInterfaceID };
        state.dirty = true;
      }
    }
    this.#converge();
  }

  /** A reading of the machine's interfaces. */
  interfaces(reading: InterfaceReading): void {
    const state = this.#state;
    const before = vipInterfaceOf(state);
    state.interfaces = reading;
    const spec = state.loaded?.spec;
    const name = spec === undefined ? null : interfaceNameOf(state, spec);
    // What was put on an interface that the pair has left is taken off there first.
    const left = strandedAddresses(state).addresses.length > 0;
    if (name !== null && name !== state.record.interface && !left) {
      state.record = { ...state.record, interface: name };
      state.dirty = true;
    }
    // What could not be done to the interface as it was is tried at once on what it is now.
    this.#converge(!isDeepStrictEqual(before, vipInterfaceOf(state)));
  }

  /** What the worker says about this pair. */
  worker(message: PairMessage): void {
    const state = this.#state;
    const { log } = this.#ports;
    if (message.type === 'state') this.#enter(message.state, message.reason, message.atMs);
    else if (message.type === 'settled') {
      if (state.claim === null) return;
      state.claim.settled = true;
      log.info({ pair: this.key, at: this.#unixMs(message.atMs) }, 'settled');
    } else if (message.type === 'peer') {
      if (state.peerHeard !== message.heard)
        log.info(
          { pair: this.key, reason: message.heard ? 'PeerHeard' : 'PeerSilent', priority: message.priority },
          message.heard ? 'peer heard' : 'peer silent',
        );
      state.peerHeard = message.heard;
    } else if (message.type === 'socket') {
      state.socketTrouble =
        message.error === null ? null : { reason: 'InstanceFaulty', message: message.error };
      if (message.error !== null) log.warn({ pair: this.key, err: message.error }, 'VRRP socket failed');
    } else {
      this.#rejected(message);
      return;
    }
    this.#converge(true);
  }

  /** Anybody can send packets that are rejected: nothing that waits may be hurried by them. */
  #rejected({ cause, source, count }: Extract<PairMessage, { type: 'rejected' }>): void {
    const state = this.#state;
    const { log, clock } = this.#ports;
    log.warn({ pair: this.key, cause, source, count }, 'packet rejected');
    const spec = state.loaded?.spec;
    if (spec === undefined) return;
    const [packet, intervalMs] = [{ cause, source, count }, longestIntervalMs(spec)];
    state.rejects = noteReject(state.rejects, packet, spec.peerAddress, clock.now(), intervalMs);
    if (peerFaultOf(state, clock.now())?.message !== state.peerFault?.message) this.#converge();
  }

  /** When the pair's last advert was sent, on the monotonic clock; written to disk with the next record. */
  lastAdvert(atMs: number): void {
    this.#state.record = { ...this.#state.record, lastAdvertAtMs: this.#unixMs(atMs) };
  }

  /** What the program that takes this one's place must know; null: nothing runs. */
  handOver(lastAdvertAtMs: number | null): PairHandover | null {
    if (this.#sentConfig === null || this.#state.gone || this.#state.stopping) return null;
    const running = { config: this.#sentConfig, spec: this.#sentSpec, fault: this.#sentFault };
    return handoverOf(this.#state, running, lastAdvertAtMs);
  }

  /** What `hapair-agent status` shows. */
  view(): PairView {
    return viewOf(this.#state, this.#ports, this.#sentConfig);
  }

  /** Whether the API server answers just now: asked, not remembered. */
  async apiAnswers(): Promise<boolean> {
    try {
      await this.#ports.kube.readInstances(this.#state.record.peerNode);
      return true;
    } catch (error) {
      return isAnswer(error);
    }
  }

  /** Once a second: what depends on time alone. */
  tick(): void {
    this.#converge();
  }

  /** The API server answers again: nothing waits any longer. */
  apiBack(): void {
    this.tick();
    for (const lane of Object.values(this.#lanes)) lane.kick(true);
  }

  /** The worker has resigned for good (SIGTERM): addresses leave once EC2 delivers them elsewhere. */
  stopped(): void {
    this.#state.stopping = true;
    this.#state.startingUntilMs = Number.NEGATIVE_INFINITY;
    this.#enter('Init', 'AgentStopping', this.#ports.clock.now());
    this.#converge(true);
  }

  /** Takes every address this agent added off the interface, wherever EC2 delivers it. */
  abandonAddresses(): void {
    this.#state.abandoned = true;
    this.#lanes.interface.kick(true);
  }

  /** What can be seen of it, for metrics and health. */
  look(): PairLook {
    const state = this.#state;
    return {
      key: this.key,
      election: state.election,
      transitions: this.#transitions.list(),
      status: statusOf(state, this.#ports),
      vips: state.loaded ? vipsOf(state.loaded.spec).length : 0,
      isLoaded: state.loaded !== null,
      isFromDisk: state.loaded !== null && state.wish === null,
      isVerified: state.loaded !== null && isVerified(state, state.loaded.spec),
      isSettled: this.isSettled,
      isReported: this.isReported,
    };
  }

  /** EC2 delivers to this node just the VIPs that are on its interface: slow polling of IMDS is enough. */
  get isSettled(): boolean {
    const { vipsOnInterface, vipsDelivered } = factsOf(this.#state, this.#ports.agentVersion);
    return (
      vipsDelivered === null || isDeepStrictEqual([...vipsOnInterface].sort(), [...vipsDelivered].sort())
    );
  }

  /** None of the addresses this agent added is left on the interface. */
  get isDrained(): boolean {
    const present = onInterface(this.#state);
    return !ownAddresses(this.#state).some((address) => present.includes(address));
  }

  /** It puts this address up and takes it off as its VIP rule says. */
  decidesOn(address: string): boolean {
    const { loaded, record } = this.#state;
    return (loaded !== null && vipsOf(loaded.spec).includes(address)) || record.added.includes(address);
  }

  /** Forgotten, or about to be. */
  get isGone(): boolean {
    return this.#state.gone;
  }

  /** The API server has the newest report. */
  get isReported(): boolean {
    return this.#state.gone || sameStatus(statusOf(this.#state, this.#ports), this.#state.reported);
  }

  /**
   * The VRRPInstance is gone, by order or without one. The election ends; `onDelete: Keep`, and every object that vanished
   * without an order, leaves the interface as it is.
   * @returns what must be remembered of it: addresses we added that stay
   * @throws Error when an address cannot be taken off, or the file not be written; call it again then
   */
  async forget(): Promise<PairRecord | null> {
    const state = this.#state;
    const { send, disk, log } = this.#ports;
    const onDelete = newestSpec(state)?.onDelete ?? 'Keep';
    if (!state.gone) {
      state.gone = true;
      this.#followChecks();
      send({ type: 'remove', pair: this.key });
      log.info({ pair: this.key, reason: 'Unconfigured', onDelete }, 'pair forgotten');
    }
    await this.#lanes.interface.close();
    if (onDelete === 'Remove') await this.#removeAddresses();
    await this.close();
    // What was left behind stays known as ours, should the pair come back.
    if (state.record.added.length === 0) {
      await disk.remove();
      return null;
    }
    const left = { ...state.record, uid: null, generation: null, spec: null, secrets: [] };
    await disk.save(left);
    return left;
  }

  /** @throws Error when one cannot be taken off, or when it is not known yet what is on the interface. */
  async #removeAddresses(): Promise<void> {
    const state = this.#state;
    state.abandoned = true;
    if (state.interfaces === null && state.record.added.length > 0)
      throw new Error('the interfaces have not been read yet');
    const toRemove = () => [
      ...vipPlan(state, this.#ports.clock.now()).remove,
      ...strandedAddresses(state).addresses,
    ];
    // Each step takes one off; what comes back meanwhile is for the next call.
    let steps = onInterface(state).length + strandedAddresses(state).addresses.length;
    for (let left = toRemove(); left.length > 0; left = toRemove()) {
      if (steps === 0 || !(await interfaceStep(state, this.#ports)))
        throw new Error(`${left.join(', ')} cannot be taken off the interface yet`);
      steps -= 1;
    }
  }

  /** Ends all lanes; an unfinished step is waited for. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#lanes).map((lane) => lane.close()));
  }

  /** Everything that follows from the state. */
  #converge(fresh = false): void {
    const state = this.#state;
    const { contact } = state;
    contact.lastContactMs = this.#ports.lastContactMs();
    if (isCutOff(contact, this.#ports.clock.now())) contact.specRead = false;
    this.#judgePeer();
    if (state.claim !== null) state.claim.vipUp ||= vipsUp(state);
    this.#followChecks();
    this.#steerWorker();
    this.#yield();
    this.#serveAtLast();
    this.#sayAgain();
    const { findings } = factsOf(state, this.#ports.agentVersion);
    state.turns = observeTurns(state.turns, findings, this.#ports.clock.wall());
    this.#lanes.interface.kick(fresh);
    this.#lanes.load.kick();
    this.#lanes.report.kick(fresh);
    if (!mustWatchPeer(state)) state.silence = null;
    if (mustWatchPeer(state) || this.#mustReadSpec() || this.#mustConfirm()) this.#lanes.read.kick();
  }

  /** What somebody else has put in place of the report is said again as it is here. */
  #sayAgain(): void {
    const state = this.#state;
    const { clock, log } = this.#ports;
    const nowMs = clock.now();
    if (state.wish === null || !isOverwritten(state) || nowMs - this.#saidAgainAtMs < SAY_AGAIN_MS) return;
    this.#saidAgainAtMs = nowMs;
    log.warn({ pair: this.key, state: state.wish.status?.state }, 'report overwritten by somebody else');
    // Conditions keep their transition times from what was reported here.
    const { status: _, ...wish } = state.wish;
    state.wish = { ...wish, ...(state.reported !== undefined && { status: state.reported }) };
    state.reported = undefined;
  }

  /** Says once that the peer sends what must be rejected, and once that it is over. */
  #judgePeer(): void {
    const state = this.#state;
    const before = state.peerFault;
    state.peerFault = peerFaultOf(state, this.#ports.clock.now());
    if (before?.message === state.peerFault?.message) return;
    const { log } = this.#ports;
    if (state.peerFault !== null) log.warn({ pair: this.key, ...state.peerFault }, 'peer misconfigured');
    else log.info({ pair: this.key }, 'peer sends nothing wrong any more');
  }

  /** The spec in force may be out of date, and no newer one is on its way. */
  #mustReadSpec(): boolean {
    const { contact, loaded, wish } = this.#state;
    return !contact.specRead && loaded !== null && (wish === null || isLoaded(this.#state, wish));
  }

  /** An order to yield, or to claim never, is carried out only if it still stands. */
  #mustConfirm(): boolean {
    const term = orderedTerm(this.#state);
    return (term !== null && this.#state.confirmedYield !== term) || mustConfirmNever(this.#state);
  }

  /** The checks of the spec in force run, and no others. */
  #followChecks(): void {
    const state = this.#state;
    const spec = state.gone || state.stopping ? undefined : state.loaded?.spec;
    const { healthChecks = [], sourceAddress = '' } = spec ?? {};
    const wanted = healthChecks.length === 0 ? null : { healthChecks, sourceAddress };
    if (isDeepStrictEqual(wanted, this.#followed)) return;
    if (this.#followed !== null) this.#inherited = [];
    this.#followed = wanted;
    state.checks = withInherited(this.#ports.followChecks(healthChecks, sourceAddress), this.#inherited);
  }

  #steerWorker(): void {
    const state = this.#state;
    if (state.stopping || state.gone) return;
    if (this.#isMoved()) this.#restart();
    const config = workerConfig(state, this.#ports.clock.now());
    if (config !== null && !isDeepStrictEqual(config, this.#sentConfig)) {
      if (this.#sentConfig === null) state.startingUntilMs = this.#ports.clock.now() + STARTING_MS;
      this.#sentConfig = config;
      this.#ports.send({ type: 'set', pair: this.key, config });
    }
    if (this.#sentConfig === null) return;
    if (config !== null) this.#sentSpec = state.loaded?.spec ?? null;
    const fault = faultOf(state)?.reason ?? null;
    if (fault === this.#sentFault) return;
    this.#sentFault = fault;
    this.#ports.send({ type: 'fault', pair: this.key, fault });
  }

  /** The spec names another place on the network for this node than the one the worker runs at. */
  #isMoved(): boolean {
    const spec = this.#state.loaded?.spec;
    const ran = this.#sentSpec;
    if (spec === undefined || ran === null || this.#sentConfig === null) return false;
    // The same interface under another name, or named where it was found before, is no other place.
    const isOtherInterface =
      spec.interface !== ran.interface && interfaceNameOf(this.#state, spec) !== this.#sentConfig.interface;
    return (
      spec.networkInterfaceID !== ran.networkInterfaceID ||
      spec.sourceAddress !== ran.sourceAddress ||
      isOtherInterface
    );
  }

  /** The virtual router ends where it was, a Master with priority 0; at the new place it begins as Backup. */
  #restart(): void {
    this.#sentConfig = null;
    this.#sentSpec = null;
    this.#sentFault = null;
    this.#state.peerHeard = null;
    this.#ports.log.info({ pair: this.key, reason: 'InstanceConfigured' }, 'moving to another address');
    this.#ports.send({ type: 'remove', pair: this.key });
  }

  /**
   * A Master in exactly the term that is asked to yield resigns, once, when a GET has shown that the order still stands. It
   * need not be on disk or loaded: a node with a full disk must be able to hand over, and after a restart the term is another.
   */
  #yield(): void {
    const state = this.#state;
    const term = state.claim?.term ?? null;
    if (term === null || state.yieldedTerm === term) return;
    const ordered = orderedTerm(state) === term && state.confirmedYield === term;
    if (!ordered && !mayResignToPeer(state)) return;
    const reason = ordered ? 'YieldOrdered' : 'ChecksFailed';
    state.yieldedTerm = term;
    this.#ports.log.info({ pair: this.key, reason, term }, 'yielding');
    this.#ports.send({ type: 'resign', pair: this.key, reason });
  }

  /** The last resort; said again until the worker is Master, as it knows better whether anybody is heard. */
  #serveAtLast(): void {
    if (isLastCandidate(this.#state) && isDead(this.#state.silence))
      this.#ports.send({ type: 'lastResort', pair: this.key });
  }

  #enter(election: VRRPState, reason: Reason, atMs: number): void {
    const state = this.#state;
    // The end of what ran at another address is no end of the start here.
    if (election !== 'Init') state.startingUntilMs = Number.NEGATIVE_INFINITY;
    if (state.election === election) {
      if (reason === 'AgentReloaded')
        this.#ports.log.info({ pair: this.key, reason }, `goes on as ${election}`);
      return;
    }
    // Settled: the report of it may be out already.
    if (state.claim?.settled === true) state.formerClaim = { leftAtMs: atMs, arrived: state.arrived };
    if (election === 'Master') state.arrived = [...state.lastDelivered];
    this.#transitions.count(state.election, election, reason);
    state.election = election;
    const sinceMs = this.#unixMs(atMs);
    state.transitions = [{ state: election, reason, atMs: sinceMs }, ...state.transitions].slice(
      0,
      TRANSITIONS_KEPT,
    );
    this.#ports.log.info(
      { pair: this.key, reason, term: state.claim?.term ?? undefined, at: sinceMs },
      `became ${election}`,
    );
    // A new claim, even by the same node, takes a new term; one that has not settled leaves no trace in the report (T18).
    state.claim =
      election === 'Master'
        ? { settled: false, vipUp: false, term: null, sinceMs, evidence: this.#readEvidence() }
        : null;
    state.silence = null;
    if (election !== 'Master' && state.face.state !== election) state.face = { state: election, sinceMs };
  }

  /** Remembers what EC2 has delivered here since the newest claim. */
  #arrive(delivered: readonly string[]): void {
    const state = this.#state;
    state.arrived = [...new Set([...state.arrived, ...delivered])];
    if (state.formerClaim !== null) state.formerClaim = { ...state.formerClaim, arrived: state.arrived };
  }

  /** Asked for at the claim's first advert, so that listening and reading take their time together. */
  #readEvidence(): Promise<Instances | null> {
    // A failure is not lost: the report lane reads again, and says so.
    return this.#ports.kube.readInstances(this.#state.record.peerNode).catch(() => null);
  }

  /** Reads what no watch can be trusted with: the own spec after a silence, and signs of life of a Master that hides us. */
  async #readStep(): Promise<boolean> {
    const state = this.#state;
    const { kube, clock } = this.#ports;
    if (state.gone) return false;
    if (this.#mustReadSpec() || this.#mustConfirm()) {
      const { own, peer } = await kube.readInstances(state.record.peerNode);
      state.confirmedYield = own?.spec.yieldTerm ?? 0;
      state.confirmedNever = own?.spec.claim === 'Never';
      if (own !== null) this.wish(own);
      if (peer !== null) this.peer(peer);
    }
    const { peerNode } = state.record;
    if (peerNode === null || !mustWatchPeer(state) || clock.now() - this.#lifePolledAtMs < LIFE_POLL_MS)
      return false;
    this.#lifePolledAtMs = clock.now();
    try {
      state.silence = observeLife(state.silence, await kube.readLife(peerNode), LIFE_GAP_MS);
    } catch (error) {
      state.silence = null;
      throw error;
    }
    this.#lanes.report.kick();
    return false;
  }

  #openLane(name: string, step: Step): Lane {
    const { clock, random } = this.#ports;
    return openLane({
      clock,
      ...(random && { random }),
      step: async () => {
        const more = await step();
        if (more) this.#converge();
        return more;
      },
      onError: (error, retryMs) => {
        this.#tellFailure(name, error, Math.round(retryMs));
        if (name !== 'report') this.#lanes.report.kick();
      },
    });
  }

  /** An API server that is away is away for every pair: the line that says so has no pair in it, so that it repeats. */
  #tellFailure(lane: string, error: unknown, retryMs: number): void {
    const { log } = this.#ports;
    if (error instanceof KubeError && !isAnswer(error))
      log.warn({ lane, cause: error.kind, retryMs }, 'step failed: no answer of the API server');
    else log.warn({ pair: this.key, lane, err: messageOf(error), retryMs }, 'step failed');
  }

  #unixMs(monotonicMs: number): number {
    const { clock } = this.#ports;
    return clock.wall() - (clock.now() - monotonicMs);
  }
}
