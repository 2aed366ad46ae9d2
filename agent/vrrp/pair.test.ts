/** Two virtual routers over a lossy network in virtual time: the invariants V1, V3 and V4 of the design, for any history. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checksum, VRRPVersion } from '../../crds/types.ts';
import { ipv4Datagram } from './datagrams.ts';
import { VirtualRouter } from './machine.ts';
import { masterDownInterval, skewTime } from './timers.ts';
import type { Output, VirtualRouterConfig } from './types.ts';

/** One way, as between two instances of a region. */
const LATENCY_MS = 0.5;

type Side = {
  config: VirtualRouterConfig;
  router: VirtualRouter;
  /** Adverts on their way to this side. */
  arriving: { at: number; datagram: Uint8Array }[];
  running: boolean;
};

/** Both ends and the network between them; `lost` decides over every datagram. */
class Pair {
  readonly sides: readonly [Side, Side];
  now = 0;
  lost: (from: number) => boolean = () => false;

  constructor(configs: [VirtualRouterConfig, VirtualRouterConfig]) {
    const side = (config: VirtualRouterConfig): Side => ({
      config,
      router: new VirtualRouter(config),
      arriving: [],
      running: false,
    });
    this.sides = [side(configs[0]), side(configs[1])];
  }

  start(index: number): void {
    const side = this.#side(index);
    if (side.running) return;
    Object.assign(side, { running: true, router: new VirtualRouter(side.config), arriving: [] });
    this.#perform(index, side.router.start(this.now));
  }

  crash(index: number): void {
    this.#side(index).running = false;
  }

  resign(index: number): void {
    this.#perform(index, this.#side(index).router.resign(this.now, 'YieldOrdered'));
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
        if (side.running) this.#perform(index, side.router.handleTimeout(this.now));
      }
    }
    this.now = end;
  }

  masters(): number[] {
    return [0, 1].filter(
      (index) => this.#side(index).running && this.#side(index).router.state.name === 'Master',
    );
  }

  #side(index: number): Side {
    return this.sides[index === 0 ? 0 : 1];
  }

  #nextAt(side: Side): number {
    if (!side.running) return Number.POSITIVE_INFINITY;
    const timeout = side.router.nextTimeout() ?? Number.POSITIVE_INFINITY;
    return Math.min(timeout, ...side.arriving.map(({ at }) => at));
  }

  #deliver(index: number): void {
    const side = this.#side(index);
    if (!side.running) return;
    const arrived = side.arriving.filter(({ at }) => at <= this.now);
    side.arriving = side.arriving.filter(({ at }) => at > this.now);
    for (const { datagram } of arrived) this.#perform(index, side.router.handleDatagram(this.now, datagram));
  }

  #perform(index: number, outputs: readonly Output[]): void {
    const { config } = this.#side(index);
    const route = { source: config.sourceAddress, destination: config.peerAddress };
    for (const output of outputs) {
      if (output.type !== 'send' || this.lost(index)) continue;
      const datagram = ipv4Datagram(output.message, route);
      this.#side(1 - index).arriving.push({ at: this.now + LATENCY_MS, datagram });
    }
  }
}

const ADDRESSES = ['10.0.0.1', '10.0.0.2'] as const;
const configs = (
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
const anyPriority = fc.integer({ min: 1, max: 254 });
const anyConfigs = fc
  .record({
    version: fc.constantFrom<VRRPVersion>(2, 3),
    interval: fc.integer({ min: 1, max: 30 }),
    checksum: fc.constantFrom<Checksum>('Pseudoheader', 'MessageOnly'),
    // Equal ones too: then the address decides.
    priorities: fc.oneof(
      fc.tuple(anyPriority, anyPriority),
      anyPriority.map((p): [number, number] => [p, p]),
    ),
  })
  .map(({ version, interval, checksum, priorities }) =>
    configs(version, version === 2 ? interval * 1000 : interval * 10, checksum, priorities),
  );

type Fault = { after: number } & (
  | { crash: number }
  | { start: number }
  | { resign: number }
  | { loss: boolean[] }
);
const anySide = fc.integer({ min: 0, max: 1 });
const anyFault = fc
  .tuple(
    fc.double({ min: 0, max: 5, noNaN: true }),
    fc.oneof(
      anySide.map((crash) => ({ crash })),
      anySide.map((start) => ({ start })),
      anySide.map((resign) => ({ resign })),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }).map((loss) => ({ loss })),
    ),
  )
  .map(([after, fault]): Fault => ({ after, ...fault }));

