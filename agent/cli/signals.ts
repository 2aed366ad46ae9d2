/**
 * The signals of a run, heard from its first moment on: a program that was put in the place of another is Master before it is
 * anything else, and must resign whenever it is told to stop. Earlier than this nothing can be done: Node unblocks and resets
 * every signal when it starts, so between execve and here (about 30 ms) each has its default action.
 */

/** What has come so far, and what will. */
export type Signals = {
  /** Resolves at the first SIGTERM or SIGINT; the next one ends the process. */
  stopped: Promise<'signal'>;
  isStopping(): boolean;
  /** Serves SIGHUP from now on. What it asks for before is about to be done anyhow. */
  onHangUp(listener: () => void): void;
};

/** Hears them from now on. */
export const hearSignals = (): Signals => {
  const stopped = Promise.withResolvers<'signal'>();
  let isStopping = false;
  let hangUp = (): void => undefined;
  const stop = (): void => {
    isStopping = true;
    stopped.resolve('signal');
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, stop);
  process.on('SIGHUP', () => hangUp());
  return {
    stopped: stopped.promise,
    isStopping: () => isStopping,
    onHangUp(listener) {
      hangUp = listener;
    },
  };
};
