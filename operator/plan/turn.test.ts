import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBudget } from '../../ec2/budget.ts';
import type { CallPurpose } from '../../ec2/types.ts';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { MAIN } from '../testing/fixtures.ts';
import { Rig } from '../testing/rig.ts';

/** The turn of the one call that is wanted now. */
const turn = (rig: Rig): CallPurpose => {
  const { call, turn: wanted } = rig.step();
  assert.ok(call);
  rig.answer();
  return wanted ?? call.purpose;
};

/** node2 claims in the term, and the first of its calls is asked for. */
const claimed = (rig: Rig, term: number): CallPurpose => {
  rig.report('node2', 'Master', term);
  return turn(rig);
};

/** The pin goes to `node`, whose agent follows at once; what comes of it has arrived. */
const pinTo = (rig: Rig, node: 'node1' | 'node2', term: number): CallPurpose => {
  rig.edit({ pinnedNode: node });
  rig.step();
  rig.step();
  const other = node === 'node1' ? 'node2' : 'node1';
  rig.acknowledge(node);
  rig.report(other, 'Backup', term - 1);
  rig.report(node, 'Master', term);
  rig.acknowledge(node);
  const asked = turn(rig);
  rig.settle();
  return asked;
};

test('O17: a failover comes first, then a first pin, then orders and the pins of the same minute', () => {
  assert.is(claimed(Rig.converged(), 2), 'Move');
  const rig = Rig.converged();
  assert.is(pinTo(rig, 'node2', 2), 'Pin');
  rig.pass(20_000);
  assert.is(pinTo(rig, 'node1', 3), 'Order');
  rig.pass(59_000);
  assert.is(pinTo(rig, 'node2', 4), 'Order', 'who goes on flipping stays behind');
  rig.pass(60_000);
  assert.is(pinTo(rig, 'node1', 5), 'Pin');
  const ordered = Rig.converged();
  ordered.edit({ preferredNode: 'node2' });
  ordered.settle();
  ordered.report('node1', 'Backup', 1);
  ordered.settle();
  assert.is(claimed(ordered, 2), 'Order');
});

test('O17: an address that is edited after a failover has arrived is no failover', () => {
  const rig = Rig.converged();
  claimed(rig, 2);
  rig.settle();
  rig.edit({ addresses: [MAIN, { name: 'more', vip: '10.10.10.20' }] });
  rig.step();
  assert.is(turn(rig), 'Order');
});

test("O17: while 200 pins flip, a crash of another pair's Master is followed as fast as without them", async () => {
  const flipping = Rig.converged();
  const flips: CallPurpose[] = [];
  for (let flip = 0; flip < 30; flip++) {
    flips.push(pinTo(flipping, flip % 2 === 0 ? 'node2' : 'node1', flip + 2));
    flipping.pass(1_000);
  }
  const failover = claimed(Rig.converged(), 2);
  const clock = createVirtualClock();
  const ask = (key: string, purpose: CallPurpose): boolean =>
    budget.admit(key, 'ap-northeast-1', 'AssignPrivateIpAddresses', purpose);
  const budget = createBudget({ clock, onTurn: (key) => clock.setTimer(0, () => ask(key, 'Order')) });
  for (const purpose of flips) {
    for (let pair = 0; pair < 200; pair++) ask(`crowd/pair${pair}`, purpose);
    await clock.advance(1_000);
  }
  assert.ok(ask('prod/web', failover), 'its token is there');
});

test.run();
