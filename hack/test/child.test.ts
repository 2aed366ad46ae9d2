import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { judge } from './judge.ts';
import { readTimes, slowest } from './times.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CHILD = join(import.meta.dirname, 'child.ts');

const TESTS = `
import { suite, test } from 'uvu';
test('one', () => {});
test('two', () => {});
test.run();
const named = suite('named', { word: '' });
named.before((context) => { context.word = 'opened'; });
named('three', ({ word }) => { if (word !== 'opened') throw new Error(word); });
named.run();
`;

/** A folder within the work tree, so that `uvu` is found from it. */
const test = suite('child', { dir: '' });
test.before((context) => {
  mkdirSync(join(ROOT, '.out'), { recursive: true });
  context.dir = mkdtempSync(join(ROOT, '.out', 'child-'));
  writeFileSync(join(context.dir, 'some.test.ts'), TESTS);
});
test.after(({ dir }) => rmSync(dir, { recursive: true }));

const runChild = async (dir: string, env: Record<string, string>) => {
  const times = join(dir, 'times');
  rmSync(times, { force: true });
  const args = [CHILD, join(dir, 'some.test.ts')];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, TEST_ONLY: '', TEST_TIMES: times, ...env },
  });
  return { result: judge(stdout), times: readTimes(times) };
};

test('runs every test and tells how long each took', async ({ dir }) => {
  const { result, times } = await runChild(dir, {});
  assert.equal(result, { passed: 3, failed: 0, skipped: 0 });
  assert.equal(
    times.map(({ title }) => title),
    ['one', 'two', '(before named)', 'three'],
  );
});

test('runs only the tests whose title contains the words', async ({ dir }) => {
  const { result } = await runChild(dir, { TEST_ONLY: 'thr' });
  assert.equal(result, { passed: 1, failed: 0, skipped: 0 });
});

test('words that fit no title are a failure, not a success of nothing', async ({ dir }) => {
  const { result } = await runChild(dir, { TEST_ONLY: 'no such title' });
  assert.is(result.failed, 1);
});

test('the slowest come first', () => {
  const time = (title: string, ms: number) => ({ title, ms, job: 'a.test.ts' });
  assert.equal(slowest([time('quick', 20), time('slow', 61_234), time('slower', 70_000)], 2), [
    '    70.0 s  a.test.ts: slower',
    '    61.2 s  a.test.ts: slow',
  ]);
});

test.run();
