import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TERM_STEP } from '../../crds/types.ts';
import { believable, nextTerm, termCause, termLimit } from './term.ts';

test('a term is one more than both reports, the floor and everything this node held or saw', () => {
  const own = { state: 'Backup', term: 3 } as const;
  const peer = { state: 'Master', term: 5 } as const;
  assert.is(nextTerm({ floor: 0, highest: 0 }), 1);
  assert.is(nextTerm({ own, floor: 0, highest: 0 }), 4);
  assert.is(nextTerm({ own, peer, floor: 0, highest: 0 }), 6);
  assert.is(nextTerm({ own, peer, floor: 8, highest: 0 }), 9);
  assert.is(nextTerm({ own, peer, floor: 8, highest: 11 }), 12);
});

test('T2: with the disk lost, the term still exceeds the one in the own report', () => {
  assert.is(nextTerm({ own: { state: 'Backup', term: 2 }, floor: 0, highest: 0 }), 3);
});

test('a Master without a term takes one, whatever its peer reports', () => {
  assert.is(termCause(null, 0, undefined, false), 'NoTerm');
  assert.is(termCause(null, 0, { state: 'Master', term: 9 }, false), 'NoTerm');
});

test('a Master at or above the floor and its peer keeps its term', () => {
  assert.is(termCause(7, 7, { state: 'Backup', term: 7 }, false), null);
  assert.is(termCause(7, 6, undefined, true), null);
});

test('T21: a Master below the floor, or below the term of a peer that is Backup again, takes a new term at once', () => {
  assert.is(termCause(1, 2, undefined, false), 'BelowFloor');
  assert.is(termCause(1, 1, { state: 'Backup', term: 2 }, false), 'BelowPeer');
  assert.is(termCause(1, 2, { state: 'Fault', term: 2 }, false), 'BelowFloor');
});

test('T3: a living Master is never out-claimed, even from below the floor', () => {
  assert.is(termCause(1, 2, { state: 'Master', term: 2 }, false), null);
  assert.is(termCause(2, 2, { state: 'Master', term: 2 }, false), null);
});

test('T1: a dead newer Master is out-claimed', () => {
  assert.is(termCause(1, 2, { state: 'Master', term: 2 }, true), 'PeerDead');
});

test('a peer that is Master with a lower term hides nobody', () => {
  assert.is(termCause(3, 2, { state: 'Master', term: 2 }, true), null);
  assert.is(termCause(3, 4, { state: 'Master', term: 2 }, false), 'BelowFloor');
});

test('O6: a term goes no further than may be reported, whatever disk and peer say', () => {
  const own = { state: 'Backup', term: 3 } as const;
  const absurd = { state: 'Master', term: Number.MAX_SAFE_INTEGER } as const;
  assert.is(termLimit({ own, floor: 2 }), 3 + TERM_STEP);
  assert.is(termLimit({ floor: 7 }), 7 + TERM_STEP);
  assert.is(nextTerm({ own, floor: 2, highest: Number.MAX_SAFE_INTEGER }), 3 + TERM_STEP);
  assert.is(nextTerm({ own, peer: absurd, floor: 2, highest: 5 }), 6, 'it is not counted on from');
  assert.is(believable(absurd, 3 + TERM_STEP), undefined);
  assert.is(believable(own, 3), own);
});

test.run();
