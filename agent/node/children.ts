/**
 * Children of the program that this one has replaced in the same process. Nobody reads what they write, and Node waits for its
 * own children alone, so they are ended and reaped here; before this program has any of its own.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from '../../runtime/clock.ts';
import { call } from '../sys/libc.ts';

const WNOHANG = 1;
/** A child that was killed is gone within a moment, unless the kernel holds it. */
const REAP_RETRY_MS = 100;
const MOST_REAPS = 50;

/** Ends every child that this process has now; with a command, which leads a group of its own, that whole group. */
export const endOrphans = (clock: Pick<Clock, 'setTimer'>): void => {
  for (const pid of children()) {
    // A group bears the number of its leader: no child's is our own. ESRCH: it leads none.
    kill(-pid);
    kill(pid);
    reap(pid, MOST_REAPS, clock);
  }
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH, EPERM: gone, or somebody else's by now; either way not ours to kill.
  }
};

const reap = (pid: number, tries: number, clock: Pick<Clock, 'setTimer'>): void => {
  const answer = call('waitpid', pid, null, WNOHANG);
  // ECHILD: there is nothing to reap.
  if (!answer.ok || answer.value === pid || tries === 0) return;
  clock.setTimer(REAP_RETRY_MS, () => reap(pid, tries - 1, clock));
};

/** As proc_pid_task(5) shows them; none where the kernel does not. */
const children = (): number[] => {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
    return text
      .split(' ')
      .filter((word) => word.trim() !== '')
      .map(Number);
  } catch {
    return [];
  }
};
