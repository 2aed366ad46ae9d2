import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rig } from '../testing/rig.ts';
import { FRESH_MS } from './signs.ts';

const messageOf = (rig: Rig, type = 'Redundant'): string =>
  rig.pair.status?.conditions?.find((condition) => condition.type === type)?.message ?? '';

/** node1, the master, has just crashed, and node2 has taken over. */
const crashed = (): Rig => {
  const rig = Rig.converged();
  rig.alive('node1');
  rig.pass(6_000);
  rig.report('node2', 'Master', 2);
  rig.settle();
  return rig;
};

test('right after a crash it is said what is known of the old master: not that it is Master', () => {
  const rig = crashed();
  assert.is(rig.condition('Redundant'), 'False StandbyUnheard');
  assert.match(
    messageOf(rig),
    /^node1 was Master before node2 and has not answered the election\. No sign of life from node1 since \S+Z\.$/,
  );
});

test('the instant of the last sign of life is written once, however long it is away (S6)', () => {
  const rig = crashed();
  rig.pass(FRESH_MS);
  rig.alive('node2');
  rig.settle();
  assert.is(rig.condition('Redundant'), 'False StandbySilent');
  const told = messageOf(rig);
  assert.match(told, /^No sign of life from node1 since \S+Z: check the node/);
  const writes = rig.statusWrites;
  for (let tenth = 0; tenth < 30; tenth += 1) {
    rig.pass(9_999.7);
    rig.alive('node2');
    rig.read();
    rig.settle();
  }
  assert.is(messageOf(rig), told);
  assert.is(rig.statusWrites, writes);
});

test('a process that has seen no sign of it repeats the instant that was stored', () => {
  const rig = crashed();
  rig.pass(FRESH_MS);
  rig.alive('node2');
  rig.settle();
  const told = messageOf(rig);
  rig.restart();
  rig.read();
  for (let tenth = 0; tenth < 6; tenth += 1) {
    rig.pass(10_000);
    rig.alive('node2');
    rig.settle();
  }
  assert.is(rig.condition('Redundant'), 'False StandbySilent');
  assert.is(messageOf(rig), told);
});

test('a superseded Master that lives is a second one', () => {
  const rig = crashed();
  for (const _ of [1, 2]) {
    rig.pass(5_000);
    rig.report('node1', 'Master', 1);
    rig.alive('node2');
    rig.settle();
  }
  assert.is(rig.condition('SplitBrain'), 'True TwoMasters');
  assert.is(rig.condition('Redundant'), 'False TwoMasters');
  assert.is(messageOf(rig), messageOf(rig, 'SplitBrain'));
});

test('of a silent master whose adverts its Backup hears it is said that it serves on', () => {
  const rig = Rig.converged();
  rig.pass(FRESH_MS);
  const [type, lastTransitionTime] = ['PeerHeard', '2026-11-22T10:00:00Z'];
  rig.report('node2', 'Backup', 1, {
    conditions: [{ type, status: 'True', reason: 'PeerHeard', message: '', lastTransitionTime }],
  });
  rig.settle();
  assert.is(rig.condition('Ready'), 'Unknown AgentSilent');
  assert.match(messageOf(rig, 'Ready'), /node2 still hears its adverts: it serves on, and only its path/);
});

test('a pin is said where somebody would look for a failover', () => {
  const rig = Rig.converged();
  rig.edit({ pinnedNode: 'node1' });
  rig.settle();
  assert.is(rig.condition('Redundant'), 'True StandbyReady');
  assert.match(messageOf(rig), 'spec.pinnedNode keeps the addresses on node1');
});

test.run();
