/**
 * Two virtual routers over a network that loses, delays, reorders and repeats datagrams, while ends crash, sleep and resign: the
 * invariants V1 to V5 of the design for whatever happens, in virtual time.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checksum, VRRPVersion } from '../../crds/types.ts';
import { configs, Pair } from './testing/two-routers.ts';
import { masterDownInterval, skewTime } from './timers.ts';
import { SETTLE_MS, type VirtualRouterConfig } from './types.ts';

type Configs = [VirtualRouterConfig, VirtualRouterConfig];
const anyPriority = fc.integer({ min: 1, max: 254 });
const anyConfigs = fc
  .record({
    version: fc.constantFrom<VRRPVersion>(2, 3),
    interval: fc.integer({ min: 1, max: 30 }),
    checksum: fc.constantFrom<Checksum>('Pseudoheader', 'MessageOnly'),
    priorities: fc.oneof(
      fc.tuple(anyPriority, anyPriority),
      anyPriority.map((p): [number, number] => [p, p]),
    ),
  })
  .map(({ version, interval, checksum, priorities }) =>
    configs(version, version === 2 ? interval * 1000 : interval * 10, checksum, priorities),
  );

/** For each datagram in turn, over and over: the ways of its copies, as shares of the longest one. */
type Weather = number[][];
const anyWay = fc.double({ min: 0, max: 1, noNaN: true });
const anyWeather: fc.Arbitrary<Weather> = fc.array(fc.array(anyWay, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 12,
});

type Blow = { kind: 'crash' | 'start' | 'resign' | 'claimByHand'; side: number };
/** `after` counts advertisement intervals since the fault before. */
type Fault = { after: number } & (
  | Blow
  | { kind: 'pause'; side: number; intervals: number }
  | { kind: 'loss'; pattern: boolean[] }
);
const anySide = fc.integer({ min: 0, max: 1 });
const anyFault: fc.Arbitrary<Fault> = fc
  .tuple(
    fc.double({ min: 0, max: 5, noNaN: true }),
    fc.oneof(
      fc.record({
        kind: fc.constantFrom<Blow['kind'][]>('crash', 'start', 'resign', 'claimByHand'),
        side: anySide,
      }),
      fc.record({
        kind: fc.constant('pause' as const),
        side: anySide,
        intervals: fc.double({ min: 0, max: 12, noNaN: true }),
      }),
      fc.record({
        kind: fc.constant('loss' as const),
        pattern: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
      }),
    ),
  )
  .map(([after, fault]) => ({ after, ...fault }));

/** A pair on such a network, and when anything last went wrong. */
class Story {
  readonly pair: Pair;
  readonly intervalMs: number;
  readonly longestWayMs: number;
  #lastFaultAt = 0;

  constructor(config: Configs, weather: Weather, longestWayMs: number) {
    this.pair = new Pair(config);
    this.intervalMs = config[0].advertisementIntervalMs;
    this.longestWayMs = longestWayMs;
    let turn = 0;
    this.pair.ways = () => (weather[turn++ % weather.length] ?? [0]).map((share) => share * longestWayMs);
    this.pair.start(0);
    this.pair.start(1);
  }

  /** Within so long after the last fault there is one Master: master-down, one advert and two ways. */
  get boundMs(): number {
    const waits = this.pair.sides.map(({ config }) => masterDownInterval(config, this.intervalMs));
    return Math.max(...waits) + this.intervalMs + 2 * this.longestWayMs;
  }

  get isCalm(): boolean {
    return this.pair.now - this.#lastFaultAt > this.boundMs;
  }

  inflict(fault: Fault): void {
    const { pair, intervalMs } = this;
    pair.runUntil(pair.now + fault.after * intervalMs);
    this.#faultUntil(pair.now);
    if (fault.kind === 'pause') {
      pair.pause(fault.side, fault.intervals * intervalMs);
      this.#faultUntil(pair.now + fault.intervals * intervalMs);
    } else if (fault.kind === 'loss') {
      let sent = 0;
      pair.lost = () => {
        const isLost = fault.pattern[sent++ % fault.pattern.length] ?? false;
        if (isLost) this.#faultUntil(pair.now);
        return isLost;
      };
    } else pair[fault.kind](fault.side);
  }

  #faultUntil(at: number): void {
    this.#lastFaultAt = Math.max(at, this.#lastFaultAt);
  }

  /** Nothing goes wrong any more, and both ends run. */
  endFaults(): void {
    this.pair.lost = () => false;
    for (const side of [0, 1]) this.pair.start(side);
    this.#faultUntil(this.pair.now);
    this.pair.runUntil(this.#lastFaultAt);
  }
}

/** A quarter of an interval: far more than the ways between two instances of a region differ. */
const QUARTER = 0.25;

