/** The standard output as a log is written to it. */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { type Clock, sleep } from './clock.ts';

/** Lines that wait for a reader who is slow, or for a disk that is full, are kept up to so many bytes. */
const MOST_BYTES = 4 * 1024 * 1024;
/** What waits is tried again so often. */
const RETRY_MS = 100;
/** So long the end of the program waits for a reader who is slow. */
const LAST_MS = 500;
/** Between two tries then. */
const LAST_RETRY_MS = 10;

const STDOUT = 1;

/** Where log lines go to. */
export type LogOutput = {
  /** Writes a line at once, unless others wait before it. Never throws, never waits. */
  write(line: string): void;
  /** Resolves when nothing waits any more, or after `timeoutMs`. */
  written(clock: Clock, timeoutMs: number): Promise<void>;
};

/**
 * Opens the standard output for a log. What becomes of the log neither holds up nor ends the program: a line is written before
 * the call returns if a reader or the disk takes it; else it waits, and those beyond 4 MiB are dropped. The end of the program
 * waits for half a second at most. A regular file is waited for: the kernel knows no other way.
 */
export const openLogOutput = (): LogOutput => {
  const unblocked = unblock();
  let waiting: Buffer[] = [];
  let length = 0;
  let isRetrying = false;

  /** @returns the code of the error for which the rest waits; undefined: all is written */
  const writeOn = (): string | undefined => {
    const bytes = Buffer.concat(waiting);
    let from = 0;
    try {
      while (from < bytes.length) from += writeSync(STDOUT, bytes, from);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown';
    } finally {
      waiting = from < bytes.length ? [bytes.subarray(from)] : [];
      length = bytes.length - from;
    }
  };
  const retry = (): void => {
    isRetrying = writeOn() !== undefined;
    if (isRetrying) setTimeout(retry, RETRY_MS).unref();
  };
  process.once('exit', () => {
    const deadlineMs = performance.now() + LAST_MS;
    const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    // Without a reader to wait for (a full disk, a closed pipe) one try is all there is.
    while (writeOn() === 'EAGAIN' && performance.now() < deadlineMs)
      Atomics.wait(nobody, 0, 0, LAST_RETRY_MS);
    unblocked?.unref();
  });

  return {
    write(line) {
      const bytes = Buffer.from(line);
      if (length + bytes.length > MOST_BYTES) return;
      waiting.push(bytes);
      length += bytes.length;
      if (!isRetrying) retry();
    },
    async written(clock, timeoutMs) {
      const deadlineMs = clock.now() + timeoutMs;
      while (length > 0 && clock.now() < deadlineMs) await sleep(clock, LAST_RETRY_MS);
    },
  };
};

/**
 * Has writes to a pipe or socket that is full fail instead of waiting: a stream of Node's own sets that, and must live as long.
 * @returns undefined where the standard output is neither
 */
const unblock = (): Socket | undefined => {
  try {
    return new Socket({ fd: STDOUT, readable: false }).on('error', () => undefined);
  } catch {
    return undefined; // a file, a terminal
  }
};
