import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HAPAIR_CONDITIONS } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/types.ts';
import { Rig } from '../testing/rig.ts';
import { badFirst, problemOf } from './problem.ts';

const GOOD: Record<string, Condition['status']> = { SplitBrain: 'False', Paused: 'False', Pinned: 'False' };

/** All conditions as they are when nothing is wrong, but for those named: `[status, reason]`. */
const conditions = (bad: Record<string, [Condition['status'], string]> = {}): Condition[] =>
  HAPAIR_CONDITIONS.map((type) => {
    const [status, reason] = bad[type] ?? [GOOD[type] ?? 'True', 'Fine'];
    return { type, status, reason, message: `${type} says ${reason}.`, lastTransitionTime: '' };
  });

const typesOf = (list: readonly Condition[]): string[] => list.map(({ type }) => type);

test('nothing is wrong: the table’s order, and no problem', () => {
  assert.equal(typesOf(badFirst(conditions())), [...HAPAIR_CONDITIONS]);
  assert.equal(problemOf(badFirst(conditions())), {});
});

test('what is not good comes first, SplitBrain and Paused when they are True; what only informs stays behind', () => {
  const list = badFirst(
    conditions({
      PreflightPassed: ['Unknown', 'NotChecked'],
      Redundant: ['False', 'TwoMasters'],
      SplitBrain: ['True', 'TwoMasters'],
      Paused: ['True', 'PausedBySpec'],
      Pinned: ['True', 'PinnedBySpec'],
      PreferredNodeActive: ['False', 'PreferredNodeIsStandby'],
    }),
  );
  const bad = ['Redundant', 'PreflightPassed', 'SplitBrain', 'Paused'];
  assert.equal(typesOf(list), [...bad, ...HAPAIR_CONDITIONS.filter((type) => !bad.includes(type))]);
  assert.equal(problemOf(list), { reason: 'TwoMasters', message: 'Redundant says TwoMasters.' });
});

for (const [word, type, reason] of [
  ['NotConverged', 'AddressesConverged', 'EC2Unauthorized'],
  ['NotAccepted', 'Accepted', 'AddressConflict'],
] as const) {
  test(`${word} only says where the cause stands: the problem is the cause`, () => {
    const list = badFirst(conditions({ Ready: ['False', word], [type]: ['False', reason] }));
    assert.equal(problemOf(list), { reason, message: `${type} says ${reason}.` });
  });
}

test('the status names the first problem, and the next one when that is over', () => {
  const rig = Rig.converged();
  assert.is(rig.pair.status?.conditions?.[0]?.type, 'PreflightPassed', 'EC2 has not been asked');
  assert.is(rig.pair.status?.reason, 'NotChecked');
  rig.report('node2', 'Init', 1);
  rig.settle();
  assert.is(rig.pair.status?.reason, 'StandbyNotBackup');
  assert.is(rig.pair.status?.message, 'node2 has not begun the election.');
  assert.is(rig.pair.status?.standby, 'node2', 'the node is named whatever its state');
  rig.report('node2', 'Backup', 1);
  rig.settle();
  assert.is(rig.pair.status?.reason, 'NotChecked');
});

test.run();
