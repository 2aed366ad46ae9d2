/**
 * What a replica writes although it does not lead: that nobody does. A status that nobody keeps would go on saying Ready. It is
 * the status alone, on the version that was read, so that whoever leads again overrules it; EC2 is the leader's.
 */
import type { HAPair, HAPairStatus } from '../crds/types.ts';
import { keyOf } from '../kube/client.ts';
import type { KubeClient, Store } from '../kube/types.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { messageOf } from '../runtime/error-text.ts';
import type { Log } from '../runtime/log.ts';
import { formatTime } from '../runtime/time.ts';
import { badFirst, conditionOf, problemOf } from './plan/problem.ts';
import { FIELD_MANAGER, HAPAIRS } from './resources.ts';

type UnfollowedOptions = {
  pairs: Pick<Store<HAPair>, 'list'>;
  /** Not guarded by leadership. */
  kube: Pick<KubeClient, 'apply'>;
  /** See `Elector.leaderSeenMs`. */
  leaderSeenMs: () => number;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
};

/** A leader that is unknown for so long is none: several times what a takeover takes. */
const UNFOLLOWED_MS = 60_000;
const LOOK_MS = 5_000;
/** Writes may be what is slow. */
const WRITE_TIMEOUT_MS = 30_000;
/** Writes at the same time. */
const WRITES = 8;

/** The status that says so; undefined: it says so already, or there is none to go stale. */
export const unfollowedStatus = ({ status, metadata }: HAPair, wallMs: number): HAPairStatus | undefined => {
  const before = conditionOf(status, 'Ready');
  if (!status?.conditions || !before || before.reason === 'NotFollowed') return undefined;
  const { generation } = metadata;
  const conditions = badFirst([
    {
      type: 'Ready',
      status: 'Unknown',
      reason: 'NotFollowed',
      message: `No operator leads for a minute or longer: EC2 follows no failover, and what else stands here is as old. Look at the operator's log (LeaseNotRenewed, SlowWrites) and at who holds the Lease hapair-operator.`,
      lastTransitionTime: before.status === 'Unknown' ? before.lastTransitionTime : formatTime(wallMs),
      ...(generation !== undefined && { observedGeneration: generation }),
    },
    ...status.conditions.filter(({ type }) => type !== 'Ready'),
  ]);
  const { reason: _reason, message: _message, ...rest } = status;
  return { ...rest, conditions, ...problemOf(conditions) };
};

/** Tells it of every pair while no leader is known, until the signal aborts. Never rejects. */
export const tellUnfollowed = async (options: UnfollowedOptions): Promise<void> => {
  const { pairs, kube, clock, log, signal } = options;
  const startedMs = clock.now();
  const isUnfollowed = (): boolean =>
    clock.now() - Math.max(startedMs, options.leaderSeenMs()) >= UNFOLLOWED_MS;

  const tell = async (pair: HAPair): Promise<void> => {
    const status = unfollowedStatus(pair, clock.wall());
    if (!status || !isUnfollowed()) return;
    const { apiVersion, kind } = pair;
    const { name, namespace, uid, resourceVersion } = pair.metadata;
    const object = {
      apiVersion,
      kind,
      metadata: { name, namespace, uid, resourceVersion },
      status,
    } as HAPair;
    const manager = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' as const };
    const reason = 'NotFollowed';
    try {
      await kube.apply(HAPAIRS, object, manager, { timeoutMs: WRITE_TIMEOUT_MS, signal });
      log.warn({ reason, pair: keyOf(pair) }, 'no operator leads: the status says so');
    } catch (error) {
      // Another replica was faster, or nothing can be written; the next look shows it.
      const words = { pair: keyOf(pair), error: messageOf(error) };
      log.warn({ reason, ...words }, 'no operator leads, and the status was not written');
    }
  };

  while (!signal.aborted) {
    await sleep(clock, LOOK_MS, signal);
    if (!isUnfollowed()) continue;
    const waiting = pairs.list().filter((pair) => unfollowedStatus(pair, clock.wall()) !== undefined);
    const writers = Array.from({ length: WRITES }, async () => {
      for (let pair = waiting.shift(); pair && !signal.aborted; pair = waiting.shift()) await tell(pair);
    });
    await Promise.all(writers);
  }
};
