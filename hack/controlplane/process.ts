/** Programs of the control plane as processes: started, awaited, ended. */
import { type ChildProcess, spawn as spawnChild } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tail } from '../setup/run.ts';

/** Starts a program with both outputs appended to `logFile`. */
export type Spawn = (
  file: string,
  args: readonly string[],
  options: { cwd: string; logFile: string },
) => ChildProcess;

/** A child of this process that the kernel kills when this process dies, however it dies. */
export const spawnBound: Spawn = (file, args, { cwd, logFile }) => {
  const log = openSync(logFile, 'a', 0o600);
  try {
    return spawnChild('setpriv', ['--pdeathsig', 'KILL', file, ...args], {
      cwd,
      stdio: ['ignore', log, log],
    });
  } finally {
    closeSync(log);
  }
};

/** A running program of the control plane. */
export type Service = {
  name: string;
  /** Undefined while it runs; then how it ended. */
  ended(): string | undefined;
  /** The end of its log, for an error message. */
  logTail(): Promise<string>;
  /** SIGTERM, after 5 s SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
};

const STOP_MS = 5_000;

/** Starts a program and watches over its end. */
export const startService = (
  spawn: Spawn,
  service: { name: string; file: string; args: readonly string[]; cwd: string; logFile: string },
): Service => {
  const { name, file, args, cwd, logFile } = service;
  const child = spawn(file, args, { cwd, logFile });
  let ended: string | undefined;
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ended ??= error.message;
      resolve();
    });
    child.once('exit', (code, signal) => {
      ended ??= signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve();
    });
  });
  return {
    name,
    ended: () => ended,
    logTail: async () => tail(await readFile(logFile, 'utf8').catch(() => '')),
    stop: async () => {
      if (ended !== undefined) return;
      child.kill('SIGTERM');
      const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await gone;
      clearTimeout(patience);
    },
  };
};

/**
 * Asks `ready` every 50 ms until it says yes.
 * @throws Error with the end of the service's log when it ended or the time is up.
 */
export const untilReady = async (
  service: Service,
  ready: () => Promise<boolean>,
  timeoutMs: number,
): Promise<void> => {
  const deadline = performance.now() + timeoutMs;
  while (!(await ready())) {
    const ended = service.ended();
    if (ended !== undefined || performance.now() > deadline) {
      const what =
        ended === undefined ? `was not ready within ${timeoutMs} ms` : `ended (${ended}) before it was ready`;
      throw new Error(`${service.name} ${what}. The end of its log:\n${await service.logTail()}`);
    }
    await sleep(50);
  }
};