/** Waits are counted in advertisement intervals; `loss` is a pattern of lost datagrams, over and over. */
const inflict = (pair: Pair, fault: Fault): void => {
  const interval = pair.sides[0].config.advertisementIntervalMs;
  pair.runUntil(pair.now + fault.after * interval);
  if ('crash' in fault) pair.crash(fault.crash);
  else if ('start' in fault) pair.start(fault.start);
  else if ('resign' in fault) pair.resign(fault.resign);
  else {
    let sent = 0;
    pair.lost = () => fault.loss[sent++ % fault.loss.length] ?? false;
  }
};

/** Longest master-down interval, one advert, and the way of an advert there and back. */
const v1Bound = (pair: Pair): number => {
  const intervals = pair.sides.map(({ config }) =>
    masterDownInterval(config, config.advertisementIntervalMs),
  );
  return Math.max(...intervals) + pair.sides[0].config.advertisementIntervalMs + 2 * LATENCY_MS;
};

test('V1: faults over, there is exactly one Master within master-down and one advert, and it stays', () => {
  fc.assert(
    fc.property(anyConfigs, fc.array(anyFault, { maxLength: 30 }), (config, faults) => {
      const pair = new Pair(config);
      pair.start(0);
      pair.start(1);
      for (const fault of faults) inflict(pair, fault);
      pair.lost = () => false;
      pair.start(0);
      pair.start(1);
      pair.runUntil(pair.now + v1Bound(pair));
      const masters = pair.masters();
      assert.is(masters.length, 1);
      pair.runUntil(pair.now + 5 * v1Bound(pair));
      assert.equal(pair.masters(), masters);
    }),
    { numRuns: 1000 },
  );
});

test('V3: a Master that resigns is replaced within the skew of its Backup', () => {
  fc.assert(
    fc.property(anyConfigs, fc.double({ min: 0, max: 3, noNaN: true }), (config, phase) => {
      const pair = new Pair(config);
      pair.start(0);
      pair.start(1);
      const interval = config[0].advertisementIntervalMs;
      pair.runUntil(2 * v1Bound(pair) + phase * interval);
      assert.is(pair.masters().length, 1);
      const master = pair.masters()[0] === 0 ? 0 : 1;
      pair.resign(master);
      const successor = pair.sides[master === 0 ? 1 : 0];
      pair.runUntil(pair.now + skewTime(successor.config, interval) + LATENCY_MS + 1e-6);
      assert.equal(pair.masters(), [1 - master]);
      pair.runUntil(pair.now + 5 * v1Bound(pair));
      assert.equal(pair.masters(), [1 - master]);
    }),
    { numRuns: 500 },
  );
});

test('V4: of two Masters the higher priority stays, then the higher address, as soon as they hear each other', () => {
  fc.assert(
    fc.property(anyConfigs, fc.double({ min: 0, max: 3, noNaN: true }), (config, phase) => {
      const pair = new Pair(config);
      pair.lost = () => true;
      pair.start(0);
      pair.start(1);
      const interval = config[0].advertisementIntervalMs;
      pair.runUntil(v1Bound(pair) + phase * interval);
      assert.equal(pair.masters(), [0, 1]);
      pair.lost = () => false;
      pair.runUntil(pair.now + interval + 2 * LATENCY_MS + 1e-6);
      assert.equal(pair.masters(), [config[0].priority > config[1].priority ? 0 : 1]);
    }),
    { numRuns: 500 },
  );
});

test('no preemption: a node that returns, whatever its priority, moves nothing', () => {
  fc.assert(
    fc.property(anyConfigs, anySide, (config, first) => {
      const pair = new Pair(config);
      pair.start(first);
      pair.runUntil(v1Bound(pair));
      assert.equal(pair.masters(), [first]);
      pair.start(1 - first);
      pair.runUntil(pair.now + 10 * v1Bound(pair));
      assert.equal(pair.masters(), [first]);
    }),
    { numRuns: 300 },
  );
});

test.run();
