import { spawnSync } from 'node:child_process';
import { fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AgentHandover } from '../pair/handover.ts';
import { createMaster } from '../testing/pair-bench.ts';
import { isTimely, takeHandover } from './record.ts';

const PROGRAM = join(import.meta.dirname, '..', 'testing', 'replaced.ts');
const PATIENCE_MS = 60_000;
const MAIN = join(import.meta.dirname, '..', 'main.ts');
/** Loaded first: as soon as the agent hears SIGHUP, which is the first it does, it is hung up on and told to stop. */
const HURRIED = `process.on('newListener', (name) => {
  if (name !== 'SIGHUP') return;
  setImmediate(() => {
    process.kill(process.pid, 'SIGHUP');
    process.kill(process.pid, 'SIGTERM');
  });
});`;

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
  assert.is(after?.inheritedChildren, 0, 'children of the predecessor are ended and reaped');
  assert.is(after?.isCommandGone, true, 'with all that they have started');
  assert.is(after?.identity, 'node1_0123456789');
});

/** The agent, of a machine without a network: how it ends when it is told to before it has started. */
const runHurried = (before: (stateDir: string) => string[]) => {
  const directory = mkdtempSync(join(tmpdir(), 'hapair-handover-'));
  const [config, kubeconfig] = [join(directory, 'agent.yaml'), join(directory, 'kubeconfig')];
  const cluster = { server: 'http://127.0.0.1:9' };
  const context = { cluster: 'none', user: 'nobody' };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'none', cluster }],
      users: [{ name: 'nobody', user: {} }],
      contexts: [{ name: 'none', context }],
      'current-context': 'none',
    }),
  );
  const stateDir = join(directory, 'state');
  writeFileSync(config, JSON.stringify({ nodeName: 'node1', namespaces: ['prod'], stateDir, kubeconfig }));
  const preload = `data:text/javascript,${encodeURIComponent(HURRIED)}`;
  const args = [...before(stateDir), '--import', preload, MAIN, 'run', '--config', config];
  const env = { ...process.env, AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9' };
  const options = { encoding: 'utf8', env, timeout: PATIENCE_MS, killSignal: 'SIGKILL' } as const;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, options);
  rmSync(directory, { recursive: true });
  return { status, signal, stdout, stderr };
};

test('told to stop before it has started, the agent that replaced another ends as it always does', () => {
  const { status, signal, stdout, stderr } = runHurried((stateDir) => [PROGRAM, 'run', stateDir]);
  assert.equal({ status, signal }, { status: 0, signal: null }, `${stdout}${stderr}`);
  assert.match(stdout, '"reason":"AgentStopped"');
  assert.match(stdout, '"identity":"node1_0123456789"');
});

test('so does one that has nobody to take leave of', () => {
  const { status, signal, stdout, stderr } = runHurried(() => []);
  assert.equal({ status, signal }, { status: 0, signal: null }, `${stdout}${stderr}`);
});

test('a replacement that fails leaves everything as it was', () => {
  const [said] = run('fail') as Record<string, unknown>[];
  assert.match(String(said?.error), /start \/nonexistent\/node in place of this program: ENOENT/);
  assert.is(said?.openedMore, 0, 'no descriptor is left open');
  assert.is(said?.workerAnswers, true);
});

test('no record is a start like any other', () => {
  assert.equal(takeHandover({}), { isSuccessor: false, handover: null });
  const env = { HAPAIR_HANDOVER: 'nonsense' };
  assert.equal(takeHandover(env), { isSuccessor: true, handover: null });
  assert.equal(env, {}, 'no child sees it');
});

test('a record of another version is a start like any other, which can take the lock', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hapair-handover-'));
  const file = join(directory, 'record');
  for (const bytes of [serialize({ format: 0 }), Buffer.from('nonsense')]) {
    writeFileSync(file, bytes);
    const [recordFd, lockFd] = [openSync(file, 'r'), openSync(file, 'r')];
    const taken = takeHandover({ HAPAIR_HANDOVER: `${recordFd},${lockFd}` });
    assert.equal(taken, { isSuccessor: true, handover: null }, 'but for what there is to clear away');
    for (const fd of [recordFd, lockFd]) assert.throws(() => fstatSync(fd), 'EBADF');
  }
  rmSync(directory, { recursive: true });
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
