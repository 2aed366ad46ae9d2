import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Kind, type Round, roundsOf } from './schedule.ts';

const KINDS: Kind[] = [
  { name: 'crash', scope: 'Side', weight: 3, lengthMs: [1_000, 2_000] },
  { name: 'cut', scope: 'Side', weight: 1, lengthMs: [1_000, 1_000] },
  { name: 'webhook', scope: 'Nobody', weight: 1, lengthMs: [5_000, 9_000] },
  { name: 'outage', scope: 'Nobody', weight: 1, lengthMs: [5_000, 9_000] },
];
const SIDES = { left: ['node1', 'node2'], right: ['node3', 'node4'] };

const first = (count: number, seed = 7, kinds = KINDS): Round[] => {
  const rounds: Round[] = [];
  for (const round of roundsOf(seed, kinds, SIDES)) {
    rounds.push(round);
    if (rounds.length === count) break;
  }
  return rounds;
};

test('a seed repeats its rounds, another one has others', () => {
  assert.equal(first(50), first(50));
  assert.not.equal(first(50), first(50, 8));
});

test('a round strikes nodes of one side alone, and nobody else', () => {
  for (const { side, strikes } of first(200)) {
    assert.ok(strikes.length > 0);
    for (const { kind, target } of strikes) {
      const { scope } = KINDS.find(({ name }) => name === kind) ?? {};
      if (scope === 'Nobody') assert.is(target, '');
      else assert.ok(SIDES[side as keyof typeof SIDES].includes(target));
    }
  }
});

test('every kind comes, as long as it may, and no kind that concerns all comes twice in a round', () => {
  const strikes = first(200).map((round) => round.strikes);
  for (const { name, scope, lengthMs } of KINDS) {
    const its = strikes.flat().filter(({ kind }) => kind === name);
    assert.ok(its.length > 0, name);
    assert.ok(its.every((one) => one.lengthMs >= lengthMs[0] && one.lengthMs <= lengthMs[1]));
    if (scope === 'Nobody')
      assert.ok(strikes.every((round) => round.filter(({ kind }) => kind === name).length <= 1));
  }
});

test('two faults of a round never hold the same thing: each would undo the other', () => {
  const gripping: Kind[] = [
    { name: 'crash', scope: 'Side', weight: 1, grip: 'node', lengthMs: [1_000, 2_000] },
    { name: 'freeze', scope: 'Side', weight: 1, grip: 'node', lengthMs: [1_000, 2_000] },
    { name: 'away', scope: 'Nobody', weight: 1, grip: 'EC2', lengthMs: [1_000, 2_000] },
    { name: 'throttles', scope: 'Nobody', weight: 1, grip: 'EC2', lengthMs: [1_000, 2_000] },
  ];
  const rounds = first(200, 7, gripping).map(({ strikes }) => strikes.map(({ target }) => target));
  assert.ok(rounds.every((targets) => new Set(targets).size === targets.length));
  assert.ok(rounds.some((targets) => targets.length === 3));
});

test('with faults of one scope alone there are rounds all the same', () => {
  assert.is(first(5, 7, KINDS.slice(0, 1)).length, 5);
  assert.is(first(5, 7, KINDS.slice(3)).length, 5);
});

test.run();
