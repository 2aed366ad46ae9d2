import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairSpec } from '../../crds/types.ts';
import { EPOCH_MS } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

const requested = (requestedAt: string): HAPairSpec['failback'] => ({
  policy: 'Manual',
  delaySeconds: 60,
  startingDeadlineSeconds: 600,
  requestedAt,
});

/** A converged pair whose master is node1, with `preferredNode: node2` already seen. */
const preferring2 = (): Rig => {
  const rig = Rig.converged();
  rig.pair = {
    ...rig.pair,
    spec: { ...rig.pair.spec, preferredNode: 'node2' },
    status: { ...rig.pair.status, failback: { observedPreferredNode: 'node2', reason: 'Recorded' } },
  };
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
  return rig;
};

/** The agents carry out a yield of node1 to node2. */
const switchTo2 = (rig: Rig, term = 2): void => {
  rig.report('node1', 'Backup', term - 1);
  rig.settle();
  rig.report('node2', 'Master', term);
  rig.settle();
};

test('an order by preferredNode: recorded first, then given, then consumed', () => {
  const rig = Rig.converged();
  rig.edit({ preferredNode: 'node2' });
  const first = rig.step();
  assert.is(rig.pair.status?.failback?.yieldTerm, 1);
  assert.equal(first.instances, [], 'nothing is given before it is recorded');
  rig.step();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
  assert.is(rig.instance('node2').spec.yieldTerm, 0);
  switchTo2(rig);
  assert.equal(rig.pair.status?.failback, {
    observedPreferredNode: 'node2',
    reason: 'SwitchoverCompleted',
  });
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
  assert.is(rig.calls.length, 1);
  assert.is(rig.pair.status?.history?.[0]?.reason, 'SwitchoverRequested');
  assert.is(rig.condition('PreferredNodeActive'), 'True PreferredNodeIsMaster');
});

test('an order by requestedAt, once: the same value never orders again', () => {
  const rig = preferring2();
  rig.edit({ failback: requested('2026-11-22T10:00:00Z') });
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
  switchTo2(rig);
  assert.is(rig.pair.status?.failback?.lastHandledRequestedAt, '2026-11-22T10:00:00Z');
  rig.report('node2', 'Backup', 2);
  rig.report('node1', 'Master', 3);
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
});

test('both at once are one order', () => {
  const rig = Rig.converged();
  rig.edit({ preferredNode: 'node2', failback: requested('2026-11-22T10:00:00Z') });
  rig.settle();
  switchTo2(rig);
  rig.report('node2', 'Backup', 2);
  rig.report('node1', 'Master', 3);
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 0, 'no second order is left');
});

test('a time in the future orders when it comes', () => {
  const rig = preferring2();
  rig.edit({ failback: requested('2026-11-22T10:01:00Z') });
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  rig.pass(60_000);
  rig.alive('node2');
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 1);
});

test('a changed preferredNode does not swallow a request for later', () => {
  const rig = Rig.converged();
  rig.edit({ preferredNode: 'node2', failback: requested('2026-11-22T10:05:00Z') });
  rig.settle();
  switchTo2(rig);
  assert.is(rig.pair.status?.failback?.lastHandledRequestedAt, undefined);
});

for (const [title, requestedAt, lastHandled] of [
  ['older than the last one handled', '2026-11-22T09:59:30Z', '2026-11-22T09:59:45Z'],
  ['older than the object', '2026-11-22T09:00:00Z', undefined],
] as const) {
  test(`a time ${title} is ignored, and says so once`, () => {
    const rig = preferring2();
    if (lastHandled) {
      const failback = { ...rig.pair.status?.failback, lastHandledRequestedAt: lastHandled };
      rig.pair = { ...rig.pair, status: { ...rig.pair.status, failback } };
    }
    rig.edit({ failback: requested(requestedAt) });
    rig.settle();
    rig.settle();
    assert.is(rig.pair.status?.failback?.reason, 'OrderIgnored');
    assert.is(rig.pair.status?.failback?.lastHandledRequestedAt, lastHandled);
    assert.is(rig.reasons.filter((reason) => reason === 'OrderIgnored').length, 1);
    assert.is(rig.instance('node1').spec.yieldTerm, 0);
  });
}

test('an old time left in spec does not hide what became of a later order', () => {
  const rig = preferring2();
  rig.edit({ failback: requested('2026-11-22T09:00:00Z') });
  rig.settle();
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'AlreadyMaster');
  assert.is(rig.reasons.filter((reason) => reason === 'OrderIgnored').length, 1);
});

