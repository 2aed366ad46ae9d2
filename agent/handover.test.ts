import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type AgentHandover, isTimely, takeHandover } from './handover.ts';
import { createMaster } from './testing/pair-bench.ts';

const PROGRAM = join(import.meta.dirname, 'testing', 'replaced.ts');

/** Runs the test program; each of its lines is one JSON value. */
const run = (mode: string): unknown[] => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, mode], { encoding: 'utf8' });
  assert.is(status, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
};

test('a program is replaced in place: same process, its lock held throughout, its record read once', () => {
  const [before, after] = run('replace') as Record<string, unknown>[];
  assert.is(after?.pid, before?.pid);
  assert.is(after?.reloads, 1);
  assert.equal(after?.pairs, ['prod/web']);
  assert.is(after?.password, 's3cret', 'bytes arrive as bytes');
  assert.is(after?.isLockedForOthers, true);
  assert.is(after?.isTakenAgain, false);
  assert.is(after?.inheritedChildren, 0, 'children of the predecessor are ended and buried');
});

test('a replacement that fails leaves everything as it was', () => {
  const [said] = run('fail') as Record<string, unknown>[];
  assert.match(String(said?.error), /start \/nonexistent\/node in place of this program: ENOENT/);
  assert.is(said?.openedMore, 0, 'no descriptor is left open');
  assert.is(said?.workerAnswers, true);
});

test('no record, or one that cannot be read, is a start like any other', () => {
  assert.is(takeHandover({}), null);
  const env = { HAPAIR_HANDOVER: '987' };
  assert.is(takeHandover(env), null);
  assert.equal(env, {}, 'no child sees it');
});

const pairsAt = async (advertisementIntervalMs: number, lastAdvertAtMs: number) => {
  const bench = await createMaster();
  const handover = bench.pair.handOver(lastAdvertAtMs);
  if (handover === null) throw new Error('nothing runs');
  const { running } = handover;
  const pairs: AgentHandover['pairs'] = {
    web: { ...handover, running: { ...running, config: { ...running.config, advertisementIntervalMs } } },
  };
  return pairs;
};

test('the moment after an advert is a good one; with a second between adverts every moment is', async () => {
  assert.ok(isTimely(await pairsAt(100, 1_000), 1_025));
  assert.not(isTimely(await pairsAt(100, 1_000), 1_026));
  assert.ok(isTimely(await pairsAt(1_000, 1_000), 2_000));
  assert.ok(isTimely({}, 0));
});

test.run();
