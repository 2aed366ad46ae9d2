import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rig } from '../testing/rig.ts';
import { FRESH_MS } from './signs.ts';
import type { PlanEvent } from './types.ts';

const told = ({ events }: Rig): string[] => events.map(({ type, reason }) => `${type} ${reason}`);

const find = ({ events }: Rig, reason: string): PlanEvent | undefined =>
  events.find((event) => event.reason === reason);

test('a failover tells what it did, and of the loss only what lasts', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.equal(told(rig), ['Warning Failover', 'Normal AddressesMoved', 'Normal Serving']);
  assert.match(find(rig, 'Serving')?.message ?? '', /Before, Ready was False for \d+ s, at last Moving\.$/);
});

test('redundancy lost is one Warning, its return one Normal with how long it was away', () => {
  const rig = Rig.converged();
  rig.pass(FRESH_MS);
  rig.alive('node1');
  rig.settle();
  assert.equal(told(rig), ['Warning StandbySilent']);
  rig.report('node2', 'Fault', 1);
  rig.settle();
  assert.equal(told(rig), ['Warning StandbySilent'], 'another cause of the same loss');
  rig.pass(85_000);
  rig.alive('node1');
  rig.report('node2', 'Backup', 1);
  rig.read();
  rig.settle();
  assert.equal(told(rig), ['Warning StandbySilent', 'Normal StandbyReady']);
  assert.match(
    find(rig, 'StandbyReady')?.message ?? '',
    /Redundant was False for 85 s, at last StandbyNotBackup/,
  );
});

test('a silent master is told, although nothing may be concluded from it', () => {
  const rig = Rig.converged();
  rig.pass(FRESH_MS);
  rig.alive('node2');
  rig.settle();
  assert.equal(told(rig), ['Warning AgentSilent']);
  rig.alive('node1');
  rig.settle();
  assert.equal(told(rig), ['Warning AgentSilent', 'Normal Serving']);
});

test('a crash is told as a failover at once, and as silence when that is known', () => {
  const rig = Rig.converged();
  rig.report('node2', 'Master', 2);
  rig.settle();
  rig.pass(FRESH_MS);
  rig.alive('node2');
  rig.settle();
  assert.is(told(rig).at(-1), 'Warning StandbySilent');
});

test('both nodes in Fault: the loss is told', () => {
  const rig = Rig.converged();
  for (const node of ['node1', 'node2']) rig.report(node, 'Fault', 1);
  rig.settle();
  assert.ok(told(rig).includes('Warning NoMaster'), told(rig).join());
});

test('an election that was wanted has a word of its own beside the order’s', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node2' });
  rig.settle();
  rig.report('node1', 'Backup', 2);
  rig.report('node2', 'Master', 2);
  rig.settle();
  assert.is(told(rig).filter((each) => each === 'Normal PinnedBySpec').length, 1);
  assert.match(find(rig, 'Elected')?.message ?? '', 'as wanted (PinnedBySpec)');
  assert.is(rig.pair.status?.history?.[0]?.reason, 'PinnedBySpec');
});

test.run();
