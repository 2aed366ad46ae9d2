/** Random interleavings of reports, answers, readings, edits, thefts and deaths of the operator keep the invariants. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PlannedCall } from '../delivery/types.ts';
import { idsOf } from '../ec2/actions.ts';
import { failureOf } from '../ec2/errors.ts';
import type { EC2View } from '../ec2/types.ts';
import { MAIN, NODE1, NODE2, VIP } from './testing/fixtures.ts';
import { Rig } from './testing/rig.ts';

const OTHER_VIP = '10.10.10.20';
const NODES = ['node1', 'node2'] as const;
type Node = (typeof NODES)[number];

type Action =
  | { do: 'claim'; node: Node }
  | { do: 'report'; node: Node; state: 'Backup' | 'Fault' | 'Master'; behind: number }
  | { do: 'obey' }
  | { do: 'answer'; how: 'ok' | 'lost' | 'worked' | 'throttled' | 'rejected' }
  | { do: 'read'; how: 'fresh' | 'stale' }
  | { do: 'steal'; node: Node | undefined }
  | { do: 'late' }
  | { do: 'prefer'; node: Node }
  | { do: 'request' }
  | { do: 'pause'; paused: boolean }
  | { do: 'pin'; node: Node | undefined }
  | { do: 'address'; vips: readonly string[] }
  | { do: 'policy'; policy: 'Retain' | 'Unassign' }
  | { do: 'echo' }
  | { do: 'acknowledge'; node: Node }
  | { do: 'restart' }
  | { do: 'dropWrites' }
  | { do: 'pass'; ms: number };

const node = fc.constantFrom(...NODES);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const), node }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      node,
      state: fc.constantFrom('Backup' as const, 'Fault' as const, 'Master' as const),
      behind: fc.nat(2),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'obey' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      how: fc.constantFrom(
        'ok' as const,
        'ok' as const,
        'lost' as const,
        'worked' as const,
        'throttled' as const,
        'rejected' as const,
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      how: fc.constantFrom('fresh' as const, 'fresh' as const, 'stale' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('steal' as const), node: fc.option(node, { nil: undefined }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'late' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('prefer' as const), node }) },
  { weight: 1, arbitrary: fc.constant({ do: 'request' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), paused: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pin' as const), node: fc.option(node, { nil: undefined }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('address' as const),
      vips: fc.constantFrom([VIP], [OTHER_VIP], [VIP, OTHER_VIP]),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('policy' as const),
      policy: fc.constantFrom('Retain' as const, 'Unassign' as const),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'echo' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), node }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'dropWrites' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 50, 2_100, 45_000) }),
  },
);

/** Drives a rig and watches it from outside: what it says of the invariants uses nothing of the plan's own reasoning. */
class Watched {
  readonly rig: Rig;
  term = 1;
  orders = 0;
  yields = 0;
  /** Highest Master term in a report that any process has read. */
  highestRead = 1;
  /** What the reports were when the last plan read them, and the one target since. */
  reportsRead = '';
  target: string | undefined;
  lastCall: PlannedCall | undefined;
  oldView: EC2View | undefined;

  constructor() {
    this.rig = Rig.converged();
    this.oldView = this.rig.reading.view;
  }

  run(what: Action): void {
    const { rig } = this;
    switch (what.do) {
      case 'claim':
        this.term++;
        rig.report(what.node, 'Master', this.term);
        break;
      case 'report':
        rig.report(what.node, what.state, Math.max(1, this.term - what.behind));
        break;
      case 'obey':
        this.obey();
        break;
      case 'answer':
        this.answer(what.how);
        break;
      case 'read':
        if (what.how === 'fresh') this.oldView = rig.reading.view;
        if (what.how === 'fresh' || !this.oldView) rig.read();
        else rig.read({ ...this.oldView, readAtMs: rig.nowMs });
        break;
      case 'steal':
        rig.cloud.put(VIP, what.node && (what.node === 'node1' ? NODE1 : NODE2).networkInterfaceID);
        break;
      case 'late':
        if (this.lastCall) rig.cloud.apply(this.lastCall.call);
        break;
      case 'prefer':
        if (rig.pair.spec.preferredNode !== what.node) this.orders++;
        rig.edit({ preferredNode: what.node });
        break;
      case 'request': {
        this.orders++;
        const requestedAt = new Date(Date.UTC(2026, 10, 22, 10) + rig.nowMs).toISOString();
        rig.edit({ failback: { ...rig.pair.spec.failback, requestedAt } });
        break;
      }
      case 'pause':
        rig.edit({ paused: what.paused });
        break;
      case 'pin':
        this.target = undefined;
        rig.unpin();
        if (what.node !== undefined) rig.edit({ pinnedNode: what.node });
        break;
      case 'address':
        this.target = undefined;
        rig.edit({ addresses: what.vips.map((vip) => (vip === VIP ? MAIN : { name: 'other', vip })) });
        break;
      case 'policy':
        rig.edit({ deletionPolicy: what.policy });
        break;
      case 'echo':
        for (const { spec, status } of rig.instances)
          if (status) rig.report(spec.nodeName, status.state, status.term, { probe: spec.probe });
        break;
      case 'acknowledge':
        if (rig.instance(what.node).status) rig.acknowledge(what.node);
        break;
      case 'restart':
        rig.restart();
        this.reportsRead = '';
        break;
      case 'dropWrites':
        this.step({ writes: false });
        rig.restart();
        this.reportsRead = '';
        break;
      case 'pass':
        rig.pass(what.ms);
        break;
    }
  }

