import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseTimeMs } from '../../runtime/time.ts';
import { reportOf } from '../testing/fixtures.ts';
import { elect, mastersOf, type Report } from './elect.ts';
import { FRESH_MS, isFresh, isHealthyBackup, troubleOf } from './signs.ts';

const report = (node: string, state: Report['state'], term: number, change: Partial<Report> = {}): Report => {
  const status = reportOf(state, term, 0);
  return { ...status, node, sinceWallMs: parseTimeMs(status.since), ...change };
};

test('the Master report with the highest term is elected', () => {
  const reports = [report('node1', 'Master', 3), report('node2', 'Master', 4)];
  assert.is(elect(reports, 0, {})?.node, 'node2');
  assert.is(elect(reports.toReversed(), 4, {})?.node, 'node2');
});

test('T13: nobody is elected below the highest term that was acted upon or read', () => {
  assert.is(elect([report('node1', 'Master', 3)], 4, {}), undefined);
  assert.is(elect([report('node1', 'Master', 3)], 3, {})?.node, 'node1');
  assert.is(
    elect([report('node1', 'Backup', 9)], 0, {}),
    undefined,
    'a Backup tells of terms and claims none',
  );
});

test('T20: equal terms: the last master, else where EC2 has the first VIP, else the first', () => {
  const reports = [report('node1', 'Master', 3), report('node2', 'Master', 3)];
  assert.is(elect(reports, 0, {})?.node, 'node1');
  assert.is(elect(reports, 0, { firstHolder: 'node2' })?.node, 'node2');
  assert.is(elect(reports, 0, { lastMaster: 'node1', firstHolder: 'node2' })?.node, 'node1');
  const newer = [report('node1', 'Master', 3), report('node2', 'Master', 4)];
  assert.is(elect(newer, 0, { lastMaster: 'node1', firstHolder: 'node1' })?.node, 'node2');
});

test('a Master that has taken no term yet is none', () => {
  assert.equal(mastersOf([report('node1', 'Master', 0)]), []);
  assert.is(mastersOf([report('node1', 'Master', 1)]).length, 1);
  assert.is(elect([report('node1', 'Master', 0)], 0, {}), undefined);
});

test('a sign of life is fresh for 40 s, and one that was never seen is none', () => {
  assert.ok(isFresh({ lastMs: 0 }, 0));
  assert.ok(isFresh({ lastMs: 5_000 }, 5_000 + FRESH_MS - 1));
  assert.not(isFresh({ lastMs: 5_000 }, 5_000 + FRESH_MS));
  assert.not(isFresh(undefined, 0));
  assert.not(isFresh({}, 0));
  assert.is(FRESH_MS, 40_000);
});

const condition = (type: string, status: 'True' | 'False' | 'Unknown') => ({
  ...{ type, status, reason: 'Any', message: `${type} is ${status}.`, lastTransitionTime: '' },
});

test('a Backup could take over unless its own report says that it is not ready, or not known to be healthy', () => {
  const backup = (...conditions: ReturnType<typeof condition>[]): Report =>
    report('node2', 'Backup', 1, { conditions });
  assert.ok(isHealthyBackup(report('node2', 'Backup', 1)));
  assert.ok(isHealthyBackup(backup(condition('Ready', 'True'), condition('Healthy', 'True'))));
  assert.ok(isHealthyBackup(backup(condition('Ready', 'Unknown'), condition('PeerHeard', 'False'))));
  assert.not(isHealthyBackup(backup(condition('Ready', 'False'), condition('Healthy', 'True'))));
  assert.not(isHealthyBackup(backup(condition('Healthy', 'False'))));
  assert.not(isHealthyBackup(backup(condition('Healthy', 'Unknown'))));
  assert.not(isHealthyBackup(report('node2', 'Fault', 1)));
  assert.not(isHealthyBackup(undefined));
  assert.is(
    troubleOf(
      backup(condition('Ready', 'False'), condition('Healthy', 'Unknown'), condition('PeerHeard', 'False')),
    ),
    'Ready is False. Healthy is Unknown.',
  );
});

test.run();
