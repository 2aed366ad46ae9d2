import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HistoryEntry } from '../../crds/types.ts';
import { formatMicroTime } from '../../runtime/time.ts';
import { EPOCH_MS, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';
import { flappingOf } from './damping.ts';

const MINUTE_MS = 60_000;

const switchesAt = (...minutes: number[]): HistoryEntry[] =>
  minutes
    .map((minute, index) => ({
      from: index % 2 ? 'node2' : 'node1',
      to: index % 2 ? 'node1' : 'node2',
      term: index + 2,
      reason: 'Failover',
      time: formatMicroTime(EPOCH_MS + minute * MINUTE_MS),
    }))
    .reverse();

const FLAPPING: [string, number[], { level: number; minute: number } | undefined][] = [
  ['no switch', [], undefined],
  ['one switch holds for a minute', [0], { level: 1, minute: 1 }],
  ['one that comes later begins anew', [0, 5], { level: 1, minute: 6 }],
  ['one within the hold doubles it', [0, 0.5], { level: 2, minute: 2.5 }],
  ['so does one at the very end of the hold', [0, 1], { level: 2, minute: 3 }],
  ['and again', [0, 0.5, 2], { level: 3, minute: 6 }],
  ['up to a quarter of an hour', [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5], { level: 8, minute: 18.5 }],
];

for (const [title, minutes, expected] of FLAPPING) {
  test(`growing hold-down: ${title}`, () => {
    const found = flappingOf(switchesAt(...minutes), EPOCH_MS + 1_000 * MINUTE_MS);
    const holdUntilWallMs = EPOCH_MS + (expected?.minute ?? 0) * MINUTE_MS;
    assert.equal(found, expected && { level: expected.level, holdUntilWallMs });
  });
}

test('the switch to the present master is not held against it, whatever fraction of a millisecond its time has lost', () => {
  const history = switchesAt(0, 5);
  assert.is(flappingOf(history, EPOCH_MS), undefined);
  assert.is(flappingOf(history, EPOCH_MS + 0.7), undefined);
  assert.is(flappingOf(history, EPOCH_MS + 5 * MINUTE_MS)?.holdUntilWallMs, EPOCH_MS + MINUTE_MS);
});

for (const reason of ['SwitchoverRequested', 'PinnedBySpec']) {
  test(`a switch that somebody wanted ends the chain: ${reason}`, () => {
    const [newest, ...older] = switchesAt(0, 0.5, 0.8);
    assert.ok(newest);
    assert.is(flappingOf([{ ...newest, reason }, ...older], EPOCH_MS + MINUTE_MS), undefined);
    const [next] = switchesAt(0.9);
    assert.ok(next);
    const again = flappingOf([next, { ...newest, reason }, ...older], EPOCH_MS + MINUTE_MS);
    assert.is(again?.level, 1);
  });
}

test('the first election is no switch', () => {
  const [first] = switchesAt(0);
  const { from: _nobody, ...entry } = first ?? { to: '', term: 0, reason: '', time: '' };
  assert.is(flappingOf([entry], EPOCH_MS + MINUTE_MS), undefined);
});

/** node2 has just taken over; then node1 claims again while node2 is Master still. */
const flapping = (): Rig => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.calls.length = 0;
  rig.pass(5_000);
  rig.report('node1', 'Master', 3);
  rig.settle();
  return rig;
};

const echo = (rig: Rig): void => {
  const { spec } = rig.instance('node2');
  rig.report('node2', 'Master', 2, { probe: spec.probe });
  rig.settle();
};

test('a pin on the incumbent of a flapping pair moves nothing: the held move is not made now', () => {
  const rig = flapping();
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  assert.is(rig.calls.length, 0);
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID);
  assert.is(rig.pair.status?.holder, 'node2');
});

test('an incumbent that echoes the probe keeps the addresses, and the hold is shown', () => {
  const rig = flapping();
  assert.is(rig.instance('node2').spec.probe, 1, 'asked');
  echo(rig);
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('AddressesConverged'), 'False HeldDown');
  assert.is(rig.condition('Ready'), 'False HeldDown');
  assert.is(rig.pair.status?.damping?.recentSwitches, 1);
  assert.match(rig.pair.status?.damping?.holdUntil ?? '', /^2026-11-22T10:01:/);
  assert.ok(rig.reasons.includes('HeldDown'));
  for (let second = 0; second < 20; second++) {
    rig.pass(1_000);
    rig.settle();
    echo(rig);
  }
  assert.is(rig.cloud.where(VIP), NODE2.networkInterfaceID, 'as long as it proves itself');
  assert.ok(rig.instance('node2').spec.probe >= 5, 'again and again');
});

