/**
 * `command`: runs a program that the node's own configuration allows by name, and passes when it exits with 0. Whatever the
 * program does must not disturb the election, nor leave anything behind: it runs in a session of its own, at low priority,
 * without the agent's capabilities, and with its end everything ends that it has started.
 */
import type { ChildProcess } from 'node:child_process';
import { Readable } from 'node:stream';
import { killGroup, type StartProcess } from '../../runtime/child.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/error-text.ts';
import type { Outcome } from '../rules/verdict.ts';
import { lowerPriority } from './privileges.ts';
import type { CheckPlace } from './types.ts';

/** A command as the node's own configuration has it. */
export type AllowedCommand = {
  /** The program's absolute path, and its arguments; no shell sees them. */
  command: string[];
  /** Added to the environment, which is otherwise a standard PATH and the HAPAIR_… words of the check. */
  environment?: Record<string, string>;
};

export type CommandRun = { check: string; allowed: AllowedCommand; place: CheckPlace; signal: AbortSignal };

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Output is kept up to here, for the message of a failure. */
const KEPT_BYTES = 400;
/** What is written faster than a piece in this time waits: a flood must not keep this process busy. */
const PIECE_MS = 10;
/** After the end of the program and all it started its output is read for so long at most. */
const LAST_WORDS_MS = 200;

/** Makes one run. */
export type RunCommand = (run: CommandRun) => Promise<Outcome>;

/** @param start as `createUnprivilegedStart` makes it */
export const createCommandRunner =
  (clock: Clock, start: StartProcess): RunCommand =>
  async ({ check, allowed, place, signal }) => {
    const [program = '', ...args] = allowed.command;
    const output = { text: '' };
    try {
      const env = {
        PATH,
        LANG: 'C.UTF-8',
        HAPAIR_PAIR: place.pair,
        HAPAIR_CHECK: check,
        ...allowed.environment,
      };
      const child = start(program, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] });
      const ended = endOf(child);
      const closed = closeOf(child);
      if (child.pid !== undefined) lowerPriority(child.pid);
      // None without descriptors left for them (EMFILE): `ended` says so then.
      const streams = [child.stdout, child.stderr].filter((stream) => stream instanceof Readable);
      for (const stream of streams) keepSome(stream, output, clock);
      const giveUp = (): void => killAll(child);
      if (signal.aborted) giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      const end = await ended;
      signal.removeEventListener('abort', giveUp);
      if (end.code !== 0) await Promise.race([closed, sleep(clock, LAST_WORDS_MS)]);
      for (const stream of streams) stream.destroy();
      return outcomeOf(program, end, output.text);
    } catch (error) {
      const why = messageOf(error);
      return { result: 'failure', cause: why, message: `${program} cannot be run: ${why}` };
    }
  };

type End = { code: number | null; signal: NodeJS.Signals | null };

/** Not when its output ends: whoever it has started may hold that open. @throws Error when it could not be started */
const endOf = (child: ChildProcess): Promise<End> =>
  new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });

const closeOf = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once('close', () => resolve());
  });

/** The program and all that it has started, but for what has made a session of its own. */
const killAll = ({ pid }: ChildProcess): void => {
  if (pid !== undefined) killGroup(pid);
};

/** Reads on to the end, slowly, so that who writes a little too much is not held up; keeps the beginning. */
const keepSome = (stream: Readable, output: { text: string }, clock: Clock): void => {
  let isOver = false;
  stream.setEncoding('utf8');
  stream.on('data', (piece: string) => {
    output.text = (output.text + piece).slice(0, KEPT_BYTES);
    stream.pause();
    clock.setTimer(PIECE_MS, () => isOver || stream.resume());
  });
  // Whoever is killed may break its pipe.
  stream.on('error', () => undefined);
  stream.on('close', () => {
    isOver = true;
  });
};

const outcomeOf = (program: string, { code, signal }: End, text: string): Outcome => {
  if (code === 0) return { result: 'success' };
  const how = signal === null ? `exits with ${code}` : `was ended by ${signal}`;
  const said = text.replace(/\s+/g, ' ').trim();
  return {
    result: 'failure',
    cause: signal ?? `exit ${code}`,
    message: `${program} ${how}${said && `: ${said}`}`,
  };
};