test('V1: faults over, there is exactly one Master within master-down and one advert, on any such network, and it stays', () => {
  fc.assert(
    fc.property(anyConfigs, anyWeather, fc.array(anyFault, { maxLength: 30 }), (config, weather, faults) => {
      const story = new Story(config, weather, QUARTER * config[0].advertisementIntervalMs);
      for (const fault of faults) story.inflict(fault);
      story.endFaults();
      const { pair } = story;
      pair.runUntil(pair.now + story.boundMs);
      const masters = pair.masters();
      assert.is(masters.length, 1);
      pair.watch = () => assert.equal(pair.masters(), masters);
      pair.runUntil(pair.now + 5 * story.boundMs);
    }),
    { numRuns: 1500 },
  );
});

test('V2: two Masters there are only while adverts are lost or an end fails, and for a master-down and an advert after', () => {
  fc.assert(
    fc.property(anyConfigs, anyWeather, fc.array(anyFault, { maxLength: 30 }), (config, weather, faults) => {
      const story = new Story(config, weather, QUARTER * config[0].advertisementIntervalMs);
      const { pair } = story;
      pair.watch = () => {
        if (story.isCalm) assert.ok(pair.masters().length < 2, `two Masters at ${pair.now}`);
      };
      for (const fault of faults) story.inflict(fault);
      story.endFaults();
      pair.runUntil(pair.now + 3 * story.boundMs);
    }),
    { numRuns: 1500 },
  );
});

test('V2: one lost advert in a row, late and repeated ones never make a second Master', () => {
  fc.assert(
    fc.property(
      anyConfigs,
      anyWeather,
      fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }),
      (config, weather, pattern) => {
        const story = new Story(config, weather, QUARTER * config[0].advertisementIntervalMs);
        const { pair } = story;
        pair.runUntil(2 * story.boundMs);
        const masters = pair.masters();
        assert.is(masters.length, 1);
        pair.watch = () => assert.equal(pair.masters(), masters);
        let sent = 0;
        let wasLost = false;
        pair.lost = () => {
          wasLost = !wasLost && (pattern[sent++ % pattern.length] ?? false);
          return wasLost;
        };
        pair.runUntil(pair.now + 30 * story.intervalMs);
      },
    ),
    { numRuns: 500 },
  );
});

test('V3: a Master that resigns is replaced within the skew, also where every datagram comes several times', () => {
  fc.assert(
    fc.property(
      anyConfigs,
      fc.integer({ min: 1, max: 4 }),
      fc.double({ min: 0, max: 3, noNaN: true }),
      (config, copies, phase) => {
        const story = new Story(config, [Array.from({ length: copies }, () => 1)], 0.5);
        const { pair } = story;
        pair.runUntil(2 * story.boundMs + phase * story.intervalMs);
        const master = pair.masters()[0] === 0 ? 0 : 1;
        const successor = pair.sides[master === 0 ? 1 : 0];
        pair.resign(master);
        pair.runUntil(pair.now + skewTime(successor.config, story.intervalMs) + 0.5 + 1e-6);
        assert.equal(pair.masters(), [1 - master]);
      },
    ),
    { numRuns: 500 },
  );
});

test('V4: of two Masters the higher priority stays, then the higher address, whatever comes late or twice', () => {
  fc.assert(
    fc.property(
      anyConfigs,
      anyWeather,
      fc.double({ min: 0, max: 3, noNaN: true }),
      (config, weather, phase) => {
        const story = new Story(config, weather, QUARTER * config[0].advertisementIntervalMs);
        const { pair } = story;
        pair.lost = () => true;
        pair.runUntil(story.boundMs + phase * story.intervalMs);
        assert.equal(pair.masters(), [0, 1]);
        pair.lost = () => false;
        pair.runUntil(pair.now + story.intervalMs + 2 * story.longestWayMs + 1e-6);
        const winner = [config[0].priority > config[1].priority ? 0 : 1];
        assert.equal(pair.masters(), winner);
        pair.watch = () => assert.equal(pair.masters(), winner);
        pair.runUntil(pair.now + 3 * story.boundMs);
      },
    ),
    { numRuns: 500 },
  );
});

test('V5: a claim settles, so that EC2 may follow, only after 10 ms as Master and against no other Master that is awake', () => {
  // An advert and its answer come back within the time of listening.
  const LONGEST_WAY_MS = (SETTLE_MS / 2) * 0.9;
  fc.assert(
    fc.property(
      anyConfigs,
      anyWeather,
      fc.array(
        anyFault.filter(({ kind }) => kind !== 'loss'),
        { maxLength: 30 },
      ),
      (config, weather, faults) => {
        const story = new Story(config, weather, LONGEST_WAY_MS);
        const { pair } = story;
        const masterSince: [number, number] = [Number.NaN, Number.NaN];
        pair.hear = (from, output) => {
          if (output.type === 'state') masterSince[from] = output.state === 'Master' ? pair.now : Number.NaN;
          if (output.type !== 'settled') return;
          assert.ok(pair.now - masterSince[from === 0 ? 0 : 1] >= SETTLE_MS - 1e-6);
          assert.equal(pair.masters(), [from]);
        };
        for (const fault of faults) story.inflict(fault);
        story.endFaults();
        pair.runUntil(pair.now + 2 * story.boundMs);
      },
    ),
    { numRuns: 1000 },
  );
});

test.run();
