/**
 * What a command has started and left behind in a session of its own, where no signal to its group finds it. This process
 * adopts such orphans (PR_SET_CHILD_SUBREAPER) instead of init, and ends them: a child of ours in a session that is not ours
 * is either a running command or what one has left.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { killGroup } from '../../runtime/child.ts';
import type { CancelTimer, Clock } from '../../runtime/clock.ts';
import { call } from '../sys/libc.ts';

export type Leftovers = {
  /** To be called before a command is started: orphans are adopted from now on, and no command outlives this process's exit. */
  prepare(): void;
  /** A command runs: it is ours, and no orphan. */
  started(pid: number): void;
  /** It has ended: whatever it left behind is ended too, within about a second. */
  ended(pid: number): void;
};

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
/** All processes of the machine are looked through; commands that end together share one look. */
const BETWEEN_LOOKS_MS = 500;
/** What does not end although it was killed is looked at ever less often. */
const LONGEST_MS = 30_000;

/** One process as `/proc/PID/stat` shows it (proc_pid_stat(5)). */
type Entry = { pid: number; state: string; parent: number; session: number };

export const createLeftovers = (clock: Clock): Leftovers => {
  const running = new Set<number>();
  let adopts: boolean | undefined;
  let pauseMs = BETWEEN_LOOKS_MS;
  let cancel: CancelTimer | undefined;

  const look = (): void => {
    cancel = undefined;
    if (endOrphans(running) === 0) return;
    cancel = clock.setTimer(pauseMs, look);
    pauseMs = Math.min(LONGEST_MS, 2 * pauseMs);
  };
  return {
    prepare() {
      if (adopts !== undefined) return;
      process.once('exit', () => [...running].forEach(killGroup));
      // Who adopts must be able to reap: without /proc the orphans stay with init.
      adopts = ownEntry() !== undefined && call('prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0).ok;
    },
    started: (pid) => void running.add(pid),
    ended(pid) {
      running.delete(pid);
      if (adopts !== true) return;
      // A look that is near is not put off, or commands that end all the time would put it off for ever.
      if (cancel !== undefined && pauseMs === BETWEEN_LOOKS_MS) return;
      cancel?.();
      pauseMs = BETWEEN_LOOKS_MS;
      cancel = clock.setTimer(pauseMs, look);
    },
  };
};

/** @returns how many were found: even of those that are gone now, the children are ours from this moment on */
const endOrphans = (running: ReadonlySet<number>): number => {
  const own = ownEntry();
  if (own === undefined) return 0;
  const orphans = entries().filter(
    ({ pid, parent, session }) => parent === own.pid && session !== own.session && !running.has(pid),
  );
  for (const { pid, state } of orphans) {
    if (state !== 'Z') kill(pid);
    reap(pid);
  }
  return orphans.length;
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: gone meanwhile. EPERM: it has become somebody else's, and stays.
  }
};

/** Node waits for its own children alone; an adopted one would stay a zombie. Who has not died yet is reaped next time. */
const reap = (pid: number): void => {
  call('waitpid', pid, null, WNOHANG);
};

/** Undefined as well where /proc shows another PID namespace than ours: its numbers are not those that we may signal. */
const ownEntry = (): Entry | undefined => {
  const entry = read('self');
  return entry?.pid === process.pid ? entry : undefined;
};

const entries = (): Entry[] => names().flatMap((name) => (/^\d+$/.test(name) ? (read(name) ?? []) : []));

const names = (): string[] => {
  try {
    return readdirSync('/proc');
  } catch {
    return []; // without a descriptor left; the look after the next command finds them
  }
};

const read = (name: string): Entry | undefined => {
  let text: string;
  try {
    text = readFileSync(`/proc/${name}/stat`, 'utf8');
  } catch {
    return undefined; // it has ended, or there is no /proc
  }
  // The name of the program stands in parentheses and may hold anything.
  const [state = '', parent, , session] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid: Number.parseInt(text, 10), state, parent: Number(parent), session: Number(session) };
};
