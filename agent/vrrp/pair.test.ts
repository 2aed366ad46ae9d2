/**
 * Two virtual routers over a lossy network in virtual time: the invariants V1 to V4 of the design, for any history, also
 * while VRRP parameters change in acknowledged steps and nodes are pinned.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checksum, VRRPVersion } from '../../crds/types.ts';
import { configs, LATENCY_MS, Pair } from './testing/two-routers.ts';
import { expectedInterval, masterDownInterval, skewTime } from './timers.ts';
import type { AcceptedParameters, VirtualRouterConfig } from './types.ts';

/**
 * The least time from one agent's acknowledgement to the next step at another: what the operator answers goes from an agent to
 * the API server and from there to an agent, over the same network as an advert. In truth three writes to disks come on top.
 */
const ACKNOWLEDGEMENT_MS = 2 * LATENCY_MS;

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
  | { pin: number; claim: Claim }
);
type Claim = NonNullable<VirtualRouterConfig['claim']>;
const anyClaim = fc.constantFrom<Claim[]>('Normal', 'Always', 'Never');
const anySide = fc.integer({ min: 0, max: 1 });
const anyFault = fc
  .tuple(
    fc.double({ min: 0, max: 5, noNaN: true }),
    fc.oneof(
      anySide.map((crash) => ({ crash })),
      anySide.map((start) => ({ start })),
      anySide.map((resign) => ({ resign })),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }).map((loss) => ({ loss })),
      fc.record({ pin: anySide, claim: anyClaim }),
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
  else if ('pin' in fault) pair.configure(fault.pin, { claim: fault.claim });
  else {
    let sent = 0;
    pair.lost = () => fault.loss[sent++ % fault.loss.length] ?? false;
  }
};

/** Longest master-down interval, one advert, and the way of an advert there and back. */
const v1Bound = (pair: Pair): number => {
  const longest = Math.max(...pair.sides.map(({ config }) => expectedInterval(config)));
  const intervals = pair.sides.map(({ config }) => masterDownInterval(config, longest));
  return Math.max(...intervals) + longest + 2 * LATENCY_MS;
};
/** With both ends told to claim nothing there is nobody. */
const mastersWanted = (pair: Pair): number =>
  pair.sides.every(({ config }) => config.claim === 'Never') ? 0 : 1;