test('the first sight of a pair, and a lost status, record both wishes and order nothing', () => {
  const rig = new Rig({ preferredNode: 'node2', failback: requested('2026-11-22T10:00:00Z') });
  rig.settle();
  rig.report('node1', 'Master', 1);
  rig.report('node2', 'Backup', 1);
  rig.settle();
  const recorded = {
    observedPreferredNode: 'node2',
    lastHandledRequestedAt: '2026-11-22T10:00:00Z',
    reason: 'Recorded',
  };
  assert.equal(rig.pair.status?.failback, recorded);
  const { status: _lost, ...restored } = rig.pair;
  rig.pair = restored;
  rig.restart();
  rig.alive('node2');
  rig.settle();
  assert.equal(rig.pair.status?.failback, recorded);
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
});

test('an order waits for a healthy Backup with a fresh sign of life', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForTarget');
  assert.is(rig.pair.status?.failback?.pendingSince, '2026-11-22T10:00:01Z');
  rig.pass(50_000);
  rig.report('node2', 'Backup', 1);
  rig.life = {};
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForTarget', 'no sign of life was seen');
  rig.alive('node2');
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 1);
  switchTo2(rig);
  assert.is(rig.pair.status?.failback?.pendingSince, undefined);
});

test('an unhealthy Backup is no target', () => {
  const rig = Rig.converged();
  const unhealthy = {
    type: 'Healthy',
    status: 'False' as const,
    reason: 'ChecksFailed',
    message: '',
    lastTransitionTime: '',
  };
  rig.report('node2', 'Backup', 1, { conditions: [unhealthy] });
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForTarget');
});

test('an order that is withdrawn while it waits is gone', () => {
  const rig = Rig.converged({ preferredNode: 'node1' });
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  rig.edit({ preferredNode: 'node1' });
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.equal(rig.pair.status?.failback, { observedPreferredNode: 'node1' });
});

test('an order to the node that is master already is consumed at once', () => {
  const rig = Rig.converged();
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  assert.equal(rig.pair.status?.failback, { observedPreferredNode: 'node1', reason: 'AlreadyMaster' });
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
});

test('an order that comes while another is under way waits for its end', () => {
  const rig = Rig.converged({ preferredNode: 'node1' });
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 1);
  switchTo2(rig);
  rig.report('node1', 'Backup', 2);
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 2, 'now back');
  assert.is(rig.instance('node2').spec.yieldTerm, 2);
});

test('T4: the target is dead; the yielder becomes Master again, and the order is consumed with a reason', () => {
  const rig = preferring2();
  rig.edit({ failback: requested('2026-11-22T10:00:00Z') });
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
  rig.report('node1', 'Backup', 1);
  rig.settle();
  rig.report('node1', 'Master', 2);
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'SwitchoverFailed');
  assert.is(rig.events.find(({ reason }) => reason === 'SwitchoverFailed')?.type, 'Warning');
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  assert.is(rig.instance('node1').spec.yieldTerm, 0, 'no second yield from that order');
  assert.is(rig.calls.length, 0);
});

for (const died of ['before the record', 'between record and order', 'after the order', 'after the yield']) {
  test(`T5: the operator dies ${died}: one yield, and the order is consumed`, () => {
    const rig = preferring2();
    rig.edit({ failback: requested('2026-11-22T10:00:00Z') });
    if (died === 'before the record') rig.step({ writes: false });
    else rig.step();
    if (died.startsWith('after')) rig.step();
    if (died === 'after the yield') rig.report('node1', 'Backup', 1);
    rig.restart();
    rig.alive('node2');
    rig.settle();
    if (died !== 'after the yield') assert.is(rig.instance('node1').spec.yieldTerm, 1);
    switchTo2(rig);
    assert.is(rig.pair.status?.failback?.reason, 'SwitchoverCompleted');
    rig.report('node2', 'Backup', 2);
    rig.report('node1', 'Master', 3);
    rig.settle();
    assert.is(rig.instance('node1').spec.yieldTerm, 0);
    assert.is(rig.pair.status?.failback?.yieldTerm, undefined);
  });
}

const deadline = (startingDeadlineSeconds: number, requestedAt?: string): HAPairSpec['failback'] => ({
  policy: 'Manual',
  delaySeconds: 60,
  startingDeadlineSeconds,
  ...(requestedAt !== undefined && { requestedAt }),
});

test('an order that cannot be done yet says why, and expires at its deadline', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node2', failback: deadline(90) });
  rig.settle();
  const said = rig.events.find(({ reason }) => reason === 'WaitingForTarget')?.message ?? '';
  assert.match(said, /waits until it is a healthy Backup .*: it is Fault\./);
  rig.pass(89_000);
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'WaitingForTarget');
  rig.pass(2_000);
  rig.settle();
  assert.equal(rig.pair.status?.failback, { observedPreferredNode: 'node2', reason: 'Expired' });
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, undefined, 'and stays so');
});

