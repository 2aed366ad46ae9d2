/** The directory of the agent's files: made if missing, and what is wrong with it said so that its owner can mend it. */
import { accessSync, constants, mkdirSync, readdirSync, statSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import type { Log } from '../../runtime/log.ts';

/**
 * Makes the directory if it is missing. One that can be read but not written is said and no obstacle: the election goes on
 * with what it holds, and each pair reports what it could not write.
 * @returns the names in it
 * @throws Error when it cannot be made or read
 */
export const openStateDirectory = (directory: string, log: Log): string[] => {
  let names: string[];
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    names = readdirSync(directory);
  } catch (error) {
    throw unusableDirectory(directory, error);
  }
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    const err = explain(`stateDir ${directory} cannot be written`, directory, error);
    log.error(
      { reason: 'StateDirectoryReadOnly', path: directory, err },
      'state directory not writable; nothing is remembered, no new spec is loaded',
    );
  }
  return names;
};

/** What is wrong with a directory that `error` tells of, and how its owner can mend it. */
export const unusableDirectory = (directory: string, error: unknown): Error =>
  new Error(explain(`stateDir ${directory} cannot be used`, directory, error), { cause: error });

const ELSEWHERE = 'name another as stateDir in the configuration file';

const explain = (attempt: string, directory: string, error: unknown): string => {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (code === undefined || errno === undefined) return `${attempt}: ${message}; ${ELSEWHERE}`;
  const [, meaning = message] = getSystemErrorMap().get(errno) ?? [];
  return `${attempt}: ${code} (${meaning}); ${advice(code, directory)}`;
};

const advice = (code: string, directory: string): string => {
  const uid = process.geteuid?.() ?? 0;
  if (code === 'EACCES' || code === 'EPERM')
    return `${ownership(directory)}the agent runs as uid ${uid}: give it to that user (chown ${uid} ${directory}; chmod 700 ${directory}), or ${ELSEWHERE}`;
  if (code === 'EROFS') return `mount its file system read-write, or ${ELSEWHERE}`;
  if (code === 'ENOTDIR' || code === 'EEXIST') return `a file is in its place; move it away, or ${ELSEWHERE}`;
  return `mend it, or ${ELSEWHERE}`;
};

/** Whose it is, as far as that can be seen. */
const ownership = (directory: string): string => {
  try {
    const { uid, mode } = statSync(directory);
    return `it belongs to uid ${uid}, mode ${(mode & 0o7777).toString(8).padStart(4, '0')}, and `;
  } catch {
    // It is missing, or lies where this user may not look: the error that is being explained says which.
    return '';
  }
};
