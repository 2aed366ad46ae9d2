/**
 * A replica of the operator, from its start to its end. What it consists of is parts.ts, what begins when it leads is
 * leading.ts; the work on one pair is reconcile.ts, the decisions plan.ts.
 *
 * Every replica keeps its copies of Kubernetes and its readings of EC2 warm; the one that leads works on them. Whatever writes,
 * unfollowed.ts apart, asks the elector's own clock first, at the moment of writing. A process that has lost leadership stands for election again;
 * when it is elected it begins with nothing remembered but its unanswered calls.
 */
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { OperatorConfig } from './config.ts';
import { createEndpoints } from './endpoints.ts';
import { counted } from './leader-client.ts';
import { lead } from './leading.ts';
import { createParts } from './parts.ts';
import type { Surroundings } from './surroundings.ts';
import { tellUnfollowed } from './unfollowed.ts';

/** A running replica, as its process sees it. */
export type Operator = {
  identity: string;
  /** Of metrics and health; undefined: nothing is served. */
  port: number | undefined;
  /** This process leads now, by its own clock. */
  isLeader(): boolean;
  /**
   * Begins no new step, waits for the answers to EC2 calls under way (each has a deadline), gives the Lease away so that
   * another replica leads at once, and closes everything.
   */
  stop(): Promise<void>;
};

/** Bound on the end of steps and calls under way: longer than the deadline of an EC2 call. */
const FINISH_MS = 15_000;
/** Bound on writing the last Events. */
const FLUSH_MS = 3_000;

/** Whether `work` ended in time. */
const endsWithin = async (clock: Clock, work: Promise<unknown>, timeoutMs: number): Promise<boolean> => {
  const waiting = new AbortController();
  try {
    const late = sleep(clock, timeoutMs, waiting.signal).then(() => false);
    return await Promise.race([work.then(() => true), late]);
  } finally {
    waiting.abort();
  }
};

/**
 * Connects a replica to its surroundings and returns once it answers on its port; it leads when it is elected and its stores are
 * fresh.
 * @throws Error when the port cannot be had, or the times of the election do not fit together
 */
export const runOperator = async (
  config: OperatorConfig,
  log: Log,
  surroundings: Surroundings,
): Promise<Operator> => {
  const { kube, electorKube, clock, onStepFailed } = surroundings;
  /** Ends everything. */
  const stopping = new AbortController();
  /** Ends the steps of the loop; what they began goes on. */
  const finishing = new AbortController();
  const { signal } = stopping;
  const parts = createParts({ config, surroundings, log, signal });
  const { identity, elector, account, views, stores, events, reconciler, metrics } = parts;

  /** The steps of each leadership end before those of the next begin. */
  let leading = Promise.resolve();
  const onElected = (reign: AbortSignal): void => {
    const options = { parts, config, clock, log, onStepFailed };
    leading = leading.then(() => lead({ ...options, finishing: AbortSignal.any([reign, finishing.signal]) }));
    reign.addEventListener('abort', () => {
      if (!finishing.signal.aborted)
        log.warn({ reason: 'LeaderLost', identity }, 'leadership lost, standing for election again');
    });
  };
  const listening = Promise.withResolvers<void>();
  const election = listening.promise.then(() => elector.run(signal, onElected));
  const server = await surroundings.serve?.(createEndpoints({ parts, config, clock, election, signal }));
  listening.resolve();
  const reading = Promise.all([
    views.run(),
    account.reachability.prove(signal),
    tellUnfollowed({
      ...{ pairs: stores.pairs, kube: counted(kube, metrics.kubernetesWrote), clock, log, signal },
      leaderSeenMs: () => elector.leaderSeenMs(),
    }),
  ]);

  const stop = async (): Promise<void> => {
    finishing.abort();
    const isFinished = await endsWithin(
      clock,
      leading.then(() => reconciler.idle()),
      FINISH_MS,
    );
    await endsWithin(clock, events.flush(), FLUSH_MS);
    if (isFinished) await elector.release();
    else log.warn({ reason: 'LeaseNotReleased' }, 'a call is still under way: the Lease is left to run out');
    stopping.abort();
    await reading;
    account.close();
    await Promise.all([server?.close(), kube.close(), electorKube.close()]);
  };
  return { identity, port: server?.port, isLeader: () => elector.isLeader(), stop };
};
