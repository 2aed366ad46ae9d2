/**
 * One agent per state directory: a lock on a file in it (flock(2)), which the kernel drops when its holder dies, however it
 * dies. The lock belongs to the open file, so a program that is replaced in place hands the file on and never lets go of it.
 */
import { constants, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { call, closeDescriptor, mustCall } from './libc.ts';
import { unusableDirectory } from './state-directory.ts';

const LOCK_EXCLUSIVE_NONBLOCKING = 2 | 4;
const F_DUPFD = 0;
const F_DUPFD_CLOEXEC = 1030;
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

/**
 * Takes the lock of a state directory, which is made if it is missing.
 * @throws LockedError when another agent holds it. @throws Error when the directory cannot be used
 */
export const lockDirectory = (directory: string): Lock => {
  const path = join(directory, 'agent.lock');
  const fd = openLock(directory, path);
  const locked = call('flock', fd, LOCK_EXCLUSIVE_NONBLOCKING);
  if (!locked.ok) {
    closeDescriptor(fd);
    if (locked.code !== 'EAGAIN') throw new Error(`lock ${path}: ${locked.code} (${locked.meaning})`);
    const holder = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
    throw new LockedError(
      `another agent${holder && ` (pid ${holder})`} runs with the state directory ${directory}; stop it, or give this one a stateDir and a nodeName of its own`,
    );
  }
  noteHolder(fd);
  return lockOf(fd);
};

const openLock = (directory: string, path: string): number => {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return openSync(path, 'a+', 0o600);
  } catch (error) {
    const reading = openToRead(directory, path);
    if (reading === null) throw unusableDirectory(directory, error);
    return reading;
  }
};

/**
 * A directory that has become read-only serves all the same, and the file that lies there, or else the directory itself, is as
 * good a lock. Null: it is of no use at all.
 */
const openToRead = (directory: string, path: string): number | null => {
  try {
    return existsSync(path)
      ? openSync(path, constants.O_RDONLY)
      : openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    // What matters to its owner is why it could not be written.
    return null;
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

/** For the message to whoever comes second; a full disk is no obstacle. */
const noteHolder = (fd: number): void => {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
  } catch {
    // The lock holds without it.
  }
};
