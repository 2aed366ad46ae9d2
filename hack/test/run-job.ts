/** Runs one job: a process group of its own, whose output is kept until it has ended, and which ends whole. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Job } from './jobs.ts';
import { judge, type Result } from './judge.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CHILD = join(import.meta.dirname, 'child.ts');
/** A test starts dozens of programs from their sources: what each reads is compiled once. */
const COMPILE_CACHE = join(ROOT, '.out', 'compile-cache');

export type JobRun = {
  result: Result;
  output: string;
  seconds: number;
};

const running = new Set<ChildProcess>();

/** A group of its own: what a test left running ends with it. */
const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: the group is empty already.
  }
};

/** Ends every job that runs. */
export const killAll = (): void => {
  for (const child of running) killGroup(child);
};

export type JobOptions = {
  /** Added to the job's own environment. */
  env: Readonly<Record<string, string>>;
  /** What it prints is seen at once. */
  isWatched: boolean;
  /** A person looks about in what it leaves open: its input is the terminal, and it has no deadline. */
  isKept: boolean;
};

const environmentOf = (own: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_COMPILE_CACHE: COMPILE_CACHE,
  ...own,
  ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
});

/** Runs a job to its end, or kills it at its deadline. Does not reject. */
export const runJob = (job: Job, { env, isWatched, isKept }: JobOptions): Promise<JobRun> =>
  new Promise((resolve) => {
    const startedMs = performance.now();
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, CHILD, ...job.files], {
      cwd: ROOT,
      env: environmentOf({ ...job.env, ...env }),
      // Only the terminal's own group may read from it.
      detached: !isKept,
      stdio: [isKept ? 'inherit' : 'ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (isWatched) process.stdout.write(text);
      });
    let problem: string | undefined;
    const deadline = setTimeout(() => {
      if (isKept) return;
      problem = `it did not end within ${job.deadlineMs / 60_000} minutes`;
      killGroup(child);
    }, job.deadlineMs);
    child.on('error', (error) => {
      problem = error.message;
    });
    // `close` comes after `exit` and the last output, also when the program could not be started.
    child.on('exit', () => killGroup(child));
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      running.delete(child);
      const ending = code === 0 ? undefined : `it ended with ${signal ?? `exit code ${code}`}`;
      const seconds = (performance.now() - startedMs) / 1000;
      resolve({ result: judge(output, problem ?? ending), output, seconds });
    });
  });
