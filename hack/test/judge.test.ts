import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judge } from './judge.ts';

const summary = (total: number, passed: number, skipped = 0): string =>
  `a.test.ts\n• •   (${passed} / ${total})\n\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  1.2ms\n\n`;

test('counts what uvu says, with colours or without', () => {
  assert.equal(judge(summary(3, 3, 1)), { passed: 3, failed: 0, skipped: 1 });
  const coloured = summary(3, 3).replace('  Passed:    3', '\u001b[32m  Passed:    3\u001b[39m');
  assert.equal(judge(coloured), { passed: 3, failed: 0, skipped: 0 });
});

test('failed tests are counted once, also when the exit code repeats it', () => {
  assert.is(judge(summary(5, 3), 'it ended with exit code 1').failed, 2);
});

test('tests that did not run, as after a failed before hook, are failures although uvu exits 0', () => {
  assert.is(judge(summary(4, 0)).failed, 4);
});

test('a stage that ran no test has failed', () => {
  assert.equal(judge(''), { passed: 0, failed: 1, skipped: 0, reason: 'it ran no test' });
  assert.is(judge(summary(0, 0)).failed, 1);
});

test('a stage that broke after its tests passed has failed', () => {
  assert.equal(judge(summary(2, 2), 'it ended with SIGSEGV'), {
    passed: 2,
    failed: 1,
    skipped: 0,
    reason: 'it ended with SIGSEGV',
  });
});

test('a test that prints a summary of its own does not pass for the last word', () => {
  assert.is(judge(`${summary(9, 9)}${summary(2, 1)}`).failed, 1);
});

test.run();
