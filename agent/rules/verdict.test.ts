import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judge, noVerdict, type Outcome, problemOf, type Verdict } from './verdict.ts';

const ok: Outcome = { result: 'success' };
const failure = (cause = 'HTTP 503', message = `it answers ${cause}`): Outcome => ({
  result: 'failure',
  cause,
  message,
});
const defaults = { successThreshold: 1, failureThreshold: 3 };

/** The verdict after each of these runs, one a second. */
const story = (outcomes: readonly Outcome[], thresholds = defaults): Verdict[] => {
  let verdict = noVerdict(0);
  return outcomes.map((outcome, index) => {
    verdict = judge(verdict, outcome, thresholds, (index + 1) * 1_000);
    return verdict;
  });
};
const healthOf = (outcomes: readonly Outcome[], thresholds = defaults) =>
  story(outcomes, thresholds).map(({ healthy }) => healthy);

test('at the start there is no verdict, and failures make one only at their threshold', () => {
  assert.is(noVerdict(0).healthy, null);
  assert.equal(healthOf([failure(), failure(), failure(), failure()]), [null, null, false, false]);
});

test('the first success is a verdict, with the default threshold of one', () => {
  assert.equal(healthOf([ok, ok]), [true, true]);
  assert.equal(healthOf([ok, ok, ok], { ...defaults, successThreshold: 3 }), [null, null, true]);
});

test('only failures in a row count, and a timeout is one', () => {
  const timeout: Outcome = { result: 'timeout', cause: 'timeout', message: 'no result' };
  assert.equal(healthOf([ok, failure(), timeout, ok, failure(), failure(), timeout]), [
    ...[true, true, true],
    ...[true, true, true, false],
  ]);
});

test('only successes in a row make it healthy again', () => {
  const thresholds = { successThreshold: 2, failureThreshold: 1 };
  assert.equal(healthOf([failure(), ok, failure(), ok, ok], thresholds), [false, false, false, false, true]);
});

test('a verdict says since when it stands and why, and the reason does not change with every run', () => {
  const at = (minute: number) => story([...Array(minute * 60).fill(failure()), failure('ECONNREFUSED')]);
  const early = at(0.5).at(-1);
  assert.is(early?.sinceMs, 3_000);
  assert.is(early?.message, 'it answers HTTP 503');
  const late = at(2).at(-1);
  assert.is(late?.sinceMs, 3_000);
  assert.is(late?.message, 'it answers ECONNREFUSED');
});

test('S6: causes that take turns are told once a minute', () => {
  const runs = Array.from({ length: 179 }, (_, at) => failure(at % 2 === 0 ? 'timeout' : 'HTTP 503'));
  const told = story(runs).map(({ toldAtMs }) => toldAtMs);
  assert.is(new Set(told.slice(2)).size, 3);
});

test('S6: the same cause in other words is no news, however long it lasts', () => {
  const runs = Array.from({ length: 600 }, (_, index) => failure('exit 1', `lag of ${index} s`));
  const messages = new Set(story(runs).map(({ message }) => message));
  assert.equal([...messages], ['', 'lag of 2 s']);
});

test('a recovered check has no message, and its next failure has its own', () => {
  const runs = story([failure('a'), ok, failure('b')], { successThreshold: 1, failureThreshold: 1 });
  assert.equal(
    runs.map(({ message }) => message),
    ['it answers a', '', 'it answers b'],
  );
});

test('a message is no longer than the API takes', () => {
  const [verdict] = story([failure('long', 'x'.repeat(5_000))], { successThreshold: 1, failureThreshold: 1 });
  assert.is(verdict?.message.length, 1_024);
});

test('a message holds no control characters, whoever wrote it', () => {
  const times = { successThreshold: 1, failureThreshold: 1 };
  const [verdict] = story([failure('exit 1', '/bin/lag exits with 1: \u001b[2J\u0007red\u202edaer')], times);
  assert.is(verdict?.message, '/bin/lag exits with 1: [2J red daer');
});

test('checks that pass or have no verdict are no problem', () => {
  const finding = { name: 'app', message: '', sinceMs: 0 };
  assert.is(problemOf([]), null);
  assert.is(
    problemOf([
      { ...finding, healthy: true },
      { ...finding, healthy: null },
    ]),
    null,
  );
  assert.equal(problemOf([{ ...finding, healthy: false, message: 'it answers 503' }]), {
    reason: 'ChecksFailed',
    message: 'The check app fails since 1970-01-01T00:00:00Z: it answers 503.',
  });
});

test.run();