  /** A Master whose term is to yield does so; the other node claims. */
  obey(): void {
    const { rig } = this;
    for (const name of NODES) {
      const { spec, status } = rig.instance(name);
      if (status?.state !== 'Master' || spec.yieldTerm !== status.term) continue;
      this.yields++;
      rig.report(name, 'Backup', status.term);
      this.term++;
      rig.report(name === 'node1' ? 'node2' : 'node1', 'Master', this.term);
      return;
    }
  }

  answer(how: 'ok' | 'lost' | 'worked' | 'throttled' | 'rejected'): void {
    if (!this.rig.memory.calls.unanswered) return;
    this.rig.pass(1);
    if (how === 'ok') this.rig.answer();
    else if (how === 'throttled')
      this.rig.answer(failureOf({ code: 'RequestLimitExceeded', message: '', httpStatus: 503 }));
    else if (how === 'rejected')
      this.rig.answer(failureOf({ code: 'InvalidParameterValue', message: '', httpStatus: 400 }));
    else this.rig.answer(failureOf({ code: 'TimeoutError', message: '' }), how === 'worked');
    this.rig.pass(1);
  }

  step(keep: { writes?: boolean } = {}): void {
    const { rig } = this;
    const masters = rig.instances.flatMap(({ spec, status }) =>
      status?.state === 'Master' ? [{ node: spec.nodeName, term: status.term }] : [],
    );
    this.highestRead = Math.max(this.highestRead, ...masters.map(({ term }) => term));
    // The pin is a wish of its own, and so is what it means once its node is ready.
    const reports = JSON.stringify(
      rig.instances.map(({ spec, status }) => [spec.nodeName, spec.claim, status]),
    );
    if (reports !== this.reportsRead) this.target = undefined;
    this.reportsRead = reports;
    const wasUnanswered = rig.memory.calls.unanswered !== undefined;
    const { call } = rig.step(keep);
    if (!call) return;
    this.lastCall = call;
    const text = JSON.stringify(call);
    const floor = Math.max(rig.pair.status?.term ?? 0, rig.memory.authority.highestTerm);
    const { pinnedNode, addresses } = rig.pair.spec;
    const isWanted = (key: string): boolean =>
      addresses.some(({ vip, eipAllocationID }) => vip === key || eipAllocationID === key);
    if (call.purpose !== 'Release') {
      const isMaster = masters.some(({ node: name, term }) => name === call.node && term >= floor);
      assert.ok(
        pinnedNode === undefined ? isMaster : isMaster || call.node === pinnedNode,
        `S1 authority: ${text}`,
      );
    }
    const keys = idsOf(call.call);
    assert.ok(
      keys.every((key) => key === OTHER_VIP || key === MAIN.vip || key === MAIN.eipAllocationID),
      `S2 blast radius: ${text}`,
    );
    if (call.purpose === 'Release') assert.not(keys.some(isWanted), `release of what is wanted: ${text}`);
    else {
      assert.ok(this.target === undefined || this.target === call.node, `S3 no tug-of-war: ${text}`);
      this.target = call.node;
    }
    assert.not(wasUnanswered, `S5 single step: ${text}`);
    assert.not(rig.pair.spec.paused, `paused: ${text}`);
  }

  get written(): number {
    return this.rig.statusWrites + this.rig.instanceWrites + this.rig.calls.length;
  }

  /** Faults over: one Master with a term of its own, a healthy Backup, working EC2. */
  calmDown(): void {
    const { rig } = this;
    if (rig.memory.calls.unanswered) rig.answer();
    rig.unpin();
    this.target = undefined;
    rig.edit({ paused: false, addresses: [MAIN] });
    this.term++;
    rig.report('node1', 'Master', this.term);
    rig.report('node2', 'Backup', this.term);
    for (let round = 0; round < 60; round++) {
      const before = this.written;
      rig.pass(20_000);
      rig.alive('node1');
      rig.alive('node2');
      rig.read();
      for (let turn = 0; turn < 4; turn++) {
        this.step();
        if (rig.memory.calls.unanswered) this.answer('ok');
        rig.pass(1);
      }
      this.obey();
      if (this.written === before) return;
    }
  }
}

test('S1, S2, S3, S5, S9 and L1 hold in random interleavings', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const watched = new Watched();
      for (const what of actions) {
        watched.run(what);
        watched.step();
      }
      watched.calmDown();
      const { rig } = watched;
      assert.ok(watched.yields <= watched.orders, `S9 orders: ${watched.yields} of ${watched.orders}`);
      assert.is(rig.pair.status?.failback?.yieldTerm ?? 0, 0, 'S9 orders: consumed');
      const master = rig.pair.status?.master;
      const wanted = master === 'node1' ? NODE1 : NODE2;
      assert.is(rig.cloud.where(VIP), wanted.networkInterfaceID, 'L1 converge');
      assert.is(rig.condition('Ready'), 'True Serving');
      const before = watched.written;
      rig.pass(10_000);
      rig.alive('node1');
      rig.alive('node2');
      rig.read();
      rig.step();
      assert.is(watched.written, before, 'L2 stay');
    }),
    { includeErrorInReport: true, numRuns: Number(process.env.PROPERTY_RUNS ?? 300) },
  );
});

test.run();
