import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isDead, observeLife, SILENCE_MS, type Silence } from './life.ts';

const GAP_MS = 12_000;

/** Readings 5 s apart, each 1 s long, of these marks; null: the reading failed. */
const read = (marks: (string | null)[]): Silence => {
  let silence: Silence = null;
  for (const [index, mark] of marks.entries()) {
    const startedAtMs = index * 5_000;
    const reading = mark === null ? null : { startedAtMs, endedAtMs: startedAtMs + 1_000, mark };
    silence = observeLife(silence, reading, GAP_MS);
  }
  return silence;
};

test('a peer is dead when one mark was read over all of 40 s', () => {
  assert.not(
    isDead(read(Array(9).fill('a'))),
    '39 s between the end of the first and the start of the last reading',
  );
  assert.ok(isDead(read(Array(10).fill('a'))));
});

test('T3: a changed Lease or report is a sign of life and starts the time anew', () => {
  assert.not(isDead(read([...Array(9).fill('a'), 'b'])));
  assert.not(isDead(read([...Array(5).fill('a'), ...Array(9).fill('b')])));
  assert.ok(isDead(read([...Array(5).fill('a'), ...Array(10).fill('b')])));
});

test('the API must be readable throughout: a failed reading starts the time anew', () => {
  assert.not(isDead(read([...Array(5).fill('a'), null, ...Array(9).fill('a')])));
});

test('readings far apart prove nothing: the process slept, or the API was away', () => {
  const first = observeLife(null, { startedAtMs: 0, endedAtMs: 0, mark: 'a' }, GAP_MS);
  const late = observeLife(
    first,
    { startedAtMs: SILENCE_MS * 2, endedAtMs: SILENCE_MS * 2, mark: 'a' },
    GAP_MS,
  );
  assert.not(isDead(late));
});

test('nothing is known after a restart', () => {
  assert.not(isDead(null));
});

test.run();
