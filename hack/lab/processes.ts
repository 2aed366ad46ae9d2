/** The processes that init starts for the host: one table, handles that are never reused, a log file each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, createWriteStream, openSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { nowMs } from './clock.ts';
import { EXEC_MS, type ExecResult, type ExecSpec, type FromInit, type SpawnSpec } from './rpc.ts';

const OUTPUT_BYTES = 16 * 1024 * 1024;

/** How a place is entered: a command line that runs `argv` there. Throws when nothing runs there. */
export type Enter = (place: string, argv: readonly string[]) => string[];

/** The processes of one world. */
export class Processes {
  readonly #enter: Enter;
  readonly #report: (event: FromInit) => void;
  readonly #running = new Map<number, ChildProcess>();
  #lastHandle = 0;

  /** @param report is told of the `exit` of every process, and of every `line` asked for */
  constructor(enter: Enter, report: (event: FromInit) => void) {
    this.#enter = enter;
    this.#report = report;
  }

  /** Starts a process; resolves when it is known to run. */
  async start(spec: SpawnSpec): Promise<{ handle: number; pid: number }> {
    const [file = '', ...args] = this.#enter(spec.where, spec.argv);
    const log = openSync(spec.logFile, 'a', 0o600);
    const output = spec.lines ? 'pipe' : log;
    const child = spawn(file, args, { ...surroundingsOf(spec), stdio: ['ignore', output, output] });
    this.#lastHandle += 1;
    const handle = this.#lastHandle;
    const started = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) =>
        reject(new Error(`${spec.name} could not be started: ${error.message}`)),
      );
    });
    if (spec.lines) copyLines(child, handle, spec.logFile, this.#report);
    closeSync(log);
    // `close` comes after the last line of output, `exit` may come before it.
    child.once('close', (code, signal) => {
      this.#running.delete(handle);
      this.#report({ type: 'exit', handle, code, signal, atMs: nowMs() });
    });
    this.#running.set(handle, child);
    await started;
    return { handle, pid: child.pid ?? 0 };
  }

  /** Signals a process, or the process that its way in (nsenter) waits for; one that has ended is left alone. */
  async kill(handle: number, signal: string): Promise<void> {
    const pid = this.#running.get(handle)?.pid;
    if (pid === undefined) return;
    const inside = await enteredProcess(pid);
    signalProcess(inside ?? pid, signal);
  }

  isRunning(handle: number): boolean {
    return this.#running.has(handle);
  }

  /** Resolves when the process has ended, or after `timeoutMs`: says whether it has. */
  ended(handle: number, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const child = this.#running.get(handle);
      if (child === undefined) return resolve(true);
      const timer = setTimeout(() => resolve(false), timeoutMs);
      child.once('close', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** Runs a command to its end, or kills it at its deadline. */
  exec(spec: ExecSpec): Promise<ExecResult> {
    const [file = '', ...args] = this.#enter(spec.where, spec.argv);
    return runToEnd(spec, file, args);
  }
}

const surroundingsOf = ({ cwd, env }: Pick<SpawnSpec, 'cwd' | 'env'>) => ({
  ...(cwd !== undefined && { cwd }),
  env: { ...process.env, ...env },
});

const runToEnd = (spec: ExecSpec, file: string, args: readonly string[]): Promise<ExecResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...surroundingsOf(spec), stdio: 'pipe' });
    const end = async (): Promise<void> => {
      signalProcess((await enteredProcess(child.pid ?? 0)) ?? child.pid ?? 0, 'SIGKILL');
    };
    const timer = setTimeout(() => void end(), spec.timeoutMs ?? EXEC_MS);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text;
        if (output[stream].length > OUTPUT_BYTES) void end();
      });
    }
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new Error(`${spec.argv.join(' ')} could not be started: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output });
    });
    child.stdin.on('error', () => undefined); // EPIPE of a command that does not read: its exit tells
    child.stdin.end(spec.input);
  });

/** Copies output to the log and reports its lines. */
const copyLines = (
  child: ChildProcess,
  handle: number,
  logFile: string,
  report: (event: FromInit) => void,
): void => {
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      report({ type: 'line', handle, line, atMs: nowMs() });
    });
  }
  child.once('close', () => log.end());
};

/** Sends a signal; a process that is gone is no error. */
export const signalProcess = (pid: number, signal: string): void => {
  if (pid <= 0) return;
  try {
    process.kill(pid, signal as NodeJS.Signals);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

/**
 * `nsenter --pid` stays outside and waits for its child, so a signal for the program must go to that child. Undefined when
 * the process is no such nsenter.
 */
const enteredProcess = async (pid: number): Promise<number | undefined> => {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  if (name.trim() !== 'nsenter' && name.trim() !== 'unshare') return undefined;
  for (const candidate of await processIDs()) {
    if ((await parentOf(candidate)) === pid) return candidate;
  }
  return undefined;
};

/** Every process that /proc shows. */
export const processIDs = async (): Promise<number[]> =>
  (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);

/** The parent's process id; undefined when the process is gone. */
export const parentOf = async (pid: number): Promise<number | undefined> => (await statusOf(pid))?.parent;

const statusOf = async (pid: number): Promise<{ state: string; parent: number } | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The name in parentheses may hold anything, parentheses and spaces included.
  const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state, parent: Number(parent) };
};

/**
 * Living processes in the namespace of this kind that is given by its inode text, such as `pid:[4026531836]`. One that has
 * ended and only waits to be collected by its parent does not count.
 */
export const processesIn = async (kind: 'pid' | 'user', namespace: string): Promise<number[]> => {
  const found: number[] = [];
  for (const pid of await processIDs()) {
    if ((await readlink(`/proc/${pid}/ns/${kind}`).catch(() => '')) !== namespace) continue;
    if ((await statusOf(pid))?.state !== 'Z') found.push(pid);
  }
  return found;
};
