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

test.run();
