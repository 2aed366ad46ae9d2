/**
 * One pair on this node: a serial actor. Its inputs change the state; then everything that follows from the state is done
 * again from the top: what the worker must run, what belongs on the interface, what the report must say. Slow work goes by
 * lanes, one for each kind, so that a silent API server never keeps a VIP from the interface.
 */
import { isDeepStrictEqual } from 'node:util';
import { type VRRPInstance, vipsOf } from '../../crds/types.ts';
import { KubeError } from '../../kube/errors.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { isAnswer } from '../api/reports.ts';
import type { IMDSReading, InterfaceReading, PairPorts, PairRecord } from '../ports.ts';
import { observeConditions } from '../rules/report.ts';
import { type CheckFinding, judgedChecks } from '../rules/verdict.ts';
import {
  deliveredTo,
  interfaceNameOf,
  isVerified,
  onInterface,
  ownAddresses,
  strandedAddresses,
  vipInterfaceOf,
  vipsUp,
} from './addresses.ts';
import { factsOf, mustWatchPeer, newestSpec } from './derived.ts';
import { enter, hearReject, hearWorker, notePeerFault, type PairMessage, unixMsOf } from './from-worker.ts';
import type { PairHandover } from './handover.ts';
import { interfaceStep, removeAddresses } from './lanes/interface.ts';
import { type Lane, openLane, type Step } from './lanes/lane.ts';
import { loadStep } from './lanes/load.ts';
import { mustRead, readStep } from './lanes/read.ts';
import { observePeer, reportAgain, reportStep } from './lanes/report.ts';
import { isReported, isSettled, type PairSnapshot, snapshotOf } from './snapshot.ts';
import { follow, seeFindings } from './state/checks.ts';
import { noteArrived, noteVIPsUp } from './state/election.ts';
import { abandon, goAway, stop } from './state/lifecycle.ts';
import { seeDelivered, seeIMDS, seeInterfaces } from './state/network.ts';
import { forgetSilence, seePeer } from './state/peer.ts';
import { changeRecord, noteInRecord, observeTerm } from './state/record.ts';
import { seeStored, setConditionTimes } from './state/report.ts';
import { desire, observeContact } from './state/spec.ts';
import { noteStarted } from './state/steering.ts';
import { handoverOf, initialState, type PairState } from './state.ts';
import { Transitions } from './transitions.ts';
import { type PairView, viewOf } from './view.ts';
import { claimAsLastResort, steerWorker, yieldIfDue } from './worker.ts';

export class Pair {
  readonly key: string;
  readonly #state: PairState;
  readonly #ports: PairPorts;
  readonly #lanes: Record<'load' | 'interface' | 'report' | 'read', Lane>;
  readonly #transitions = new Transitions();

