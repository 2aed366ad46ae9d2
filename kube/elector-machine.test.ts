import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ELECTOR_TIMES, ElectorMachine, type ElectorTimes } from './elector-machine.ts';
import type { Lease } from './lease-types.ts';

/** Without jitter. */
const createMachine = (random = 0) =>
  new ElectorMachine({ ...ELECTOR_TIMES, identity: 'me', random: () => random });

const at = (nowMs: number) => ({ nowMs, wallMs: Date.UTC(2026, 10, 22, 10) + nowMs });

const held = (holderIdentity: string, renewal: number, leaseDurationSeconds = 15): Lease => ({
  metadata: { name: 'l', namespace: 'n', resourceVersion: String(renewal), labels: { kept: 'yes' } },
  spec: {
    ...{ holderIdentity, leaseDurationSeconds, leaseTransitions: 3 },
    ...{ acquireTime: '2026-11-22T09:00:00.000000Z', renewTime: `2026-11-22T09:59:0${renewal}.000000Z` },
  },
});

const read = (lease: Lease | undefined) => ({ type: 'read', lease }) as const;
const written = (lease: Lease, startedMs: number) => ({ type: 'written', lease, startedMs }) as const;

/** A machine that leads by a write sent at 0 ms. */
const leading = () => {
  const machine = createMachine();
  machine.step({ type: 'waited' }, at(0));
  machine.step(read(undefined), at(0));
  machine.step(written(held('me', 1), 0), at(100));
  return machine;
};

test('a missing Lease is created and led from the moment its request was sent', () => {
  const machine = createMachine();
  assert.equal(machine.step({ type: 'waited' }, at(0)), { do: 'read', timeoutMs: 6_600 });
  assert.equal(machine.step(read(undefined), at(10)), {
    do: 'create',
    timeoutMs: 6_600,
    spec: {
      holderIdentity: 'me',
      leaseDurationSeconds: 15,
      acquireTime: '2026-11-22T10:00:00.010000Z',
      renewTime: '2026-11-22T10:00:00.010000Z',
      leaseTransitions: 0,
    },
  });
  assert.is(machine.deadlineMs, Number.NEGATIVE_INFINITY);
  assert.equal(machine.step(written(held('me', 1), 10), at(900)), { do: 'wait', delayMs: 1_110 });
  assert.is(machine.deadlineMs, 11_010);
  assert.is(machine.reign, 1);
});

test('a Lease that somebody renews is left alone; a standby looks again after the retry period and up to 2.2 times it', () => {
  for (const [random, delayMs] of [
    [0, 2_000],
    [1, 4_400],
  ] as const) {
    const machine = createMachine(random);
    machine.step({ type: 'waited' }, at(0));
    assert.equal(machine.step(read(held('other', 1)), at(0)), { do: 'wait', delayMs });
    assert.is(machine.holder, 'other');
  }
});

test('what the Lease says of its age counts for nothing: it is taken 15 s after it was last seen to change', () => {
  const machine = createMachine();
  machine.step(read(held('other', 1)), at(0));
  machine.step(read(held('other', 2)), at(14_000));
  assert.equal(machine.step(read(held('other', 2)), at(28_500)), { do: 'wait', delayMs: 500 });
  const taken = machine.step(read(held('other', 2)), at(29_000));
  assert.equal(taken, {
    do: 'replace',
    timeoutMs: 6_600,
    lease: {
      ...held('other', 2),
      spec: {
        holderIdentity: 'me',
        leaseDurationSeconds: 15,
        acquireTime: '2026-11-22T10:00:29.000000Z',
        renewTime: '2026-11-22T10:00:29.000000Z',
        leaseTransitions: 4,
      },
    },
  });
});

test("the holder's own lease duration is waited for, not the standby's", () => {
  const machine = createMachine();
  machine.step(read(held('other', 1, 60)), at(0));
  assert.is(machine.step(read(held('other', 1, 60)), at(59_000)).do, 'wait');
  assert.is(machine.step(read(held('other', 1, 60)), at(60_000)).do, 'replace');
});

