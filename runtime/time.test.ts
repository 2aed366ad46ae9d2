import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatMicroTime, formatTime, parseMicroTimeMs, parseTimeMs } from './time.ts';

test('an instant is written as metav1.Time and metav1.MicroTime, cut off, never rounded up', () => {
  const instantMs = Date.UTC(2026, 10, 22, 10, 0, 0) + 999.9996;
  assert.is(formatTime(instantMs), '2026-11-22T10:00:00Z');
  assert.is(formatMicroTime(instantMs), '2026-11-22T10:00:00.999999Z');
});

test('both are read back; what is absent or no time is NaN', () => {
  assert.is(parseTimeMs('2026-11-22T10:00:00Z'), Date.UTC(2026, 10, 22, 10));
  assert.is(parseTimeMs('2026-11-22T19:00:00.250000+09:00'), Date.UTC(2026, 10, 22, 10) + 250);
  assert.ok(Number.isNaN(parseTimeMs(undefined)));
  assert.ok(Number.isNaN(parseTimeMs('soon')));
});

test('microseconds are read back as they were written', () => {
  const instantMs = Date.UTC(2026, 10, 22, 10) + 250.125;
  assert.is(parseMicroTimeMs(formatMicroTime(instantMs)), instantMs);
  assert.is(parseMicroTimeMs('2026-11-22T10:00:00Z'), Date.UTC(2026, 10, 22, 10));
  assert.is(parseMicroTimeMs('2026-11-22T10:00:00.1255Z'), Date.UTC(2026, 10, 22, 10) + 125.5);
  assert.ok(Number.isNaN(parseMicroTimeMs(undefined)));
  assert.ok(Number.isNaN(parseMicroTimeMs('soon')));
});

test.run();