test('V1, T23: faults over, also with pins half set or half removed, there is exactly one Master within master-down and one advert, and it stays', () => {
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
      assert.is(masters.length, mastersWanted(pair));
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

test('T23: of two pinned nodes, and of a pinned and an ordinary one, the winner by V4 is the Master', () => {
  fc.assert(
    fc.property(anyConfigs, fc.tuple(anyClaim, anyClaim), anySide, (config, claims, first) => {
      fc.pre(claims.includes('Always') && !claims.includes('Never'));
      const pair = new Pair([
        { ...config[0], claim: claims[0] },
        { ...config[1], claim: claims[1] },
      ]);
      pair.start(first);
      pair.runUntil(v1Bound(pair));
      pair.start(1 - first);
      pair.runUntil(pair.now + 2 * v1Bound(pair));
      const winner = config[0].priority > config[1].priority ? 0 : 1;
      const moves = claims[winner] === 'Always';
      assert.equal(pair.masters(), [moves ? winner : first]);
    }),
    { numRuns: 500 },
  );
});

test('T24: a pin to the other node is a resignation, and when that node dies nobody claims', () => {
  fc.assert(
    fc.property(anyConfigs, anySide, (config, first) => {
      const pair = new Pair(config);
      pair.start(first);
      pair.runUntil(v1Bound(pair));
      const pinned = 1 - first;
      pair.start(pinned);
      pair.runUntil(pair.now + v1Bound(pair));
      pair.configure(pinned, { claim: 'Always' });
      pair.configure(first, { claim: 'Never' });
      pair.runUntil(pair.now + v1Bound(pair));
      assert.equal(pair.masters(), [pinned]);
      pair.crash(pinned);
      pair.runUntil(pair.now + 10 * v1Bound(pair));
      assert.equal(pair.masters(), []);
    }),
    { numRuns: 300 },
  );
});

/** Parameters that a pair may change to; of intervals that leave the network's way of an advert out of account. */
const anySet = (version: VRRPVersion): fc.Arbitrary<AcceptedParameters> =>
  version === 2
    ? fc.record({
        advertisementIntervalMs: fc.integer({ min: 1, max: 12 }).map((seconds) => 1000 * seconds),
        checksum: fc.constant<Checksum>('Pseudoheader'),
        password: fc.constantFrom('old', 'new', 'other').map((text) => new TextEncoder().encode(text)),
      })
    : fc.record({
        advertisementIntervalMs: fc.integer({ min: 10, max: 4000 }).map((centiseconds) => 10 * centiseconds),
        checksum: fc.constantFrom<Checksum>('Pseudoheader', 'MessageOnly'),
      });

/** One step at one end: how long after the last one it is loaded, in intervals, and whether that end is restarted first. */
const anyStep = fc.record({
  first: anySide,
  waits: fc.tuple(fc.double({ min: 0, max: 4, noNaN: true }), fc.double({ min: 0, max: 4, noNaN: true })),
  restart: fc.boolean(),
});
const anyChange = (version: VRRPVersion) =>
  fc.record({
    to: anySet(version),
    /** The operator may take a change back until an end sends it. */
    withdrawn: fc.boolean(),
    steps: fc.tuple(anyStep, anyStep, anyStep),
  });
const anyStory = fc.constantFrom<VRRPVersion>(2, 3).chain((version) =>
  fc.record({
    version: fc.constant(version),
    from: anySet(version),
    changes: fc.array(anyChange(version), { minLength: 1, maxLength: 4 }),
    master: anySide,
    priorities: fc.constantFrom<[number, number]>([100, 200], [200, 100], [100, 100]),
    /** At most two adverts in a row. */
    lossy: fc.boolean(),
  }),
);

test('V2, T6, T26: parameters that change in three acknowledged steps never make a second Master, and no advert is late', () => {
  fc.assert(
    fc.property(anyStory, ({ version, from, changes, master, priorities, lossy }) => {
      const base = configs(version, 1000, 'Pseudoheader', priorities);
      const pair = new Pair([
        { ...base[0], ...from, accept: [from] },
        { ...base[1], ...from, accept: [from] },
      ]);
      pair.start(master);
      pair.runUntil(v1Bound(pair));
      pair.start(1 - master);
      pair.runUntil(pair.now + 2 * v1Bound(pair));
      let sent = 0;
      if (lossy) pair.lost = () => sent++ % 3 !== 2;
      pair.watch = () => assert.equal(pair.masters(), [master]);

      let old = from;
      for (const { to, withdrawn, steps } of changes) {
        const both = [old, to];
        const plan: Partial<VirtualRouterConfig>[] = withdrawn
          ? [{ accept: both }, { accept: [old] }]
          : [{ accept: both }, { ...to, accept: both }, { ...to, accept: [to] }];
        for (const [index, change] of plan.entries()) {
          const step = steps[index];
          if (step === undefined) throw new Error('a change has three steps');
          // The operator goes on when both ends have acknowledged; until then one may be cut off for long.
          for (const [turn, wait] of step.waits.entries()) {
            const side = turn === 0 ? step.first : 1 - step.first;
            pair.runUntil(pair.now + wait * old.advertisementIntervalMs);
            if (step.restart && side !== master) {
              pair.crash(side);
              pair.start(side);
            }
            pair.configure(side, change);
          }
          pair.runUntil(pair.now + ACKNOWLEDGEMENT_MS);
        }
        if (!withdrawn) old = to;
      }
      pair.runUntil(pair.now + 3 * v1Bound(pair));

      const adverts = pair.adverts.filter((advert) => advert.from === master);
      for (const [index, advert] of adverts.entries()) {
        const next = adverts[index + 1];
        if (next !== undefined)
          assert.ok(
            next.at - advert.at <= advert.advertisementIntervalMs + 1e-6,
            `an advert that says ${advert.advertisementIntervalMs} ms is followed after ${next.at - advert.at} ms`,
          );
      }
    }),
    { numRuns: 1500 },
  );
});

/**
 * A password changes, and the Master loads "send new" at the very moment at which an advert with the old one has left.
 * @param lostBefore how many adverts in a row were lost before that one
 * @param acknowledgementMs how long after that moment both ends accept the new password only
 * @returns every set of Masters there was until long after, and what was rejected
 */
const changeBehindAnAdvert = (lostBefore: number, acknowledgementMs: number) => {
  const set = (password: string): AcceptedParameters => ({
    advertisementIntervalMs: 1000,
    checksum: 'Pseudoheader',
    password: new TextEncoder().encode(password),
  });
  const [from, to] = [set('old'), set('new')];
  const both = { accept: [from, to] };
  const [one, other] = configs(2, 1000, 'Pseudoheader', [100, 200]);
  const pair = new Pair([
    { ...one, ...from, ...both },
    { ...other, ...from, ...both },
  ]);
  pair.start(0);
  pair.runUntil(v1Bound(pair));
  pair.start(1);
  pair.runUntil(pair.now + 2 * v1Bound(pair));
  const seen = new Set<string>();
  pair.watch = () => seen.add(pair.masters().join());
  const { adverts } = pair;
  const first = adverts.length;
  pair.lost = () => adverts.length - first <= lostBefore;

  pair.configure(1, { ...to, ...both });
  while (adverts.length <= first + lostBefore) pair.runUntil(pair.sides[0].router.nextTimeout() ?? pair.now);
  assert.is(adverts.at(-1)?.at, pair.now);
  pair.configure(0, { ...to, ...both });
  pair.runUntil(pair.now + acknowledgementMs);
  for (const side of [0, 1]) pair.configure(side, { accept: [to] });
  pair.runUntil(pair.now + 10_000);
  return { masters: [...seen], rejected: pair.rejected };
};

test('V2, T6: an advert on its way while a step is acknowledged is heard before the next step comes, also as the first after two lost ones', () => {
  const { masters, rejected } = changeBehindAnAdvert(2, ACKNOWLEDGEMENT_MS);
  assert.equal(rejected, []);
  assert.equal(masters, ['0']);
});

test('V2: an advert that the last step has overtaken is rejected and counts as one lost advert, no more', () => {
  const { masters, rejected } = changeBehindAnAdvert(1, 0);
  assert.equal(rejected, ['PasswordMismatch']);
  assert.equal(masters, ['0']);
});

test('V1: a Master that dies in the middle of a change is replaced, and the change can go on', () => {
  fc.assert(
    fc.property(anyStory, fc.nat({ max: 5 }), ({ version, from, changes, master, priorities }, diesAt) => {
      const base = configs(version, 1000, 'Pseudoheader', priorities);
      const pair = new Pair([
        { ...base[0], ...from, accept: [from] },
        { ...base[1], ...from, accept: [from] },
      ]);
      pair.start(master);
      pair.runUntil(v1Bound(pair));
      pair.start(1 - master);
      pair.runUntil(pair.now + v1Bound(pair));
      const to = changes[0]?.to ?? from;
      const both = [from, to];
      const plan = [{ accept: both }, { ...to, accept: both }, { ...to, accept: [to] }];
      // A dead Master is waited for by the interval it was heard to send at.
      const bound = v1Bound(pair);
      let step = 0;
      for (const change of plan) {
        for (const side of [master, 1 - master]) {
          if (step++ === diesAt) pair.crash(master);
          pair.configure(side, change);
        }
      }
      pair.runUntil(pair.now + Math.max(bound, v1Bound(pair)));
      assert.equal(pair.masters(), [1 - master]);
      pair.start(master);
      pair.runUntil(pair.now + 3 * v1Bound(pair));
      assert.equal(pair.masters(), [1 - master]);
    }),
    { numRuns: 500 },
  );
});

test.run();
