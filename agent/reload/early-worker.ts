/**
 * The VRRP worker of a program that was put in the place of another: it runs before anything else is even loaded, because the
 * peers of its Masters wait for an advert. What it says waits until the agent listens.
 */

import type { FromWorker } from '../worker/messages.ts';
import { startVRRPWorker, type VRRPWorker, type VRRPWorkerOptions } from '../worker/worker-client.ts';
import type { Handover } from './record.ts';

/** Starts a worker for a given listener. */
export type StartWorker = (options: VRRPWorkerOptions) => VRRPWorker;

/** The listener that the running worker is handed to. It hears everything, in order, once its caller has returned. */
export const startEarlyWorker = (
  { pairs }: Pick<Handover, 'pairs'>,
  start: StartWorker = startVRRPWorker,
): StartWorker => {
  const early: FromWorker[] = [];
  let listener: VRRPWorkerOptions | undefined;
  let end: { error: Error | null } | undefined;
  const worker = start({
    onMessage(message) {
      if (listener === undefined) early.push(message);
      else listener.onMessage(message);
    },
    onExit(error) {
      if (listener === undefined) end = { error };
      else listener.onExit(error);
    },
  });
  for (const [pair, { running, election, lastAdvertAtMs }] of Object.entries(pairs)) {
    const { config, fault } = running;
    if (election === 'Master' && lastAdvertAtMs !== null) {
      // A fault that followed would end a Master of last resort.
      worker.send({ type: 'set', pair, config, resume: { lastAdvertAtMs, fault } });
      continue;
    }
    worker.send({ type: 'set', pair, config });
    if (fault !== null) worker.send({ type: 'fault', pair, fault });
  }
  return (options) => {
    queueMicrotask(() => {
      listener = options;
      for (const message of early.splice(0)) options.onMessage(message);
      if (end !== undefined) options.onExit(end.error);
    });
    return worker;
  };
};
