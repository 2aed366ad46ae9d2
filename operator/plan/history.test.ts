import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPairStatus, HistoryEntry } from '../../crds/types.ts';
import type { DeliveryMemory } from '../../delivery/types.ts';
import { formatMicroTime } from '../../runtime/time.ts';
import { EPOCH_MS, reportOf } from '../testing/fixtures.ts';
import type { Report } from './elect.ts';
import { historyOf, isFirstMasterOf, switchReason } from './history.ts';
import { emptyMemory } from './memory.ts';
import type { PairMemory } from './types.ts';

const elected = (node: string, term = 2, sinceMs = 0): Report => ({
  ...{ ...reportOf('Master', term, sinceMs), node, sinceWallMs: EPOCH_MS + sinceMs },
});

/** Of `node`, read so long after the claim. */
const memory = (node: string, readMs: number, delivered: Partial<DeliveryMemory> = {}): PairMemory => {
  const empty = emptyMemory(0);
  const head = { node, term: 2, readAtMs: 500, readWallMs: EPOCH_MS + readMs, termReadAtMs: 500 };
  return {
    ...empty,
    authority: { ...empty.authority, head },
    delivery: { ...empty.delivery, ...delivered },
  };
};

const entry = (change: Partial<HistoryEntry> = {}): HistoryEntry => ({
  ...{ from: 'node1', to: 'node2', term: 2, reason: 'Failover', time: formatMicroTime(EPOCH_MS + 12) },
  ...change,
});

const REASONS: [status: HAPairStatus | undefined, pin: string | undefined, reason: string | undefined][] = [
  [undefined, undefined, 'FirstElection'],
  [{}, 'node2', 'FirstElection'],
  [{ master: 'node2' }, undefined, undefined],
  [{ master: 'node1' }, undefined, 'Failover'],
  [{ master: 'node1' }, 'node2', 'PinnedBySpec'],
  [{ master: 'node1' }, 'node1', 'Failover'],
  [
    { master: 'node1', failback: { yieldTerm: 1, reason: 'SwitchoverRequested' } },
    undefined,
    'SwitchoverRequested',
  ],
  [
    { master: 'node1', failback: { yieldTerm: 1, reason: 'AutomaticFailback' } },
    undefined,
    'AutomaticFailback',
  ],
  [{ master: 'node1', failback: { reason: 'AutomaticFailback' } }, undefined, 'Failover'],
];
for (const [status, pin, reason] of REASONS)
  test(`why node2 is master now: ${JSON.stringify(status)}, pin ${pin}: ${reason}`, () => {
    assert.is(switchReason(status, elected('node2'), pin), reason);
    assert.is(switchReason(status, undefined, pin), undefined);
  });

test('a switch is recorded with the time its report took, in whole milliseconds and never below 0', () => {
  const [first] = historyOf({ master: 'node1' }, elected('node2'), memory('node2', 12.4), undefined);
  assert.equal(first, { ...entry(), time: formatMicroTime(EPOCH_MS + 12.4), reportMilliseconds: 12 });
  const [early] = historyOf({ master: 'node1' }, elected('node2', 2, 50), memory('node2', 12), undefined);
  assert.is(early?.reportMilliseconds, 0, 'two clocks');
  const unknown = { ...elected('node2'), sinceWallMs: Number.NaN };
  const [silent] = historyOf({ master: 'node1' }, unknown, memory('node2', 12), undefined);
  assert.not('reportMilliseconds' in (silent ?? {}));
});

test('the first election has nobody it comes from', () => {
  const [first] = historyOf(undefined, elected('node2'), memory('node2', 12), undefined);
  assert.is(first?.reason, 'FirstElection');
  assert.not('from' in (first ?? {}));
});

test('the times of call and confirmation are filled in together, once both are over', () => {
  const status = { master: 'node2', history: [entry()] };
  const fill = (delivered: Partial<DeliveryMemory>) =>
    historyOf(status, elected('node2'), memory('node2', 12, delivered), undefined)[0];
  assert.equal(fill({ firstAnsweredAtMs: 1_980 }), entry());
  assert.equal(fill({ firstAnsweredAtMs: 1_980, confirmedAtMs: 3_010 }), {
    ...entry(),
    ...{ callMilliseconds: 1_480, confirmMilliseconds: 2_510 },
  });
  assert.equal(
    fill({ confirmedAtMs: 3_010 }),
    { ...entry(), confirmMilliseconds: 2_510 },
    'no call was needed',
  );
});

test('times of another switch, another node or another process are not filled in', () => {
  const over = { firstAnsweredAtMs: 1_980, confirmedAtMs: 3_010 };
  const fill = (stored: HistoryEntry, by: PairMemory) =>
    historyOf({ master: stored.to, history: [stored] }, elected(stored.to), by, undefined)[0];
  const told = entry({ confirmMilliseconds: 7 });
  assert.equal(fill(told, memory('node2', 12, over)), told);
  assert.equal(fill(entry({ to: 'node1' }), memory('node2', 12, over)), entry({ to: 'node1' }));
  assert.equal(fill(entry(), memory('node2', 13, over)), entry());
});

test('the last ten are kept, the newest first', () => {
  const history = Array.from({ length: 10 }, (_, index) => entry({ term: 20 - index }));
  const next = historyOf({ master: 'node1', history }, elected('node2', 21), memory('node2', 12), undefined);
  assert.equal(
    next.map(({ term }) => term),
    [21, 20, 19, 18, 17, 16, 15, 14, 13, 12],
  );
  assert.is(
    historyOf({ master: 'node1', history: [...history, entry()] }, undefined, emptyMemory(0), undefined)
      .length,
    10,
  );
});

test('nobody but one node was ever elected', () => {
  assert.ok(isFirstMasterOf(undefined, 'node1'));
  const { from: _nobody, ...first } = entry({ to: 'node1', reason: 'FirstElection' });
  assert.ok(isFirstMasterOf({ history: [first] }, 'node1'));
  assert.not(isFirstMasterOf({ history: [first] }, 'node2'));
  assert.not(isFirstMasterOf({ history: [entry(), first] }, 'node1'));
  assert.not(isFirstMasterOf({ history: [entry({ to: 'node1' })] }, 'node1'), 'it came back');
});

test.run();
