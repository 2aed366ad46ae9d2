/** The standard output as a log is written to it. */
import { pino } from 'pino';

/** Lines that wait for a reader who is slow, or for a disk that is full, are kept up to so many bytes. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Opens the standard output for a log. What becomes of the log does not end the program: lines that cannot be written wait,
 * and those beyond 4 MiB are dropped.
 * @param sync whether a line is written before the call returns; else it waits for the event loop
 */
export const openLogOutput = (sync: boolean) => {
  const output = pino.destination({ fd: 1, sync, maxLength: MOST_BYTES });
  const { flushSync } = output;
  // Pino flushes at the end of the process, which tries an error other than EAGAIN on and on.
  output.on('error', () => {
    output.flushSync = () => undefined;
  });
  output.on('write', () => {
    output.flushSync = flushSync;
  });
  return output;
};
