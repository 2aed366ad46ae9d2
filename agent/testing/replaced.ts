/**
 * A program that replaces itself in place, for agent/reload/record.test.ts: `replace` does so once and says what it found, `fail` tries
 * a program that is not there, `run` puts the agent in its place, with the state directory and the arguments that follow.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../runtime/clock.ts';
import { endOrphans } from '../node/children.ts';
import { inheritLock, LockedError, lockDirectory } from '../node/lock.ts';
import { replaceProgram, takeHandover, thisProgram } from '../reload/record.ts';
import { startVRRPWorker } from '../worker/worker-client.ts';
import { createMaster } from './pair-bench.ts';

const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

const handoverOfMaster = async () => {
  const handover = (await createMaster()).pair.handOver(1);
  if (handover === null) throw new Error('nothing runs');
  const { running } = handover;
  const password = new TextEncoder().encode('s3cret');
  const pair = { ...handover, running: { ...running, config: { ...running.config, password } } };
  const agent = { lastContactMs: null, imds: null, interfaces: null };
  return { ...agent, pairs: { 'prod/web': pair }, reloads: 1, startedAtMs: 0, identity: 'node1_0123456789' };
};

const children = (): number[] =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);

/** A command of a health check, and what it has started by now. @returns the latter's process */
const startCommand = async (): Promise<string> => {
  const script = 'sleep 60 & echo $!; wait';
  const { stdout } = spawn('/bin/sh', ['-c', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const [line] = await once(stdout, 'data');
  return String(line).trim();
};

/** Whoever has adopted it may take its time to reap it. */
const isGone = (pid: string): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return true;
  }
};

const isLocked = (directory: string): boolean => {
  try {
    lockDirectory(directory);
    return false;
  } catch (error) {
    return error instanceof LockedError;
  }
};

const [, , mode = '', directory = mkdtempSync(join(tmpdir(), 'hapair-replaced-')), command = ''] =
  process.argv;
const { handover } = takeHandover();
if (handover !== null) {
  endOrphans(systemClock);
  inheritLock(handover.lockFd);
  const deadlineMs = systemClock.now() + 10_000;
  const isOver = (): boolean => children().length === 0 && isGone(command);
  while (!isOver() && systemClock.now() < deadlineMs) await sleep(10);
  const { password } = handover.pairs['prod/web']?.running.config ?? {};
  say({
    pid: process.pid,
    reloads: handover.reloads,
    pairs: Object.keys(handover.pairs),
    password: new TextDecoder().decode(password),
    isLockedForOthers: isLocked(directory),
    isTakenAgain: takeHandover().isSuccessor,
    inheritedChildren: children().length,
    isCommandGone: isGone(command),
    identity: handover.identity,
  });
  rmSync(directory, { recursive: true });
} else if (mode === 'run') {
  const program = { ...thisProgram(), args: process.argv.slice(4) };
  replaceProgram(program, { ...(await handoverOfMaster()), pairs: {} }, lockDirectory(directory));
} else if (mode === 'replace') {
  spawn('sleep', ['60'], { stdio: 'ignore' });
  const lock = lockDirectory(directory);
  startVRRPWorker({ onMessage: () => undefined, onExit: () => undefined });
  say({ pid: process.pid });
  const program = thisProgram();
  const args = [...program.args, directory, await startCommand()];
  replaceProgram({ ...program, args }, await handoverOfMaster(), lock);
} else {
  const lock = lockDirectory(directory);
  const worker = startVRRPWorker({ onMessage: () => undefined, onExit: () => undefined });
  await worker.ping();
  const record = await handoverOfMaster();
  const before = openDescriptors();
  let error: unknown;
  try {
    replaceProgram({ ...thisProgram(), file: '/nonexistent/node' }, record, lock);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : thrown;
  }
  const openedMore = openDescriptors() - before;
  say({ error, openedMore, workerAnswers: (await worker.ping()).type === 'pong' });
  await worker.stop();
  rmSync(directory, { recursive: true });
}
