/** Which changes are told as Events, and how loudly. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rig } from '../testing/rig.ts';

const told = (rig: Rig, reason: string): string[] =>
  rig.events.filter((event) => event.reason === reason).map(({ type }) => type);

test('the first visit tells of no mode and of no split brain: nothing has changed', () => {
  const rig = new Rig();
  rig.settle();
  for (const reason of ['NotPaused', 'NotPinned', 'OneMaster', 'PreflightPassed'])
    assert.equal(told(rig, reason), [], reason);
});

test('modes are told as they begin and as they end, and neither is a warning', () => {
  const rig = Rig.converged();
  rig.edit({ paused: true });
  rig.settle();
  rig.edit({ paused: false });
  rig.settle();
  assert.equal(told(rig, 'PausedBySpec'), ['Normal']);
  assert.equal(told(rig, 'NotPaused'), ['Normal']);
  rig.edit({ pinnedNode: 'node1' });
  rig.settle();
  rig.unpin();
  rig.settle();
  assert.equal(told(rig, 'PinnedBySpec'), ['Normal']);
  assert.equal(told(rig, 'NotPinned'), ['Normal']);
});

test('a condition that stays as it was is told once', () => {
  const rig = Rig.converged();
  rig.problems = ['spec.nodes: wrong'];
  rig.edit({});
  rig.settle();
  rig.pass(60_000);
  rig.alive('node1');
  rig.alive('node2');
  rig.settle();
  assert.equal(told(rig, 'Invalid'), ['Warning']);
});

test('a failover is a warning, a switch that was ordered is not', () => {
  const rig = Rig.converged();
  rig.report('node1', 'Backup', 1);
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.equal(told(rig, 'Failover'), ['Warning']);
  rig.pass(120_000);
  rig.alive('node1');
  rig.alive('node2');
  rig.edit({ preferredNode: 'node1' });
  rig.settle();
  rig.report('node2', 'Backup', 2);
  rig.report('node1', 'Master', 3);
  rig.settle();
  assert.equal([told(rig, 'SwitchoverRequested'), told(rig, 'Elected')], [['Normal'], ['Normal']]);
});

test('two Masters are a warning, and their end is told as well', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  for (const ms of [5_000, 10_000]) {
    rig.pass(ms);
    rig.alive('node1');
    rig.settle();
  }
  rig.report('node1', 'Backup', 2);
  rig.settle();
  assert.equal(told(rig, 'TwoMasters'), ['Warning']);
  assert.equal(told(rig, 'OneMaster'), ['Normal']);
});

test('one loss that makes a pair neither ready nor redundant is told once', () => {
  const rig = Rig.converged();
  rig.report('node1', 'Init', 1);
  rig.settle();
  assert.is(rig.condition('Ready'), 'False NoMaster');
  assert.equal(told(rig, 'NoMaster'), ['Warning']);
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.equal(told(rig, 'Serving'), ['Normal']);
});

test.run();
