import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { between, firstAnswer, handovers, longestOutageMs, lost, outages, type Sample } from './outage.ts';

/** One letter per probe, 10 ms apart: `1` and `2` answered by that node, `.` lost. */
const sampled = (picture: string): Sample[] =>
  [...picture].map((letter, index) => {
    const sent = { seq: index + 1, sentAtMs: index * 10 };
    return letter === '.' ? sent : { ...sent, answeredAtMs: index * 10 + 1, by: `node${letter}` };
  });

test('no probe lost is no outage', () => {
  assert.equal(outages(sampled('111111')), []);
  assert.is(longestOutageMs(sampled('111111')), 0);
  assert.is(lost(sampled('111111')), 0);
});

test('an outage lasts from the last answered probe to the next answered one', () => {
  const expected = { fromMs: 10, toMs: 50, lost: 3, before: 'node1', after: 'node2' };
  assert.equal(outages(sampled('11...22')), [expected]);
  assert.is(longestOutageMs(sampled('11...22')), 40);
});

test('an outage before the first answer begins with its first lost probe', () => {
  assert.equal(outages(sampled('..1')), [{ fromMs: 0, toMs: 20, lost: 2, before: null, after: 'node1' }]);
});

test('an outage at the end has no end', () => {
  assert.equal(outages(sampled('1..')), [{ fromMs: 0, toMs: null, lost: 2, before: 'node1', after: null }]);
  assert.is(longestOutageMs(sampled('1..')), 20);
});

test('every outage is told apart', () => {
  assert.equal(
    outages(sampled('1.1..2')).map((outage) => outage.lost),
    [1, 2],
  );
});

test('a handover without a lost probe is no outage', () => {
  assert.equal(outages(sampled('1122')), []);
  assert.equal(handovers(sampled('1122')), [{ atMs: 20, from: 'node1', to: 'node2', lost: 0 }]);
});

test('a handover counts the probes lost on the way', () => {
  assert.equal(handovers(sampled('11..22')), [{ atMs: 40, from: 'node1', to: 'node2', lost: 2 }]);
});

test('an outage after which the same node answers is no handover', () => {
  assert.equal(handovers(sampled('11..11')), []);
});

test('answers written out of order are put in order', () => {
  assert.equal(outages(sampled('11..22').reverse()), outages(sampled('11..22')));
});

test('the first answer of a node after a moment', () => {
  assert.is(firstAnswer(sampled('112211'), 'node1', 25)?.sentAtMs, 40);
  assert.is(firstAnswer(sampled('1111'), 'node2'), undefined);
});

test('a stretch of time includes both bounds', () => {
  assert.equal(
    between(sampled('11111'), 10, 30).map(({ seq }) => seq),
    [2, 3, 4],
  );
});

test.run();
