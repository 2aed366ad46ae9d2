/**
 * The virtual routers of this agent between the VRRP heart and the sockets: messages of the main thread and datagrams in,
 * adverts out first, then messages to the main thread. Lives in the worker thread and never waits.
 */
import type { Reason } from '../../crds/conditions.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { VirtualRouter } from '../vrrp/machine.ts';
import { isResignation } from '../vrrp/packet.ts';
import type { ClaimRefusal, Output, RejectCause } from '../vrrp/types.ts';
import { Demultiplexer } from './demultiplexer.ts';
import { Link } from './link.ts';
import type { FromWorker, PairStats, Resume, ToWorker, WorkerConfig, WorkerStats } from './messages.ts';
import type { VRRPSocket } from './socket.ts';
import { Lateness, newPairStats } from './worker-stats.ts';

/** How often links are looked at and counted rejections are told. */
const TICK_MS = 1000;
/** While a Master is silent because its link is missing, links are looked at so often. */
const SILENT_TICK_MS = 20;
/** A look at a link is good for so long: many routers that claim together need not look at it many times. */
const LOOK_MS = 5;
/**
 * A Backup looks at its link so long before it claims, and stays awake until then. To be woken and to look takes some tenths
 * of a millisecond for a thread that has slept long, whose code has left the processor's caches; the claim need not wait for it.
 */
const LOOK_AHEAD_MS = 4;
/** More than a full receive buffer holds, so a flood cannot keep the timers waiting for ever. */
const DATAGRAMS_PER_DRAIN = 1024;

const REFUSALS: Record<ClaimRefusal, string> = {
  NotStarted: 'the pair has not started on this node yet; try again in a moment',
  InFault: 'this node is in Fault: a check fails, or its own address or link is missing; mend that first',
  ClaimNever: 'the pair is pinned to the other node; remove spec.pinnedNode first',
  MasterHeard: 'a live Master is heard; stop the agent on its node first, if it must not serve',
};

/** The part of a link that is used here. */
export type RouterLink = Pick<Link, 'socket' | 'fault' | 'admit' | 'check' | 'lose' | 'close'>;

/** Opens a link on the address of an interface. */
export type OpenLink = (sourceAddress: string, interfaceName: string) => RouterLink;

/** A link, the routers that share it, when it was last looked at, and in which turn its way was last warmed. */
type LinkEntry = {
  link: RouterLink;
  routers: Demultiplexer<Instance>;
  lookedAtMs: number;
  warmedInTurn: number;
};

type Instance = {
  pair: string;
  machine: VirtualRouter;
  entry: LinkEntry;
  /** The main thread's fault; a link's comes before it. */
  fault: Reason | null;
  /** The last socket trouble told; null: none. */
  toldError: string | null;
  lastAdvertAtMs: number | null;
  /** Rejections not told yet; at most one entry for each cause. */
  rejected: Map<RejectCause, { source: string; count: number; tellAtMs: number }>;
  stats: PairStats;
};

type InstanceMessage = Exclude<ToWorker, { type: 'stop' | 'ping' }>;

/** All virtual routers of one worker thread. */
export class VirtualRouters {
  readonly #clock: () => number;
  /** No input is earlier than one before it. */
  #latestMs = Number.NEGATIVE_INFINITY;
  readonly #post: (message: FromWorker) => void;
  readonly #instances = new Map<string, Instance>();
  readonly #links = new Map<string, LinkEntry>();
  readonly #openLink: OpenLink;
  readonly #lateness = new Lateness();
  #tickAtMs = 0;
  /** Counts calls of `handleTimeouts`. */
  #turn = 0;

  /** @param now milliseconds of the monotonic clock. @param openLink default: the machine's links. */
  constructor(
    now: () => number,
    post: (message: FromWorker) => void,
    openLink: OpenLink = (sourceAddress, interfaceName) => new Link(sourceAddress, interfaceName),
  ) {
    this.#clock = now;
    this.#post = post;
    this.#openLink = openLink;
  }

