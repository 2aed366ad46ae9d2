/** Makes every fork of this process fail, in the two ways in which Node tells of it. For tests only. */
import { openSync } from 'node:fs';

/** One argument or variable of a new program has 128 KiB at most (MAX_ARG_STRLEN of execve(2)). */
const TOO_LARGE = 200_000;

/** From now on Node throws at once: the environment of each new process is too large (E2BIG). @returns ends it */
export const forbidSpawning = (): (() => void) => {
  process.env.HAPAIR_TEST_TOO_LARGE = 'x'.repeat(TOO_LARGE);
  return () => {
    delete process.env.HAPAIR_TEST_TOO_LARGE;
  };
};

/** From now on no descriptor is left (EMFILE): Node tells of it later, and gives a child without streams. For a process with a low limit. */
export const useUpDescriptors = (): void => {
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    // That was the last.
  }
};
