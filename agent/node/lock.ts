/**
 * One agent per state directory: a lock on the directory itself (flock(2)), which the kernel drops when its holder dies,
 * however it dies. It needs no file, so that one agent that may write and one that may not have the same lock. It belongs to
 * the open directory, so a program that is replaced in place hands that on and never lets go of it.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { call, closeDescriptor, mustCall } from '../sys/libc.ts';
import { unusableDirectory } from './state-directory.ts';

const LOCK_EXCLUSIVE_NONBLOCKING = 2 | 4;
const F_DUPFD = 0;
const F_DUPFD_CLOEXEC = 1030;
/** Of a mode: anything for the group or for everybody. */
const FOR_OTHERS = 0o077;
/** The first descriptor after those that every program has. */
const LOWEST_FD = 3;

/** The lock, for as long as this process lives. */
export type Lock = {
  /** A descriptor of the lock that outlives an execve. To be closed again should that fail. */
  toInherit(): number;
};

/** Another agent holds the lock; the message is for people. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
}

/** In the directory: who holds the lock, for the message to whoever comes second. */
const HOLDER_FILE = 'agent.lock';

/**
 * Takes the lock of a state directory, which is made if it is missing. One that has become read-only serves all the same.
 * @throws LockedError when another agent holds it. @throws Error when the directory cannot be used, or others can open it
 */
export const lockDirectory = (directory: string): Lock => {
  const fd = openDirectory(directory);
  const mode = fstatSync(fd).mode & 0o7777;
  if ((mode & FOR_OTHERS) !== 0) {
    closeSync(fd);
    throw new Error(openToOthers(directory, mode));
  }
  const locked = call('flock', fd, LOCK_EXCLUSIVE_NONBLOCKING);
  if (!locked.ok) {
    closeSync(fd);
    if (locked.code !== 'EAGAIN') throw new Error(`lock ${directory}: ${locked.code} (${locked.meaning})`);
    const holder = readHolder(directory);
    throw new LockedError(
      `another agent${holder && ` (pid ${holder})`} runs with the state directory ${directory}; stop it, or give this one a stateDir and a nodeName of its own`,
    );
  }
  noteHolder(directory);
  return lockOf(fd);
};

const openDirectory = (directory: string): number => {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw unusableDirectory(directory, error);
  }
};

/** Goes on with the lock that the program before this one has left open. @throws SystemCallError when `fd` is none */
export const inheritLock = (fd: number): Lock => {
  mustCall('take over the lock of the state directory', {}, 'flock', fd, LOCK_EXCLUSIVE_NONBLOCKING);
  // No child of this process may hold it.
  const own = mustCall('keep the lock to this process', {}, 'fcntl', fd, F_DUPFD_CLOEXEC, LOWEST_FD);
  closeDescriptor(fd);
  return lockOf(own);
};

const lockOf = (fd: number): Lock => ({
  toInherit: () => mustCall('hand on the lock of the state directory', {}, 'fcntl', fd, F_DUPFD, LOWEST_FD),
});

/** Who can open the directory can lock it, and who can read it has the VRRP passwords. */
const openToOthers = (directory: string, mode: number): string =>
  `stateDir ${directory} is open to other users (mode ${mode.toString(8).padStart(4, '0')}), who could hold its lock and read the secrets in it: close it (chmod 700 ${directory}), or name another as stateDir in the configuration file`;

/** Who could not be noted is not named; nor is a process that is gone, whose lock went with it. */
const readHolder = (directory: string): string => {
  try {
    const holder = readFileSync(join(directory, HOLDER_FILE), 'utf8').trim();
    return isAlive(Number(holder)) ? holder : '';
  } catch {
    return '';
  }
};

const isAlive = (pid: number): boolean => {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const noteHolder = (directory: string): void => {
  try {
    writeFileSync(join(directory, HOLDER_FILE), `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // A full or read-only disk: the lock holds without it.
  }
};