  #now(waitedMs = 0): number {
    this.#latestMs = Math.max(this.#latestMs, this.#clock() - waitedMs);
    return this.#latestMs;
  }

  handleMessage(message: InstanceMessage): void {
    const instance = this.#instances.get(message.pair);
    if (message.type === 'set') this.#set(message, instance);
    else if (message.type === 'claimByHand') this.#claimByHand(message, instance);
    else if (instance !== undefined) this.#change(instance, message);
    if (message.type === 'set' || message.type === 'remove') this.#arrangeLinks();
  }

  /** Every Master resigns, every instance ends, every socket is closed. */
  stop(): void {
    for (const instance of this.#instances.values()) this.#end(instance, 'AgentStopping');
    this.#arrangeLinks();
  }

  /** The sockets to wait for. */
  descriptors(): number[] {
    return [...this.#links.values()].flatMap(({ link: { socket } }) => (socket === null ? [] : [socket.fd]));
  }

  /** When `handleTimeouts` is due. */
  nextTimeout(): number {
    if (this.#instances.size === 0) return Number.POSITIVE_INFINITY;
    let earliest = this.#tickAtMs;
    // A plain scan: a few microseconds for hundreds of instances, and no second order to keep true.
    for (const { machine, entry } of this.#instances.values()) {
      const timeout = machine.nextTimeout();
      if (timeout === null) continue;
      const looksFirst = machine.state.name === 'Backup' && isLookDue(entry, timeout);
      const due = looksFirst ? timeout - LOOK_AHEAD_MS : timeout;
      if (due < earliest) earliest = due;
    }
    return earliest;
  }

  /** A Backup has looked at its link and will claim within `LOOK_AHEAD_MS`. */
  isAboutToClaim(): boolean {
    const soon = this.#now() + LOOK_AHEAD_MS;
    for (const { machine } of this.#instances.values()) {
      if (machine.state.name === 'Backup' && (machine.nextTimeout() ?? soon + 1) <= soon) return true;
    }
    return false;
  }

  /** Hands every waiting datagram to the virtual routers it is for. */
  drain(): void {
    for (const entry of this.#links.values()) this.#drain(entry, (socket) => socket.receive());
  }

  #drain(entry: LinkEntry, receive: (socket: VRRPSocket) => Uint8Array | null): void {
    try {
      for (let count = 0; count < DATAGRAMS_PER_DRAIN; count++) {
        const { socket } = entry.link;
        const datagram = socket && receive(socket);
        if (socket === null || datagram === null) break;
        const arrivedAtMs = this.#now(socket.waitedMs());
        for (const instance of entry.routers.recipients(datagram))
          this.#deliver(instance, arrivedAtMs, datagram);
      }
    } catch (error) {
      this.#lose(entry, messageOf(error));
    }
  }

  /** Call `drain` first: an expired timer is believed only when nothing unheard waits. */
  handleTimeouts(): void {
    if (this.#now() >= this.#tickAtMs) this.#tick();
    let now = this.#now();
    this.#turn += 1;
    for (const instance of this.#instances.values()) {
      const { machine, entry } = instance;
      const timeout = machine.nextTimeout();
      if (timeout === null || timeout - LOOK_AHEAD_MS > now) continue;
      // No claim while the own address or link is missing: look now, not at the next tick.
      if (machine.state.name === 'Backup' && isLookDue(entry, Math.max(timeout, now))) this.#look(entry);
      now = this.#now();
      if (timeout > now) {
        if (machine.state.name === 'Backup') this.#warmRoute(instance);
        continue;
      }
      this.#lateness.observe(now - timeout);
      this.#perform(instance, now, machine.handleTimeout(now));
    }
  }

  /** A claim is near, and its way cold. Once a turn on each link: many claim together, and their ways differ in their ends alone. */
  #warmRoute({ machine, entry }: Instance): void {
    if (entry.warmedInTurn === this.#turn) return;
    entry.warmedInTurn = this.#turn;
    entry.link.socket?.warmRoute(machine.config.peerAddress);
  }

  /** What was counted so far. */
  stats(): WorkerStats {
    const pairs = [...this.#instances.values()].map(({ pair, stats }) => [pair, stats] as const);
    return { pairs: Object.fromEntries(pairs), lateness: this.#lateness.snapshot() };
  }

  /** Of each pair that has advertised. */
  lastAdvertAtMs(): Record<string, number> {
    const entries = [...this.#instances.values()].flatMap(({ pair, lastAdvertAtMs }) =>
      lastAdvertAtMs === null ? [] : [[pair, lastAdvertAtMs] as const],
    );
    return Object.fromEntries(entries);
  }

  #set({ pair, config, resume }: Extract<ToWorker, { type: 'set' }>, running: Instance | undefined): void {
    const now = this.#now();
    try {
      if (running === undefined) {
        const machine = new VirtualRouter(config);
        const instance = newInstance(pair, machine, this.#linkOf(config), resume?.fault ?? null);
        this.#instances.set(pair, instance);
      } else {
        const outputs = running.machine.configure(now, config);
        running.entry = this.#linkOf(config);
        this.#perform(running, now, outputs);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#post({ type: 'socket', pair, error: `cannot run ${pair}: ${error.message}` });
      return;
    }
    const instance = this.#instances.get(pair);
    if (instance !== undefined) this.#applyFault(instance, resume);
  }

  #claimByHand({ pair, id }: Extract<ToWorker, { type: 'claimByHand' }>, found: Instance | undefined): void {
    // A live Master's advert may be waiting unheard.
    this.drain();
    const now = this.#now();
    const outputs = found?.machine.claimByHand(now) ?? [{ type: 'refused', refusal: 'NotStarted' }];
    if (found !== undefined) this.#perform(found, now, outputs);
    const refusal = outputs.find((output) => output.type === 'refused')?.refusal;
    this.#post({
      type: 'claimByHand',
      pair,
      id,
      refused: refusal === undefined ? null : `cannot claim ${pair} by hand: ${REFUSALS[refusal]}`,
    });
  }

  #change(instance: Instance, message: Exclude<InstanceMessage, { type: 'set' | 'claimByHand' }>): void {
    const now = this.#now();
    switch (message.type) {
      case 'remove':
        this.#end(instance, 'Unconfigured');
        break;
      case 'resign':
        this.#perform(instance, now, instance.machine.resign(now, message.reason));
        break;
      case 'lastResort':
        this.#perform(instance, now, instance.machine.claimUnhealthy(now));
        break;
      case 'fault':
        instance.fault = message.fault;
        // What the main thread has seen come back may be back for the link too.
        if (message.fault === null && instance.entry.link.fault !== null) this.#look(instance.entry);
        this.#applyFault(instance);
        break;
    }
  }

  #end(instance: Instance, reason: Reason): void {
    const now = this.#now();
    this.#perform(instance, now, instance.machine.stop(now, reason));
    this.#tellRejected(instance, Number.POSITIVE_INFINITY);
    this.#instances.delete(instance.pair);
  }

  #deliver(instance: Instance, now: number, datagram: Uint8Array): void {
    const outputs = instance.machine.handleDatagram(now, datagram);
    if (!outputs.some(({ type }) => type === 'rejected')) instance.stats.advertsReceived++;
    this.#perform(instance, now, outputs);
  }

  /** Adverts first, then words: the peer must not wait for the main thread. */
  #perform(instance: Instance, now: number, outputs: readonly Output[]): void {
    let lost: string | null = null;
    for (const output of outputs) {
      if (output.type === 'send') lost = this.#send(instance, now, output.message) ?? lost;
    }
    for (const output of outputs) this.#tell(instance, now, output);
    if (lost !== null) this.#lose(instance.entry, lost);
  }

  /** @returns the error that loses the link. */
  #send(instance: Instance, now: number, message: Uint8Array): string | null {
    const { socket } = instance.entry.link;
    if (socket === null) return null;
    const result = socket.send(instance.machine.config.peerAddress, message);
    if (result.ok) {
      if (isResignation(message)) instance.stats.resignationsSent++;
      else instance.stats.advertsSent++;
      instance.lastAdvertAtMs = now;
      this.#tellError(instance, null);
      return null;
    }
    if (!result.linkLost) this.#tellError(instance, result.error);
    return result.linkLost ? result.error : null;
  }

  #tell(instance: Instance, atMs: number, output: Output): void {
    const { pair } = instance;
    switch (output.type) {
      case 'send':
      case 'refused':
        break;
      case 'overslept':
        instance.stats.overslept++;
        break;
      case 'rejected':
        this.#countRejected(instance, atMs, output.cause, output.source);
        break;
      default:
        this.#post({ ...output, pair, atMs });
    }
  }

  #countRejected(instance: Instance, now: number, cause: RejectCause, source: string): void {
    instance.stats.rejected[cause] = (instance.stats.rejected[cause] ?? 0) + 1;
    const before = instance.rejected.get(cause) ?? { source, count: 0, tellAtMs: now };
    instance.rejected.set(cause, { ...before, source, count: before.count + 1 });
    this.#tellRejected(instance, now);
  }

  #tellRejected(instance: Instance, now: number): void {
    for (const [cause, { source, count, tellAtMs }] of instance.rejected) {
      if (tellAtMs > now) continue;
      // It has stopped: should it come again, that is told at once.
      if (count === 0) instance.rejected.delete(cause);
      else {
        this.#post({ type: 'rejected', pair: instance.pair, cause, source, count });
        instance.rejected.set(cause, { source, count: 0, tellAtMs: now + TICK_MS });
      }
    }
  }

  #tellError(instance: Instance, error: string | null): void {
    if (instance.toldError === error) return;
    instance.toldError = error;
    this.#post({ type: 'socket', pair: instance.pair, error });
  }

  #tick(): void {
    const now = this.#now();
    this.#tickAtMs = now + TICK_MS;
    for (const entry of this.#links.values()) {
      this.#look(entry);
      this.#drain(entry, (socket) => socket.receiveStranger());
    }
    this.#hurryTick();
    for (const instance of this.#instances.values()) this.#tellRejected(instance, now);
  }

  #look(entry: LinkEntry): void {
    entry.lookedAtMs = this.#now();
    if (entry.link.check()) this.#linkChanged(entry);
  }

  #lose(entry: LinkEntry, error: string): void {
    if (entry.link.socket === null) return;
    entry.link.lose(error);
    this.#linkChanged(entry);
  }

  #linkChanged(entry: LinkEntry): void {
    for (const instance of this.#instances.values()) if (instance.entry === entry) this.#applyFault(instance);
    this.#hurryTick();
  }

  /** A Master that is silent for a missing link has less time than a tick. */
  #hurryTick(): void {
    for (const { machine, entry } of this.#instances.values()) {
      if (entry.link.fault === null || machine.state.name !== 'Master') continue;
      this.#tickAtMs = Math.min(this.#tickAtMs, this.#now() + SILENT_TICK_MS);
      return;
    }
  }

  /** Brings an instance in line with what its link and the main thread say: Fault, or running. */
  #applyFault(instance: Instance, resume?: Resume): void {
    const { machine, entry } = instance;
    const { link } = entry;
    const now = this.#now();
    this.#tellError(instance, link.fault?.error ?? null);
    const isStarting = machine.state.name === 'Init' && link.fault === null;
    const predecessor =
      resume === undefined ? null : { lastAdvertAt: resume.lastAdvertAtMs, fault: resume.fault };
    const outputs = isStarting
      ? machine.start(now, predecessor)
      : machine.setFault(now, link.fault?.reason ?? instance.fault);
    this.#perform(instance, now, outputs);
  }

  #linkOf({ sourceAddress, interface: interfaceName }: WorkerConfig): LinkEntry {
    const key = Link.key(sourceAddress, interfaceName);
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const link = this.#openLink(sourceAddress, interfaceName);
    const routers = new Demultiplexer<Instance>([]);
    const entry: LinkEntry = { link, routers, lookedAtMs: this.#now(), warmedInTurn: 0 };
    this.#links.set(key, entry);
    return entry;
  }

  /** After a change of the instances: who hears what, and which links nobody uses any more. */
  #arrangeLinks(): void {
    const instances = [...this.#instances.values()];
    for (const [key, entry] of this.#links) {
      const users = instances.filter((instance) => instance.entry === entry);
      entry.routers = new Demultiplexer(
        users.map((instance) => [instance, instance.machine.config] as const),
      );
      entry.link.admit(users.map(({ machine }) => machine.config.peerAddress));
      if (users.length > 0) continue;
      entry.link.close();
      this.#links.delete(key);
    }
  }
}

/** The last look at a link is too old for a claim at that time. */
const isLookDue = ({ lookedAtMs }: LinkEntry, claimAtMs: number): boolean =>
  claimAtMs - lookedAtMs >= LOOK_MS;

const newInstance = (
  pair: string,
  machine: VirtualRouter,
  entry: LinkEntry,
  fault: Reason | null,
): Instance => ({
  pair,
  machine,
  entry,
  fault,
  toldError: null,
  lastAdvertAtMs: null,
  rejected: new Map(),
  stats: newPairStats(),
});