  /**
   * With a spec in `record` the election begins from disk, before the API server has answered.
   * @param handover of the program that this one has replaced in place: its worker runs already
   */
  constructor(record: PairRecord, ports: PairPorts, handover?: PairHandover) {
    this.#state = initialState(record, ports.clock.wall(), handover);
    this.#ports = ports;
    this.key = this.#state.key;
    this.#lanes = {
      load: this.#openLane('load', () => loadStep(this.#state, ports)),
      interface: this.#openLane('interface', () => interfaceStep(this.#state, ports)),
      report: this.#openLane('report', () => reportStep(this.#state, ports)),
      read: this.#openLane('read', () => this.#read()),
    };
  }

  /** The newest VRRPInstance that the API server has shown. */
  desired(instance: VRRPInstance): void {
    const state = this.#state;
    const { desired, gone } = state;
    if (gone) return;
    const { uid, generation = 0 } = instance.metadata;
    // A watch may lag behind a read.
    if (desired !== null && desired.metadata.uid === uid && (desired.metadata.generation ?? 0) > generation)
      return;
    const probed = instance.spec.probe !== newestSpec(state)?.probe;
    desire(state, instance);
    seeStored(state, instance.status);
    if (instance.status !== undefined) observeTerm(state, instance.status.term);
    this.#converge(probed);
    this.#lanes.load.kick(true);
  }

  /** The peer's VRRPInstance; null: it has none. */
  peer(instance: VRRPInstance | null): void {
    if (instance === null) seePeer(this.#state, null);
    else observePeer(this.#state, instance);
    this.#converge();
  }

  /** What is known of the pair's health checks, each of them. */
  health(findings: readonly CheckFinding[]): void {
    seeFindings(this.#state, findings);
    this.#converge();
  }

  /** A reading of the instance metadata; null: it could not be read. */
  imds(reading: IMDSReading | null): void {
    const state = this.#state;
    seeIMDS(state, reading);
    const spec = state.loaded?.spec ?? state.desired?.spec;
    if (reading !== null && spec !== undefined) {
      const isHere = isVerified(state, spec);
      seeDelivered(state, deliveredTo(reading, spec) ?? (isHere ? state.lastDelivered : []));
      noteArrived(state, state.lastDelivered);
      if (isHere && state.record.verifiedNetworkInterfaceID !== spec.networkInterfaceID)
        noteInRecord(state, { verifiedNetworkInterfaceID: spec.networkInterfaceID });
    }
    this.#converge();
  }

  /** A reading of the machine's interfaces. */
  interfaces(reading: InterfaceReading): void {
    const state = this.#state;
    const before = vipInterfaceOf(state);
    seeInterfaces(state, reading);
    const spec = state.loaded?.spec;
    const name = spec === undefined ? null : interfaceNameOf(state, spec);
    // What was put on an interface that the pair has left is taken off there first.
    const left = strandedAddresses(state).addresses.length > 0;
    if (name !== null && name !== state.record.interface && !left) noteInRecord(state, { interface: name });
    // What could not be done to the interface as it was is tried at once on what it is now.
    this.#converge(!isDeepStrictEqual(before, vipInterfaceOf(state)));
  }

  /** What the worker says about this pair. */
  worker(message: PairMessage): void {
    // Anybody can send packets that are rejected: nothing that waits may be hurried by them.
    if (message.type === 'rejected') {
      if (hearReject(this.#state, this.#ports, message)) this.#converge();
    } else if (hearWorker(this.#state, this.#ports, this.#transitions, message)) this.#converge(true);
  }

  /** When the pair's last advert was sent, on the monotonic clock; written to disk with the next record. */
  lastAdvert(atMs: number): void {
    changeRecord(this.#state, { lastAdvertAtMs: unixMsOf(this.#ports.clock, atMs) });
  }

  /** What the program that takes this one's place must know; null: nothing runs. */
  handOver(lastAdvertAtMs: number | null): PairHandover | null {
    return handoverOf(this.#state, lastAdvertAtMs);
  }

  /** What `hapair-agent status` shows. */
  view(): PairView {
    return viewOf(this.#state, this.#ports);
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
    stop(this.#state);
    noteStarted(this.#state);
    const atMs = this.#ports.clock.now();
    enter(this.#state, this.#ports, this.#transitions, { state: 'Init', reason: 'AgentStopping', atMs });
    this.#converge(true);
  }

  /** Takes every address this agent added off the interface, wherever EC2 delivers it. */
  abandonAddresses(): void {
    abandon(this.#state);
    this.#lanes.interface.kick(true);
  }

  /** What can be seen of it, for metrics and health. */
  snapshot(): PairSnapshot {
    return snapshotOf(this.#state, this.#ports, this.#transitions.list());
  }

  /** EC2 delivers to this node just the VIPs that are on its interface: slow polling of IMDS is enough. */
  get isSettled(): boolean {
    return isSettled(this.#state, this.#ports);
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
    return isReported(this.#state, this.#ports);
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
      goAway(state);
      this.#followChecks();
      send({ type: 'remove', pair: this.key });
      log.info({ pair: this.key, reason: 'Unconfigured', onDelete }, 'pair forgotten');
    }
    await this.#lanes.interface.close();
    if (onDelete === 'Remove') await removeAddresses(state, this.#ports);
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

  /** Ends all lanes; an unfinished step is waited for. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#lanes).map((lane) => lane.close()));
  }

  /** Everything that follows from the state. */
  #converge(fresh = false): void {
    const state = this.#state;
    observeContact(state, this.#ports.lastContactMs(), this.#ports.clock.now());
    notePeerFault(state, this.#ports);
    if (vipsUp(state)) noteVIPsUp(state);
    this.#followChecks();
    steerWorker(state, this.#ports);
    yieldIfDue(state, this.#ports);
    claimAsLastResort(state, this.#ports);
    reportAgain(state, this.#ports);
    const { findings } = factsOf(state, this.#ports.agentVersion);
    setConditionTimes(state, observeConditions(state.conditionTimes, findings, this.#ports.clock.wall()));
    this.#lanes.interface.kick(fresh);
    this.#lanes.load.kick();
    this.#lanes.report.kick(fresh);
    if (!mustWatchPeer(state)) forgetSilence(state);
    if (mustRead(state)) this.#lanes.read.kick();
  }

  /** The checks of the spec in force run, and no others. */
  #followChecks(): void {
    const state = this.#state;
    const spec = state.gone || state.stopping ? undefined : state.loaded?.spec;
    const { sourceAddress = '' } = spec ?? {};
    const healthChecks = spec === undefined ? [] : judgedChecks(spec, onInterface(state));
    const wanted = healthChecks.length === 0 ? null : { healthChecks, sourceAddress };
    if (follow(state, wanted)) seeFindings(state, this.#ports.followChecks(healthChecks, sourceAddress));
  }

  async #read(): Promise<boolean> {
    const hasReadLife = await readStep(this.#state, this.#ports, ({ own, peer }) => {
      if (own !== null) this.desired(own);
      if (peer !== null) this.peer(peer);
    });
    if (hasReadLife) this.#lanes.report.kick();
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
        this.#logFailure(name, error, Math.round(retryMs));
        if (name !== 'report') this.#lanes.report.kick();
      },
    });
  }

  /** An API server that is away is away for every pair: the line that says so has no pair in it, so that it repeats. */
  #logFailure(lane: string, error: unknown, retryMs: number): void {
    const { log } = this.#ports;
    if (error instanceof KubeError && !isAnswer(error))
      log.warn(
        { lane, reason: 'StepFailed', cause: error.kind, retryMs },
        'step failed: no answer of the API server',
      );
    else
      log.warn({ pair: this.key, lane, reason: 'StepFailed', err: messageOf(error), retryMs }, 'step failed');
  }
}