test('a label on the Lease is no sign of life of its holder', () => {
  const machine = createMachine();
  machine.step(read(held('other', 1)), at(0));
  const labelled = held('other', 1);
  labelled.metadata = { ...labelled.metadata, resourceVersion: '99', labels: { touched: 'yes' } };
  machine.step(read(labelled), at(14_000));
  const action = machine.step(read(labelled), at(15_000));
  assert.is(action.do === 'replace' && action.lease.metadata.resourceVersion, '99');
});

test('an emptied Lease is taken at once', () => {
  const machine = createMachine();
  machine.step(read(held('other', 1)), at(0));
  assert.is(machine.step(read(held('', 2, 1)), at(10)).do, 'replace');
});

test("a Lease that was deleted leaves its holder's time to it", () => {
  const machine = createMachine();
  machine.step(read(held('other', 1)), at(0));
  assert.is(machine.step(read(undefined), at(14_999)).do, 'wait');
  assert.is(machine.step(read(undefined), at(15_000)).do, 'create');
});

test('a leader renews what it holds without reading, and keeps its acquireTime and transitions', () => {
  const machine = leading();
  const action = machine.step({ type: 'waited' }, at(2_100));
  assert.equal(action.do === 'replace' && action.lease, {
    ...held('me', 1),
    spec: { ...held('me', 1).spec, renewTime: '2026-11-22T10:00:02.100000Z' },
  });
  machine.step(written(held('me', 2), 2_100), at(2_200));
  assert.is(machine.deadlineMs, 13_100);
});

test('a leader renews once in a retry period, however long the renewal before took; a write that is slow is followed at once', () => {
  const machine = leading();
  machine.step({ type: 'waited' }, at(2_000));
  assert.equal(machine.step(written(held('me', 2), 2_000), at(3_500)), { do: 'wait', delayMs: 500 });
  machine.step({ type: 'waited' }, at(4_000));
  assert.equal(machine.step(written(held('me', 3), 4_000), at(9_000)), { do: 'wait', delayMs: 0 });
});

test('O8: while every write takes five seconds, leadership has no gap', () => {
  const machine = leading();
  let nowMs = 2_000;
  for (let renewal = 2; renewal < 9; renewal++) {
    const action = machine.step({ type: 'waited' }, at(nowMs));
    assert.ok(action.do === 'replace' && action.timeoutMs > 5_000, 'the answer is waited for');
    nowMs += 5_000;
    assert.equal(machine.step(written(held('me', renewal), nowMs - 5_000), at(nowMs)), {
      do: 'wait',
      delayMs: 0,
    });
    assert.is(machine.reign, 1);
  }
});

test('failed renewals are repeated until the deadline, and no request outlives it', () => {
  const machine = leading();
  machine.step({ type: 'waited' }, at(8_000));
  assert.equal(machine.step({ type: 'failed' }, at(9_500)), { do: 'wait', delayMs: 500 });
  const last = machine.step({ type: 'waited' }, at(10_400));
  assert.is(last.do === 'replace' && last.timeoutMs, 600);
  assert.equal(machine.step({ type: 'failed' }, at(11_000)), { do: 'wait', delayMs: 2_000 });
  assert.is(machine.deadlineMs, Number.NEGATIVE_INFINITY);
});

test('who lost stands again: it reads first, and leads anew when the Lease is its own or free', () => {
  const machine = leading();
  assert.is(machine.step({ type: 'waited' }, at(11_000)).do, 'read');
  assert.is(machine.reign, undefined);
  assert.is(machine.step(read(held('me', 1)), at(11_010)).do, 'replace');
  machine.step(written(held('me', 2), 11_010), at(11_020));
  assert.is(machine.reign, 2);
  assert.is(machine.deadlineMs, 22_010);
});

