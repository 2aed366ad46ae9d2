/** Two virtual routers over a network in virtual time, for tests of what holds between them. */
import type { Checksum, VRRPVersion } from '../../../crds/types.ts';
import { ipv4Datagram } from '../datagrams.ts';
import { VirtualRouter } from '../machine.ts';
import type { Output, RejectCause, VirtualRouterConfig } from '../types.ts';

/** One way, as between two instances of a region. */
export const LATENCY_MS = 0.5;
/** One end. */
export type Side = {
  config: VirtualRouterConfig;
  router: VirtualRouter;
  /** Adverts on their way to this side. */
  arriving: { at: number; datagram: Uint8Array }[];
  running: boolean;
  /** Until then its process sleeps: what arrives waits, and no timer is served. */
  sleepsUntil: number;
};

/** Both ends and the network between them; `lost` decides over every datagram, `ways` over one that is not lost. */
export class Pair {
  readonly sides: readonly [Side, Side];
  now = 0;
  lost: (from: number) => boolean = () => false;
  /** How long each copy of a datagram is on its way, in milliseconds; default one copy, {@link LATENCY_MS}. */
  ways: () => readonly number[] = () => [LATENCY_MS];
  /** Hears of every output, with the end it comes from. */
  hear: (from: number, output: Output) => void = () => {};
  /** Hears of every moment at which anything has happened. */
  watch: () => void = () => {};
  /** Every advert that was sent, lost or not. */
  readonly adverts: { from: number; at: number; advertisementIntervalMs: number; priority: number }[] = [];
  /** Why adverts that arrived did not count. */
  readonly rejected: RejectCause[] = [];

  constructor(configs: [VirtualRouterConfig, VirtualRouterConfig]) {
    const side = (config: VirtualRouterConfig): Side => ({
      config,
      router: new VirtualRouter(config),
      arriving: [],
      running: false,
      sleepsUntil: 0,
    });
    this.sides = [side(configs[0]), side(configs[1])];
  }

  start(index: number): void {
    const side = this.#side(index);
    if (side.running) return;
    const router = new VirtualRouter(side.config);
    Object.assign(side, { running: true, router, arriving: [], sleepsUntil: 0 });
    this.#perform(index, side.router.start(this.now));
  }

  crash(index: number): void {
    this.#side(index).running = false;
  }

  claimByHand(index: number): void {
    const side = this.#side(index);
    if (this.#isAwake(side)) this.#perform(index, side.router.claimByHand(this.now));
  }

  /** The process, or the machine, sleeps. */
  pause(index: number, durationMs: number): void {
    this.#side(index).sleepsUntil = this.now + durationMs;
  }

  /** The agent has put another configuration on disk, and so into force; one that does not run starts with it. */
  configure(index: number, change: Partial<VirtualRouterConfig>): void {
    const side = this.#side(index);
    side.config = { ...side.config, ...change };
    if (side.running) this.#perform(index, side.router.configure(this.now, side.config));
  }

  resign(index: number): void {
    const side = this.#side(index);
    if (this.#isAwake(side)) this.#perform(index, side.router.resign(this.now, 'YieldOrdered'));
  }

  /** Lets everything happen that is due until `end`. */
  runUntil(end: number): void {
    for (;;) {
      const due = Math.min(...this.sides.map((side) => this.#nextAt(side)));
      if (due > end) break;
      this.now = due;
      // As the caller of a router must: what has arrived is heard before a timer is believed.
      for (const index of [0, 1]) this.#deliver(index);
      for (const index of [0, 1]) {
        const side = this.#side(index);
        if (this.#isAwake(side)) this.#perform(index, side.router.handleTimeout(this.now));
      }
      this.watch();
    }
    this.now = end;
  }

  /** Who acts as Master; a sleeper does not act. */
  masters(): number[] {
    return [0, 1].filter((index) => {
      const side = this.#side(index);
      return this.#isAwake(side) && side.router.state.name === 'Master';
    });
  }

  #isAwake(side: Side): boolean {
    return side.running && this.now >= side.sleepsUntil;
  }

  #side(index: number): Side {
    return this.sides[index === 0 ? 0 : 1];
  }

  #nextAt(side: Side): number {
    if (!side.running) return Number.POSITIVE_INFINITY;
    const timeout = side.router.nextTimeout() ?? Number.POSITIVE_INFINITY;
    return Math.max(side.sleepsUntil, Math.min(timeout, ...side.arriving.map(({ at }) => at)));
  }

  #deliver(index: number): void {
    const side = this.#side(index);
    if (!this.#isAwake(side)) return;
    const arrived = side.arriving.filter(({ at }) => at <= this.now);
    side.arriving = side.arriving.filter(({ at }) => at > this.now);
    for (const { datagram } of arrived) this.#perform(index, side.router.handleDatagram(this.now, datagram));
  }

  #perform(index: number, outputs: readonly Output[]): void {
    const { config } = this.#side(index);
    const route = { source: config.sourceAddress, destination: config.peerAddress };
    for (const output of outputs) {
      this.hear(index, output);
      if (output.type === 'rejected') this.rejected.push(output.cause);
      if (output.type !== 'send') continue;
      const { advertisementIntervalMs } = this.#side(index).router.config;
      const priority = output.message[2] ?? 0;
      this.adverts.push({ from: index, at: this.now, advertisementIntervalMs, priority });
      if (this.lost(index)) continue;
      const datagram = ipv4Datagram(output.message, route);
      for (const way of this.ways()) this.#side(1 - index).arriving.push({ at: this.now + way, datagram });
    }
  }
}

const ADDRESSES = ['10.0.0.1', '10.0.0.2'] as const;
/** Two ends that differ in address and priority alone. */
export const configs = (
  version: VRRPVersion,
  advertisementIntervalMs: number,
  checksum: Checksum,
  priorities: [number, number],
): [VirtualRouterConfig, VirtualRouterConfig] => {
  const one = (mine: 0 | 1): VirtualRouterConfig => ({
    version,
    virtualRouterID: 7,
    priority: priorities[mine],
    advertisementIntervalMs,
    checksum,
    sourceAddress: ADDRESSES[mine],
    peerAddress: ADDRESSES[mine === 0 ? 1 : 0],
    vips: ['10.0.0.100'],
  });
  return [one(0), one(1)];
};
