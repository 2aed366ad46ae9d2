/** `hapair-agent run`. Where it goes on for a predecessor, the worker runs before anything else is loaded. */

import { takeHandover } from '../handover.ts';
import { startEarlyWorker } from '../worker/early-worker.ts';

/** Runs until a signal or a failure ends the process. */
export const run = async (configPath: string): Promise<void> => {
  // Until the agent can be reloaded, what it would be reloaded for is only about to be read.
  const ignore = (): void => undefined;
  process.on('SIGHUP', ignore);
  const handover = takeHandover();
  const startWorker = handover === null ? undefined : startEarlyWorker(handover);
  const { serve } = await import('./serve.ts');
  await serve({ configPath, handover, startWorker, stopIgnoring: () => void process.off('SIGHUP', ignore) });
};
