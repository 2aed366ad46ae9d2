/** Processes that a program starts for its own ends, each with a deadline and a bound on what it may say. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/**
 * Starts a process that leads a group of its own, and so can be ended with all that it has started. An error of the start comes
 * as the child's `error` event, or is thrown.
 */
export type StartProcess = (
  program: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'stdio'>,
) => ChildProcess;

const running = new Set<number>();
let endsWithUs = false;

const endAll = (): void => {
  for (const leader of running) killGroup(leader);
};

/** With whatever privileges this program has. It ends with this program at the latest. */
export const startProcess: StartProcess = (program, args, options) => {
  if (!endsWithUs) process.once('exit', endAll);
  endsWithUs = true;
  const child = spawn(program, args, { ...options, detached: true });
  const { pid } = child;
  if (pid === undefined) return child;
  running.add(pid);
  child.once('exit', () => running.delete(pid));
  return child;
};

/** Ends the process that leads this group, and all of the group. */
export const killGroup = (leader: number): void => {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // ESRCH: gone meanwhile. EPERM: it has become somebody else's, and stays.
  }
};
