/** `hapair-agent run`. Where it goes on for a predecessor, the worker runs before anything else is loaded. */

import { startEarlyWorker } from '../reload/early-worker.ts';
import { takeHandover } from '../reload/record.ts';
import { hearSignals } from './signals.ts';

/** Runs until a signal or a failure ends the process. */
export const run = async (configPath: string): Promise<void> => {
  const signals = hearSignals();
  const { isSuccessor, handover } = takeHandover();
  const startWorker = handover === null ? undefined : startEarlyWorker(handover);
  const { serve } = await import('./serve.ts');
  await serve({ configPath, signals, isSuccessor, handover, startWorker });
};