test('the deadline outlives the operator', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node2', failback: deadline(90) });
  rig.settle();
  rig.pass(60_000);
  rig.restart();
  rig.settle();
  rig.pass(31_000);
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'Expired');
});

test('T25: a recorded order that nobody carries out is taken back at its deadline', () => {
  const rig = preferring2();
  rig.edit({ failback: deadline(60, '2026-11-22T10:00:00Z') });
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
  rig.pass(60_000);
  rig.settle();
  assert.equal(rig.pair.status?.failback, {
    observedPreferredNode: 'node2',
    lastHandledRequestedAt: '2026-11-22T10:00:00Z',
    reason: 'Expired',
  });
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
});

test('a requestedAt that is first seen after its deadline expires, as a CronJob does', () => {
  const rig = preferring2();
  rig.pass(700_000);
  rig.alive('node2');
  rig.edit({ failback: requested('2026-11-22T10:01:00Z') });
  rig.settle();
  assert.is(rig.pair.status?.failback?.reason, 'Expired');
  assert.is(rig.pair.status?.failback?.lastHandledRequestedAt, '2026-11-22T10:01:00Z');
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
});

test('preferredNode there and back before the first was begun: nothing happens', () => {
  const rig = Rig.converged({ preferredNode: 'node1' });
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  assert.equal(rig.pair.status?.failback, { observedPreferredNode: 'node1' });
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 0);
});

test('preferredNode twice quickly: the begun order ends first, then the other is an order of its own', () => {
  const rig = Rig.converged({ preferredNode: 'node1' });
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 1, 'begun');
  switchTo2(rig);
  rig.report('node1', 'Backup', 2);
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 2);
  assert.is(rig.instance('node2').spec.yieldTerm, 2);
});

test('an order is looked at again at its deadline, recorded or not', () => {
  const failback = { policy: 'Manual' as const, delaySeconds: 60, startingDeadlineSeconds: 20 };
  const rig = Rig.converged({ failback });
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  assert.ok((rig.pair.status?.failback?.yieldTerm ?? 0) > 0);
  rig.pass(2_000);
  const afterMs = rig.step().requeueAfterMs ?? 0;
  assert.ok(afterMs > 16_000 && afterMs <= 18_000, `${afterMs} ms`);
});

test('an order that was given before the pair was paused stays as it was given', () => {
  const rig = Rig.converged();
  rig.edit({ preferredNode: 'node2' });
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
  rig.edit({ paused: true });
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
  const late = Rig.converged();
  late.edit({ preferredNode: 'node2' });
  late.step();
  assert.is(late.pair.status?.failback?.yieldTerm, 1);
  late.edit({ paused: true });
  late.settle();
  assert.is(late.instance('node1').spec.yieldTerm, 0, 'and none is given meanwhile');
});

test('the plan that records an order comes back at its deadline', () => {
  const failback = { policy: 'Manual' as const, delaySeconds: 60, startingDeadlineSeconds: 20 };
  const rig = Rig.converged({ failback });
  rig.edit({ preferredNode: 'node2' });
  assert.is(rig.step().requeueAfterMs, 20_000);
});

test('a recorded order of which nobody knows since when it waits is not taken back at once', () => {
  const rig = preferring2();
  rig.edit({ failback: requested('2026-11-22T10:00:00Z') });
  rig.settle();
  const { pendingSince: _lost, ...failback } = rig.pair.status?.failback ?? {};
  rig.pair = { ...rig.pair, status: { ...rig.pair.status, failback } };
  rig.settle();
  assert.is(rig.pair.status?.failback?.yieldTerm, 1);
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
});

test('the last look at a waiting order is at its deadline, not after it', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Fault', 1);
  rig.edit({ preferredNode: 'node2', failback: deadline(90) });
  rig.settle();
  const deadlineMs = Date.parse(rig.pair.status?.failback?.pendingSince ?? '') + 90_000 - EPOCH_MS;
  rig.pass(deadlineMs - 300 - rig.nowMs);
  rig.alive('node2');
  assert.is(rig.step().requeueAfterMs, 300);
});

test('an order for later is looked at when it comes', () => {
  const rig = preferring2();
  const comesAtMs = rig.nowMs + 3_000;
  rig.edit({ failback: requested(new Date(EPOCH_MS + comesAtMs).toISOString()) });
  rig.step();
  assert.is(rig.step().requeueAfterMs, 3_000);
});

test('a request of the very second in which the pair was made is an order', () => {
  const rig = preferring2();
  rig.pair = { ...rig.pair, metadata: { ...rig.pair.metadata, creationTimestamp: '2026-11-22T10:00:00Z' } };
  rig.edit({ failback: requested('2026-11-22T10:00:00Z') });
  rig.settle();
  assert.is(rig.instance('node1').spec.yieldTerm, 1);
});

test.run();
