/** Runs short commands, and finds programs on the PATH. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { linkFolder } from './cache.ts';

/** How a command that ended well ended. */
export type Output = { stdout: string; stderr: string };

/** How a command is to run. */
export type RunOptions = {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Written to the command's standard input. */
  input?: string;
  /** Default 30,000 ms; then SIGKILL. */
  timeoutMs?: number;
};

/**
 * Runs a short command to its end.
 * @throws Error with the command, its exit and the end of its standard error.
 */
export const run = (file: string, args: readonly string[], options: RunOptions = {}): Promise<Output> =>
  new Promise((resolve, reject) => {
    const { cwd, env = process.env, input, timeoutMs = 30_000 } = options;
    const child = execFile(
      file,
      args,
      { cwd, env, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) {
          resolve({ stdout, stderr });
          return;
        }
        const how = error.killed ? `did not end within ${timeoutMs} ms` : `failed (${error.code})`;
        reject(
          new Error(`${[file, ...args].join(' ')}: ${how}\n${tail(stderr || stdout)}`.trim(), {
            cause: error,
          }),
        );
      },
    );
    child.stdin?.on('error', () => undefined); // EPIPE of a command that does not read: its exit tells
    child.stdin?.end(input);
  });

/** The last lines of a long text, for an error message. */
export const tail = (text: string, lines = 20): string => text.trimEnd().split('\n').slice(-lines).join('\n');

/** The standard output of a command, or undefined when it is missing or fails. */
export const tryRun = async (file: string, args: readonly string[], options: RunOptions = {}) => {
  try {
    return (await run(file, args, options)).stdout;
  } catch {
    return undefined;
  }
};

/**
 * Where a program is, as a shell would find it. An ordinary user's PATH may lack the sbin folders, so they come last; our
 * own links are passed over, as they would come to point at themselves.
 */
export const which = (program: string): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
    .filter((dir) => dir !== linkFolder())
    .map((dir) => join(dir, program))
    .find(isExecutable);

/** Whether this user may run the file. */
export const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
