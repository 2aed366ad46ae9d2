import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairSpec } from '../../crds/types.ts';
import { formatTime } from '../../runtime/time.ts';
import { EPOCH_MS } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const MINUTE_MS = 60_000;

const failbackOf = (change: Partial<HAPairSpec['failback']>): HAPairSpec['failback'] => ({
  policy: 'Automatic',
  delaySeconds: 60,
  startingDeadlineSeconds: 600,
  ...change,
});

/** node2 serves after a failover some time ago; node1, preferred, is back as a healthy Backup. */
const recovered = (failback = failbackOf({})): Rig => {
  const rig = Rig.converged({ preferredNode: 'node1', failback });
  rig.report('node1', 'Init', 1);
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.pass(10 * MINUTE_MS);
  rig.alive('node2');
  rig.report('node1', 'Backup', 2);
  rig.settle();
  return rig;
};

/** Both agents live on for so long. */
const live = (rig: Rig, ms: number): void => {
  for (let passed = 0; passed < ms; passed += 5_000) {
    rig.pass(5_000);
    rig.alive('node1');
    rig.alive('node2');
    rig.settle();
  }
};

/** The ordered switch to node1 happens. */
const yielded = (rig: Rig): void => {
  const term = rig.pair.status?.term ?? 0;
  rig.report('node2', 'Backup', term);
  rig.report('node1', 'Master', term + 1);
  rig.settle();
};

test('Automatic: the preferred node takes over once it has been healthy for the delay', () => {
  const rig = recovered();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForDelay');
  live(rig, 55_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  live(rig, 10_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
  assert.is(rig.pair.status?.failback?.reason, 'AutomaticFailback');
  const told = rig.events.find(({ reason }) => reason === 'AutomaticFailback');
  assert.is(told?.message, 'node1 has been healthy for 60 s: node2 is asked to yield term 2 to it.');
  assert.is(rig.instance('node2').spec.yieldTerm, 2);
  yielded(rig);
  assert.is(rig.pair.status?.failback?.reason, 'SwitchoverCompleted');
  assert.is(rig.pair.status?.history?.[0]?.reason, 'AutomaticFailback');
  assert.is(rig.instance('node2').spec.yieldTerm, 0);
});

test('Automatic: ill health, silence or a restart of the operator begins the delay anew', () => {
  const rig = recovered();
  live(rig, 55_000);
  rig.report('node1', 'Fault', 2);
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForTarget');
  rig.report('node1', 'Backup', 2);
  live(rig, 55_000);
  rig.restart();
  live(rig, 55_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  live(rig, 15_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
});

test('Automatic: after each failback the next one waits twice as long', () => {
  const rig = recovered();
  live(rig, 65_000);
  yielded(rig);
  live(rig, 2 * MINUTE_MS);
  rig.report('node1', 'Init', 3);
  rig.report('node2', 'Master', 4);
  rig.settle();
  rig.report('node1', 'Backup', 4);
  live(rig, 110_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  live(rig, 15_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, 4);
});

test('Automatic: never within a minute of the last switch, for EC2 is slow to move an address straight back', () => {
  const rig = Rig.converged({ preferredNode: 'node1', failback: failbackOf({ delaySeconds: 0 }) });
  live(rig, 2 * MINUTE_MS);
  rig.report('node2', 'Master', 2);
  rig.report('node1', 'Backup', 2);
  rig.settle();
  live(rig, 55_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  live(rig, 10_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
});

for (const [title, change] of [
  ['the policy is Manual', { failback: failbackOf({ policy: 'Manual' }) }],
  ['the pair is paused', { paused: true }],
  ['a node is pinned', { pinnedNode: 'node2' }],
] as const) {
  test(`Automatic: nothing is ordered while ${title}`, () => {
    const rig = recovered();
    rig.edit(change);
    live(rig, 10 * MINUTE_MS);
    assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
    assert.is(rig.instance('node2').spec.yieldTerm, 0);
  });
}

test('Automatic: an order for later is looked at when its time comes, before the delay is over', () => {
  const rig = recovered(failbackOf({ delaySeconds: 3_600 }));
  const requestedAt = formatTime(EPOCH_MS + rig.nowMs + 10_500);
  rig.edit({ failback: failbackOf({ delaySeconds: 3_600, requestedAt }) });
  rig.settle();
  rig.alive('node1');
  rig.alive('node2');
  assert.ok((rig.step().requeueAfterMs ?? 0) <= 10_500);
});

test('Automatic: an order that is ignored is told all the same', () => {
  const rig = recovered(failbackOf({ delaySeconds: 3_600 }));
  rig.edit({ failback: failbackOf({ delaySeconds: 3_600, requestedAt: '2026-11-22T09:00:00Z' }) });
  rig.settle();
  assert.is(rig.reasons.filter((reason) => reason === 'OrderIgnored').length, 1);
});

test('Automatic: an order by hand does not wait', () => {
  const rig = recovered();
  const requestedAt = '2026-11-22T10:10:00Z';
  rig.edit({ failback: failbackOf({ requestedAt }) });
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
  assert.is(rig.pair.status?.failback?.reason, 'SwitchoverRequested');
});

test('a yield after which the old master is master again is not asked for at once again, but ever later', () => {
  const rig = recovered();
  const ordersIn = (ms: number): number => {
    let orders = 0;
    for (const endMs = rig.nowMs + ms; rig.nowMs < endMs; ) {
      live(rig, 5_000);
      const term = rig.pair.status?.term ?? 0;
      if (rig.instance('node2').spec.yieldTerm !== term) continue;
      orders++;
      rig.report('node2', 'Master', term + 1);
      rig.settle();
      assert.is(rig.pair.status?.failback?.reason === 'AutomaticFailback', false);
    }
    return orders;
  };
  assert.is(ordersIn(2 * MINUTE_MS), 1);
  assert.is(ordersIn(15 * MINUTE_MS), 3);
});

test('Automatic: an order that expired counts as failed, and the next one waits twice as long', () => {
  const rig = recovered(failbackOf({ startingDeadlineSeconds: 30 }));
  live(rig, 65_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
  live(rig, 35_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  live(rig, 85_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined, 'not after one delay');
  live(rig, 45_000);
  assert.is(rig.pair.status?.failback?.yieldTerm, 2, 'but after two');
});

test('Automatic: the pair is looked at again when the delay is over, not later', () => {
  const rig = recovered();
  let lastMs = Number.POSITIVE_INFINITY;
  for (let second = 0; second < 70 && rig.pair.status?.failback?.yieldTerm === undefined; second++) {
    rig.pass(1_000);
    rig.alive('node1');
    rig.alive('node2');
    const { requeueAfterMs = Number.POSITIVE_INFINITY } = rig.step();
    if (rig.pair.status?.failback?.yieldTerm === undefined) lastMs = requeueAfterMs;
  }
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
  assert.ok(lastMs <= 1_000, `${lastMs} ms`);
});

test.run();
