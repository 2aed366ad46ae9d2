/** A process of tests from outside: it is given an order, watched, and ended. */
import { type ChildProcess, type Serializable, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ROOT } from './plant.ts';

/** A fault may make a program grow without end. */
const HEAP_MB = 1_024;

const STDERR_LIMIT = 4_000;

/** Time is a process's own: on a busy machine a step takes no longer than on a quiet one. */
const LOOK_MS = 500;
/** Of the kernel's clock that counts it (USER_HZ). */
const TICK_MS = 10;
/** A process that waits for nothing that comes uses no time of its own; it has this many times its limit. */
const PATIENCE = 30;

/** Processor time used so far; 0 when the process is gone. */
const usedMs = (pid: number): number => {
  try {
    // After the name in brackets, which may hold spaces: state is the third field, utime and stime are the 14th and 15th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return 0;
  }
};

/** Said before a step that may never end; every other word is the last. */
export type Begins = { type: 'begins' };

/** How a process ended that said nothing last. */
export type Ending = { type: 'timeout'; afterMs: number } | { type: 'crash'; text: string };

const running = new Set<ChildProcess>();

/** Ends every process that still runs. */
export const endAll = (): void => {
  for (const child of running) child.kill('SIGKILL');
};

/**
 * Runs one.
 * @param program its file
 * @param limitMs processor time that it may take from what was said to what is said next; undefined: nothing was said yet
 * @returns its last word
 */
export const run = <Word extends { type: string }>(
  program: string,
  order: Serializable,
  limitMs: (word: Word | undefined) => number,
): Promise<Exclude<Word, Begins> | Ending> =>
  new Promise((resolve, reject) => {
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', process.execPath, '--no-warnings', `--max-old-space-size=${HEAP_MB}`, program],
      { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
    );
    running.add(child);
    let last: Word | undefined;
    let late: Ending | undefined;
    let stderr = '';
    let [fromMs, fromAtMs, limit] = [0, performance.now(), limitMs(undefined)];
    const looking = setInterval(() => {
      const waitedMs = performance.now() - fromAtMs;
      if (usedMs(child.pid ?? 0) - fromMs < limit && waitedMs < PATIENCE * limit) return;
      late = { type: 'timeout', afterMs: limit };
      child.kill('SIGKILL');
    }, LOOK_MS);
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_LIMIT);
    });
    child.on('message', (word: Word) => {
      last = word;
      [fromMs, fromAtMs, limit] = [usedMs(child.pid ?? 0), performance.now(), limitMs(word)];
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(looking);
      running.delete(child);
      if (late) resolve(late);
      else if (last && isLast(last)) resolve(last);
      else
        resolve({ type: 'crash', text: stderr.trim() || `it ended with ${signal ?? `exit code ${code}`}` });
    });
    child.send(order);
  });

const isLast = <Word extends { type: string }>(word: Word): word is Exclude<Word, Begins> =>
  word.type !== 'begins';

/** For the process itself: says a word to the one that runs it. */
export const say = (word: Serializable): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send?.(word, undefined, {}, (error) => (error ? reject(error) : resolve()));
  });

/** For the process itself: does what it is told, once, and ends. */
export const obey = <Order>(work: (order: Order) => Promise<void>): void => {
  process.once('message', (order: Order) => {
    work(order).then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
};
