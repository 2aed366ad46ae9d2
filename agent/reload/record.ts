/**
 * From one program to the next in the same process (`hapair-agent reload`). The record lies in an anonymous file (memfd) that
 * stays open across execve: no full disk keeps it from being written, nobody else can read it, and with the process it is
 * gone, so no successor can ever take up what is long over.
 */
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import type { Lock } from '../node/lock.ts';
import type { AgentHandover } from '../pair/handover.ts';
import { call, closeDescriptor, mustCall, SystemCallError } from '../sys/libc.ts';
import { ADVERTS_TO_MISS } from '../vrrp/timers.ts';

/** Grows with every change that an older or newer program could not read. */
const FORMAT = 2;

/** All that a program leaves to its successor. */
export type Handover = AgentHandover & {
  /** How often this process has been given a new program before, and once more. */
  reloads: number;
  /** When its first program started, in Unix milliseconds. */
  startedAtMs: number;
  /** By which the node's Lease knows the agent, on disk or not. Absent: the program before knew nothing of this field. */
  identity?: string;
  /** The lock of the state directory, open. */
  lockFd: number;
};

/** What is in the record itself. */
type StoredHandover = Omit<Handover, 'lockFd'> & { format: number };

/** Names to the successor the descriptors of the record and of the lock, in this order: `23,24`. */
const VARIABLE = 'HAPAIR_HANDOVER';

/** What there was to take. */
export type Taken = {
  /** Whether there was a program before this one in the same process, understood or not. */
  isSuccessor: boolean;
  /** What it has left; null: there was none, or it cannot be understood. */
  handover: Handover | null;
};

/** What the program before this one in the same process has left. It can be taken once, and no child sees it. */
export const takeHandover = (env: NodeJS.ProcessEnv = process.env): Taken => {
  const left = env[VARIABLE];
  const [, recordFd, lockFd] = /^(\d+),(\d+)$/.exec(left ?? '') ?? [];
  delete env[VARIABLE];
  const isSuccessor = left !== undefined;
  if (recordFd === undefined || lockFd === undefined) return { isSuccessor, handover: null };
  const record = readRecord(Number(recordFd));
  if (record !== null) return { isSuccessor, handover: { ...record, lockFd: Number(lockFd) } };
  // Left open, it would keep this very process from taking the lock.
  closeDescriptor(Number(lockFd));
  return { isSuccessor, handover: null };
};

const readRecord = (fd: number): StoredHandover | null => {
  try {
    const record: StoredHandover = deserialize(readFileSync(fd));
    return record.format === FORMAT ? record : null;
  } catch {
    // Of another version, or no record at all: a start like any other.
    return null;
  } finally {
    closeDescriptor(fd);
  }
};

/** The program to go on with. */
export type Program = { file: string; args: readonly string[]; env: NodeJS.ProcessEnv };

/** The program that runs now, from its file as it is by now: an upgrade has put another there. */
export const thisProgram = (): Program => ({
  file: process.execPath,
  args: [...process.execArgv, ...process.argv.slice(1)],
  env: process.env,
});

const F_SETFD = 2;
const STANDARD_STREAMS = [0, 1, 2];

/**
 * Puts the program in the place of the running one, by execve(2); all threads but this one end, every descriptor closes but
 * the standard streams, the lock and the record. Not by `process.execve`: before Node 26 that aborts when the call fails.
 * @returns never, when it works. @throws SystemCallError when it does not; then nothing has changed
 */
export const replaceProgram = (
  { file, args, env }: Program,
  handover: Omit<Handover, 'lockFd'>,
  lock: Lock,
): never => {
  const lockFd = lock.toInherit();
  const recordFd = mustCall(
    'create a file in memory for the handover',
    {},
    'memfd_create',
    'hapair-handover',
    0,
  );
  try {
    const bytes = serialize({ ...handover, format: FORMAT } satisfies StoredHandover);
    for (let at = 0; at < bytes.length; ) at += writeSync(recordFd, bytes, at, bytes.length - at, at);
    // Node opens even these so that they close.
    for (const fd of STANDARD_STREAMS) call('fcntl', fd, F_SETFD, 0);
    const variables = Object.entries({ ...env, [VARIABLE]: `${recordFd},${lockFd}` });
    const result = call(
      'execve',
      file,
      [file, ...args, null],
      [...variables.map(([name, value]) => `${name}=${value}`), null],
    );
    const { code, meaning } = result.ok ? { code: 'OK', meaning: 'it came back' } : result;
    throw new SystemCallError(`start ${file} in place of this program`, code, meaning);
  } finally {
    closeSync(recordFd);
    closeDescriptor(lockFd);
  }
};

/** A new program is back within about so long; more, and nothing is gained by waiting for a better moment. */
const GAP_MS = 400;
/** Of an interval: an advert that is older than this share of it is not fresh. */
const FRESH = 1 / 4;

/**
 * Whether now is a good moment: each Master has advertised so recently that its Backup waits for longer than the gap, or for
 * nearly as long as it ever does.
 */
export const isTimely = (pairs: AgentHandover['pairs'], nowMs: number): boolean =>
  Object.values(pairs).every(({ election, lastAdvertAtMs, running }) => {
    if (election !== 'Master' || lastAdvertAtMs === null) return true;
    const { advertisementIntervalMs } = running.config;
    const patienceMs = lastAdvertAtMs + ADVERTS_TO_MISS * advertisementIntervalMs - nowMs;
    return patienceMs >= Math.min(GAP_MS, (ADVERTS_TO_MISS - FRESH) * advertisementIntervalMs);
  });