test('T8: an incumbent that does not echo within a second is not waited for', () => {
  const rig = flapping();
  assert.is(rig.calls.length, 0);
  rig.pass(1_000);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
  assert.is(rig.pair.status?.damping, undefined);
  assert.is(rig.condition('Ready'), 'True Serving');
});

test('T8: an incumbent that crashes under the hold is left within three seconds', () => {
  const rig = flapping();
  echo(rig);
  rig.pass(2_000);
  rig.settle();
  rig.pass(1_000);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
});

/** node2 has taken over and stepped back again, and node1 is elected. */
const steppedBack = (change: Parameters<Rig['report']>[3] = { vipsOnInterface: [VIP] }): Rig => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.calls.length = 0;
  rig.pass(5_000);
  rig.report('node2', 'Backup', 2, change);
  rig.report('node1', 'Master', 3);
  rig.settle();
  return rig;
};

test('after a switch that nobody ordered, a second flap within the minute moves nothing, also when the incumbent has become Backup', () => {
  const rig = steppedBack();
  for (let second = 0; second < 20; second++) {
    rig.report('node2', 'Backup', 3, { probe: rig.instance('node2').spec.probe, vipsOnInterface: [VIP] });
    rig.settle();
    rig.pass(1_000);
    rig.settle();
  }
  assert.is(rig.calls.length, 0);
  assert.is(rig.condition('AddressesConverged'), 'False HeldDown');
  rig.pass(3_000);
  rig.settle();
  rig.pass(1_000);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID, 'silent, it is not waited for');
});

test('an incumbent that has stepped back and is not healthy, or has no VIP on its interface, is not asked at all', () => {
  const lastTransitionTime = formatMicroTime(EPOCH_MS);
  const unhealthy = { type: 'Healthy', status: 'False' as const, reason: 'ChecksFailed', message: 'app' };
  const sick = { vipsOnInterface: [VIP], conditions: [{ ...unhealthy, lastTransitionTime }] };
  for (const change of [sick, { vipsOnInterface: [] }]) {
    const rig = steppedBack(change);
    assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
    assert.is(rig.instance('node2').spec.probe, 0);
  }
});

test('a switch by order is never held down, although its incumbent steps back as ordered', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.pass(5_000);
  rig.calls.length = 0;
  rig.report('node1', 'Backup', 2);
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  rig.settle();
  assert.is(rig.instance('node2').spec.yieldTerm, 2, 'ordered');
  rig.report('node2', 'Backup', 2);
  rig.report('node1', 'Master', 3);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
});

test('when the hold is over the newest master is served', () => {
  const rig = flapping();
  for (let second = 0; second < 60; second++) {
    echo(rig);
    rig.pass(1_000);
    rig.settle();
  }
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
});

test('the first failover after a quiet time asks nobody', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.pass(61_000);
  rig.report('node1', 'Master', 3);
  assert.ok(rig.step().call, 'at once');
});

test('a pin decides at once', () => {
  const rig = flapping();
  echo(rig);
  rig.edit({ pinnedNode: 'node1' });
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
});

test('an echo of an older question proves nothing', () => {
  const rig = flapping();
  rig.report('node2', 'Master', 2, { probe: 0 });
  rig.settle();
  rig.pass(1_000);
  rig.settle();
  assert.is(rig.cloud.where(VIP), NODE1.networkInterfaceID);
});

test('an incumbent that has proven itself is asked again as its proof ends, and has a second each time', () => {
  const rig = flapping();
  echo(rig);
  const provenAtMs = rig.memory.damping.probe?.provenAtMs ?? 0;
  assert.is(rig.step().requeueAfterMs, provenAtMs + 2_000 - rig.nowMs);
  rig.nowMs = provenAtMs + 2_000;
  assert.is(rig.step().requeueAfterMs, 1_000);
  assert.is(rig.instance('node2').spec.probe, 2);
  rig.pass(400);
  assert.is(rig.step().requeueAfterMs, 600);
  assert.is(rig.calls.length, 0);
});

test.run();
