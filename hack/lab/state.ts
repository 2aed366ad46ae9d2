/** What the lab's daemon leaves for the command line: where it listens, and how to tell that it is gone. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Everything of the lab lies here, in the work tree. */
export const LAB_DIR = join(import.meta.dirname, '..', '..', '.lab');
const STATE_FILE = join(LAB_DIR, 'daemon.json');

/** The daemon is starting (`port` 0) or listens on 127.0.0.1. */
export type DaemonState = {
  pid: number;
  port: number;
  /** Whoever shows it may command the daemon. */
  token: string;
  dir: string;
  /** Empty until its world stands. */
  userNamespace: string;
};

/** Takes the work tree's only place for a daemon; false: somebody has it. */
export const claimState = (state: DaemonState): boolean => {
  mkdirSync(LAB_DIR, { recursive: true, mode: 0o700 });
  chmodSync(LAB_DIR, 0o700);
  try {
    writeFileSync(STATE_FILE, JSON.stringify(state), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
};

/** Replaces the state in one step. */
export const writeState = (state: DaemonState): void => {
  const unfinished = `${STATE_FILE}.${process.pid}`;
  writeFileSync(unfinished, JSON.stringify(state), { mode: 0o600 });
  renameSync(unfinished, STATE_FILE);
};

/** Undefined when there is none. A file that cannot be read as state counts as a dead daemon's. */
export const readState = (): DaemonState | undefined => {
  try {
    return JSON.parse(readFileSync(STATE_FILE, 'utf8')) as DaemonState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) return { pid: 0, port: 0, token: '', dir: '', userNamespace: '' };
    throw error;
  }
};

/** Gives the work tree's place for a daemon back. */
export const removeState = (): void => rmSync(STATE_FILE, { force: true });
