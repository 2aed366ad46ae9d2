import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProgramName } from './contender.ts';
import type { Removal, Takeover, Watch } from './measure.ts';
import { type Measured, notes, removalTable, takeoverTable, verdicts, watchTable } from './report.ts';

const NOTHING: Measured = { takeovers: [], watches: [], removals: [] };

const crashes = (program: ProgramName, ...times: number[]): Takeover[] =>
  times.map((tookMs) => ({ program, timing: 'v3 100 ms', departure: 'crash', tookMs }));

const watch = (program: ProgramName, change: Partial<Watch> = {}): Watch => ({
  program,
  timing: 'v3 100 ms',
  load: 'idle',
  seconds: 600,
  adverts: 6000,
  falseTakeovers: 0,
  late: { p99Ms: 0.3, maxMs: 1.2 },
  cpu: { master: 1.5, backup: 0.5 },
  ...change,
});

const reached = (measured: Partial<Measured>): boolean[] =>
  verdicts({ ...NOTHING, ...measured }).map(({ isReached }) => isReached);

test('a row of takeovers shows min, median, p99 and max, and what theory leaves of them', () => {
  const [head, row, ...rest] = takeoverTable(crashes('hapair', 361, 362, 363));
  assert.equal(row, [
    'v3 100 ms',
    'crash',
    'hapair',
    '3',
    '361.00 / 362.00 / 362.98 / 363.00',
    '360.94',
    '0.06 / 1.06 / 2.04 / 2.06',
  ]);
  assert.is(head?.length, row?.length);
  assert.equal(rest, []);
});

test('takeovers reach their goal when neither median nor p99 is worse than keepalived’s', () => {
  const theirs = crashes('keepalived', 362, 363, 364);
  assert.equal(reached({ takeovers: [...theirs, ...crashes('hapair', 361, 362, 364)] }), [true]);
  assert.equal(reached({ takeovers: [...theirs, ...crashes('hapair', 361, 363.1, 363.2)] }), [false]);
  assert.equal(reached({ takeovers: [...theirs, ...crashes('hapair', 361, 362, 365)] }), [false]);
});

test('a takeover before its time misses the goal, however quick it is', () => {
  const theirs = crashes('keepalived', 362, 363, 364);
  assert.equal(reached({ takeovers: [...theirs, ...crashes('hapair', 360.9, 361, 361)] }), [false]);
});

test('one program alone has no verdict', () => {
  assert.equal(reached({ takeovers: crashes('hapair', 361) }), []);
});

test('a false takeover is excused by keepalived’s own at the same timing alone', () => {
  const fast = { timing: 'v3 10 ms' } as const;
  const theirs = [watch('keepalived', { falseTakeovers: 1 }), watch('keepalived', fast)];
  const same = [...theirs, watch('hapair', { falseTakeovers: 1, cpu: null }), watch('hapair', fast)];
  assert.equal(reached({ watches: same }), [true]);
  const other = [
    ...theirs,
    watch('hapair', { cpu: null }),
    watch('hapair', { ...fast, falseTakeovers: 1, cpu: null }),
  ];
  assert.equal(reached({ watches: other }), [false]);
});

test('idle and full load are judged each for itself', () => {
  const watches = (['keepalived', 'hapair'] as const).flatMap((program) => [
    watch(program, { cpu: null }),
    watch(program, { load: 'full', falseTakeovers: program === 'hapair' ? 1 : 0, cpu: null }),
  ]);
  assert.equal(reached({ watches }), [true, false]);
});

test('processor time is judged by the dearer of the two ends, and only when idle', () => {
  const cost = (master: number, backup: number): Partial<Measured> => ({
    watches: [
      watch('hapair', { cpu: { master, backup } }),
      watch('hapair', { load: 'full', cpu: { master: 50, backup: 50 } }),
    ],
  });
  assert.equal(reached(cost(5, 1)), [true]);
  assert.equal(reached(cost(1, 5.1)), [false]);
});

test('a row of the windows shows both of them beside each other', () => {
  const [head, row] = watchTable([
    watch('hapair'),
    watch('hapair', { load: 'full', falseTakeovers: 2, late: null }),
  ]);
  assert.equal(row, ['v3 100 ms', 'hapair', '0', '0.30 / 1.20', '2', '-', '1.50', '0.50']);
  assert.is(head?.length, row?.length);
});

const removed = (program: ProgramName, ...times: (number | null)[]): Removal[] =>
  times.map((backAfterMs) => ({ program, backAfterMs, hasResigned: program === 'keepalived' }));

test('a VIP that never comes back is told as such', () => {
  const removals = [...removed('keepalived', null, null), ...removed('hapair', 20, 30)];
  const [, theirs, ours] = removalTable(removals, 10_000);
  assert.equal(theirs, ['keepalived', '2', '0 of 2', 'never within 10 s', '2 of 2']);
  assert.equal(ours, ['hapair', '2', '2 of 2', '20.00 / 25.00 / 29.90 / 30.00', '0 of 2']);
  assert.equal(reached({ removals }), [true]);
});

test('removed VIPs miss their goal by one that stays away, one that is late, or a Master that resigned', () => {
  const theirs = removed('keepalived', 20, 30);
  assert.equal(reached({ removals: [...theirs, ...removed('hapair', 20, 30)] }), [true]);
  assert.equal(reached({ removals: removed('hapair', 20, null) }), [false]);
  assert.equal(reached({ removals: [...theirs, ...removed('hapair', 20, 31)] }), [false]);
  const resigned: Removal = { program: 'hapair', backAfterMs: 20, hasResigned: true };
  assert.equal(reached({ removals: [...theirs, resigned] }), [false]);
});

test('the notes say who had real-time scheduling', () => {
  const told = notes({ realtime: { keepalived: true, hapair: false }, loops: 2, windowSeconds: 600 });
  assert.ok(told.some((note) => note.includes('keepalived had it, hapair had none')));
});

test.run();
