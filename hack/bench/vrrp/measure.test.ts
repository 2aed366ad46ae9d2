import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Place, timingOf } from './contender.ts';
import {
  falseTakeovers,
  latenesses,
  masterOf,
  type PairAdvert,
  readAddressChange,
  takeoverOf,
} from './measure.ts';

/** Master down interval: 360.9375 ms, skew 60.9375 ms. */
const TERMS = { timing: timingOf('v3 100 ms'), priority: 100 };

const advert = (atMs: number, from: Place, priority = 100): PairAdvert => ({ atMs, from, priority });
/** Adverts of one end every 100 ms. */
const steady = (from: Place, count: number, sinceMs = 0): PairAdvert[] =>
  Array.from({ length: count }, (_, i) => advert(sinceMs + 100 * i, from));

test('whoever advertised last is Master; a resignation is no advert of a Master', () => {
  assert.is(masterOf([]), undefined);
  assert.is(masterOf([advert(0, 0), advert(1, 1), advert(2, 0, 0)]), 1);
});

test('a crash is measured from the last advert, also from one that was under way when the end was killed', () => {
  const crash = { from: 0, departure: 'crash', sinceMs: 899.9 } as const;
  const adverts = [...steady(0, 10), advert(1262.5, 1), advert(1362.5, 1)];
  assert.is(takeoverOf(adverts, crash, TERMS), 362.5);
  assert.is(takeoverOf(steady(0, 10), crash, TERMS), undefined);
});

test('a stop is measured from the resignation', () => {
  const stop = { from: 0, departure: 'stop', sinceMs: 930 } as const;
  assert.is(takeoverOf([...steady(0, 10), advert(940, 0, 0), advert(1002, 1)], stop, TERMS), 62);
  assert.throws(() => takeoverOf([...steady(0, 10), advert(1262.5, 1)], stop, TERMS), 'did not resign');
});

test('an earlier term of the successor is another story; two Masters at once are not measured', () => {
  const crash = { from: 0, departure: 'crash', sinceMs: 1950 } as const;
  const later = [...steady(0, 10, 1000), advert(2262.5, 1)];
  assert.is(takeoverOf([...steady(1, 5), ...later], crash, TERMS), 362.5);
  const both = [...later, advert(1800, 1)].toSorted((a, b) => a.atMs - b.atMs);
  assert.throws(() => takeoverOf(both, crash, TERMS), 'both ends advertised');
});

test('an end that claims and is beaten at once took over once', () => {
  const adverts = [...steady(0, 10), advert(1262, 1), advert(1262.3, 0), ...steady(0, 10, 1362)];
  assert.is(falseTakeovers(adverts, TERMS), 1);
  assert.is(falseTakeovers(steady(0, 10), TERMS), 0);
});

test('a takeover that lasts counts once, and once more when it is taken back', () => {
  const lasting = [...steady(0, 10), ...steady(1, 10, 1262)];
  assert.is(falseTakeovers(lasting, TERMS), 1);
  assert.is(falseTakeovers([...lasting, ...steady(0, 10, 2600)], TERMS), 2);
});

test('each claim that is beaten counts for itself', () => {
  const blip = (atMs: number): PairAdvert[] => [advert(atMs, 1), advert(atMs + 0.3, 0)];
  assert.is(falseTakeovers([...steady(0, 10), ...blip(1262), ...blip(1700)], TERMS), 2);
});

test('a claim while the Master went on without a pause counts', () => {
  const adverts = [...steady(0, 10), advert(950, 1), ...steady(0, 10, 1000)];
  assert.is(falseTakeovers(adverts, TERMS), 1);
});

test('an advert is late by what its gap exceeds the interval; resignations are no part of the rhythm', () => {
  const adverts = [advert(0, 0), advert(50, 1), advert(101, 0), advert(150, 0, 0), advert(205, 0)];
  assert.equal(latenesses(adverts, 0, TERMS.timing), [1, 4]);
});

test('the monitor tells of an address that went and came', () => {
  const line =
    '5: eth0    inet 10.78.1.100/32 scope host eth0\\       valid_lft forever preferred_lft forever';
  assert.equal(readAddressChange(`[2026-11-24T01:02:03.500250] Deleted ${line}`), {
    atMs: 3_723_500.25,
    isDeleted: true,
    address: '10.78.1.100',
  });
  assert.is(readAddressChange(`[2026-11-24T01:02:03.500250] ${line}`)?.isDeleted, false);
  assert.is(readAddressChange('[2026-11-24T01:02:03.5] 5: eth0    inet6 fe80::1/64 scope link'), undefined);
});

test.run();