test('who lost leaves the Lease to somebody else who has taken it meanwhile', () => {
  const machine = leading();
  machine.step({ type: 'waited' }, at(40_000));
  assert.is(machine.step(read(held('other', 5)), at(40_010)).do, 'wait');
  assert.is(machine.step(read(held('other', 5)), at(55_009)).do, 'wait');
  assert.is(machine.step(read(held('other', 5)), at(55_010)).do, 'replace');
});

test('a renewal whose answer comes after the deadline begins another reign: in between nobody led', () => {
  const machine = leading();
  machine.step({ type: 'waited' }, at(10_900));
  machine.step(written(held('me', 2), 10_900), at(11_001));
  assert.is(machine.reign, 2);
});

test('a standby that slept over its first answer renews before it leads', () => {
  const machine = createMachine();
  machine.step(read(undefined), at(0));
  assert.is(machine.step(written(held('me', 1), 0), at(11_000)).do, 'replace');
  assert.is(machine.reign, undefined);
  machine.step(written(held('me', 2), 11_000), at(11_100));
  assert.is(machine.deadlineMs, 22_000);
});

test('a leader that finds another holder, or none, has lost; one whose own lost answer refused it has not', () => {
  for (const [holder, next] of [
    ['other', 'wait'],
    ['', 'replace'],
  ] as const) {
    const machine = leading();
    machine.step({ type: 'waited' }, at(2_000));
    assert.is(machine.step({ type: 'refused' }, at(2_000)).do, 'read');
    assert.is(machine.step(read(held(holder, 5)), at(2_100)).do, next);
    assert.is(machine.reign, undefined);
  }
  const machine = leading();
  machine.step({ type: 'waited' }, at(2_000));
  machine.step({ type: 'refused' }, at(2_000));
  const again = machine.step(read(held('me', 5)), at(2_100));
  assert.is(again.do === 'replace' && again.lease.metadata.resourceVersion, '5');
});

test('a leader whose Lease was deleted makes it again', () => {
  const machine = leading();
  machine.step({ type: 'waited' }, at(2_000));
  machine.step({ type: 'refused' }, at(2_000));
  assert.is(machine.step(read(undefined), at(2_100)).do, 'create');
});

test('a race lost twice waits for its next turn', () => {
  const machine = createMachine();
  machine.step({ type: 'waited' }, at(0));
  machine.step(read(held('', 1)), at(0));
  assert.is(machine.step({ type: 'refused' }, at(0)).do, 'read');
  machine.step(read(held('', 2)), at(0));
  assert.equal(machine.step({ type: 'refused' }, at(0)), { do: 'wait', delayMs: 2_000 });
});

test('a Lease is emptied as client-go empties it, and only if it is ours', () => {
  const machine = leading();
  const now = '2026-11-22T10:00:00.000000Z';
  assert.equal(machine.released(held('me', 1), at(0).wallMs), {
    ...held('me', 1),
    spec: {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: 3,
    },
  });
  assert.is(machine.released(held('other', 1), 0), undefined);
  assert.is(machine.released(undefined, 0), undefined);
});

const REFUSED: [ElectorTimes, string][] = [
  [{ leaseDurationMs: 10_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 }, 'must exceed renewDeadlineMs'],
  [{ leaseDurationMs: 15_000, renewDeadlineMs: 2_400, retryPeriodMs: 2_000 }, 'must exceed 1.2 x'],
  [{ leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 0 }, 'must be positive'],
  [{ leaseDurationMs: 15_500, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 }, 'whole seconds'],
];

for (const [times, problem] of REFUSED) {
  test(`refuses ${Object.values(times).join('/')} ms: ${problem}`, () => {
    assert.throws(
      () => new ElectorMachine({ ...times, identity: 'me', random: () => 0 }),
      (error: unknown) => error instanceof RangeError && error.message.includes(problem),
    );
  });
}

test.run();
