/** What begins when a replica is elected: its stores are made fresh, then it works on pairs until its leadership ends. */
import { once } from 'node:events';
import { instanceName } from '../crds/types.ts';
import { keyOf } from '../kube/client.ts';
import type { HandleResult } from '../kube/queue.ts';
import type { Key } from '../kube/types.ts';
import type { Clock } from '../runtime/clock.ts';
import { messageOf } from '../runtime/error-text.ts';
import type { Log } from '../runtime/log.ts';
import { type OperatorConfig, WORKERS } from './config.ts';
import { isNotLeading } from './leader-client.ts';
import type { FoundPair } from './pair-queue.ts';
import type { Parts } from './parts.ts';
import { referenceToLeaderLease } from './stores.ts';

/** What a leader works with. */
type LeadingOptions = {
  parts: Parts;
  config: Pick<OperatorConfig, 'namespace'>;
  clock: Pick<Clock, 'now'>;
  log: Log;
  /** Told of each step that failed while this process led. Default: nobody is. */
  onStepFailed?: ((error: unknown) => void) | undefined;
  /** Ends the steps of the loop; calls that they began go on. */
  finishing: AbortSignal;
};

/**
 * Works on pairs, as a process that has just been elected and remembers of an earlier leadership only the calls that EC2 has not
 * answered. Resolves when the last step has ended, or none was begun.
 */
export const lead = async (options: LeadingOptions): Promise<void> => {
  const { parts, finishing } = options;
  const { stores, pairQueue, reconciler } = parts;
  if (finishing.aborted) return;
  const finished = once(finishing, 'abort');
  tellElected(options);
  reconciler.beginAnew();
  // What another process wrote before it was over must be known before the first decision.
  const { pairs, instances, leases } = stores;
  await Promise.race([Promise.all([pairs.refresh(), instances.refresh(), leases.refresh()]), finished]);
  if (finishing.aborted) return;
  pairQueue.open(findPairs(parts));
  await work(options);
  pairQueue.close();
};

const tellElected = ({ parts, config: { namespace }, log }: LeadingOptions): void => {
  const { identity, stores, events } = parts;
  log.info({ reason: 'LeaderElected', identity }, 'leading');
  events.record({
    regarding: referenceToLeaderLease(stores, namespace),
    type: 'Normal',
    reason: 'LeaderElected',
    message: `${identity} leads and makes the writes.`,
  });
};

const findPairs = ({ stores: { pairs, instances } }: Parts): FoundPair[] =>
  pairs.list().map((pair) => {
    const { name, namespace } = pair.metadata;
    const terms = pair.spec.nodes.map(
      (node) => instances.get(`${namespace}/${instanceName(name, node.name)}`)?.status?.term ?? 0,
    );
    return { key: keyOf(pair), pair, terms };
  });

const work = ({ parts, clock, log, onStepFailed, finishing }: LeadingOptions): Promise<void> => {
  const { queue, reconciler, metrics } = parts;
  const handle = async (key: Key): Promise<HandleResult> => {
    const startedMs = clock.now();
    const seconds = (): number => (clock.now() - startedMs) / 1000;
    try {
      const result = await reconciler.reconcile(key);
      metrics.stepped(result === undefined ? 'Done' : 'Requeued', seconds());
      return result;
    } catch (error) {
      metrics.stepped('Failed', seconds());
      throw error;
    }
  };
  return queue.run({
    workers: WORKERS,
    signal: finishing,
    handle,
    onError: (pair, error, retryInMs) => {
      if (isNotLeading(error)) return;
      log.error(
        { reason: 'StepFailed', pair, error: messageOf(error), retryInMs: Math.round(retryInMs) },
        'step failed, will be repeated',
      );
      onStepFailed?.(error);
    },
  });
};
