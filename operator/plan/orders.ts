/** Planned switches ("Failback, declaratively" in the design): each order yields at most once and is always consumed (S9). */

import type { FailbackStatus, HAPair } from '../../crds/types.ts';
import { formatTime, parseTimeMs } from '../../kube/time.ts';
import { mastersOf, type Report } from './elect.ts';
import type { Life, PlanEvent } from './types.ts';

/** A sign of life younger than this is fresh: four renewals of an agent's Lease. */
export const FRESH_MS = 40_000;
/** How often a waiting order looks at its target again. */
const WAIT_MS = 1_000;

/** True if the agent was seen alive within the last 40 s. A sign that was never seen is no sign. */
export const isFresh = (life: Life | undefined, nowMs: number): boolean =>
  life?.lastMs !== undefined && nowMs - life.lastMs < FRESH_MS;

/** True if the node could take over this second, as far as its own report says. */
export const isHealthyBackup = (report: Report | undefined): boolean =>
  report?.state === 'Backup' &&
  !(report.conditions ?? []).some(
    ({ type, status }) => (type === 'Ready' || type === 'Healthy') && status === 'False',
  );

/** What an order depends on. */
export type OrdersInput = {
  nowMs: number;
  wallMs: number;
  pair: HAPair;
  /** The stored spec is accepted; otherwise no order is begun, and a recorded one still ends. */
  accepted: boolean;
  reports: readonly Report[];
  elected: Report | undefined;
  life: Readonly<Record<string, Life>>;
};

/** The wanted `status.failback`. */
export type Orders = { failback?: FailbackStatus; events: readonly PlanEvent[]; wakeAtMs?: number };

/** Both wishes, as far as they have come due, are handled; a time never goes back. */
const handled = (pair: HAPair, last: FailbackStatus | undefined, dueMs: number): FailbackStatus => {
  const { preferredNode, failback } = pair.spec;
  const requestedMs = parseTimeMs(failback.requestedAt);
  const isNewer = requestedMs <= dueMs && !(requestedMs <= parseTimeMs(last?.lastHandledRequestedAt));
  const requestedAt = isNewer ? failback.requestedAt : last?.lastHandledRequestedAt;
  return {
    ...(preferredNode !== undefined && { observedPreferredNode: preferredNode }),
    ...(requestedAt !== undefined && { lastHandledRequestedAt: requestedAt }),
  };
};

type Wanted = { kind: 'None' } | { kind: 'Ignored' } | { kind: 'Later'; inMs: number } | { kind: 'Order' };

/** Whether the two wishes, compared with what was handled, are an order now. */
const wanted = (pair: HAPair, failback: FailbackStatus, wallMs: number): Wanted => {
  const { preferredNode } = pair.spec;
  const changed = preferredNode !== undefined && preferredNode !== failback.observedPreferredNode;
  const requestedMs = parseTimeMs(pair.spec.failback.requestedAt);
  const handledMs = parseTimeMs(failback.lastHandledRequestedAt);
  if (changed) return { kind: 'Order' };
  if (Number.isNaN(requestedMs) || requestedMs === handledMs) return { kind: 'None' };
  const createdMs = parseTimeMs(pair.metadata.creationTimestamp);
  if (requestedMs < handledMs || requestedMs < createdMs || preferredNode === undefined) {
    return { kind: 'Ignored' };
  }
  return requestedMs > wallMs ? { kind: 'Later', inMs: requestedMs - wallMs } : { kind: 'Order' };
};

/** The end of a recorded order: a Master report above its term, whoever won. */
const ended = (failback: FailbackStatus, { elected, reports }: OrdersInput): Orders | undefined => {
  const yieldTerm = failback.yieldTerm ?? 0;
  if (yieldTerm === 0 || !mastersOf(reports).some(({ term }) => term > yieldTerm)) return undefined;
  const { yieldTerm: _consumed, pendingSince: _since, ...rest } = failback;
  const target = failback.observedPreferredNode;
  const reached = elected?.node === target;
  const reason = reached ? 'SwitchoverCompleted' : 'SwitchoverFailed';
  const message = reached
    ? `${target} is master, as ordered.`
    : `${elected?.node ?? 'Another node'} became master instead of ${target}; the order is consumed: request it again.`;
  return {
    failback: { ...rest, reason },
    events: [{ type: reached ? 'Normal' : 'Warning', reason, message }],
  };
};

/** No order waits; the reason of the last one that ended stays. */
const withoutPending = ({ pendingSince: _since, reason, ...rest }: FailbackStatus): FailbackStatus => ({
  ...rest,
  ...(reason !== undefined && reason !== 'WaitingForTarget' && { reason }),
});

/** Follows a preferredNode that was taken back to nothing: that is a wish less, not an order. */
const followRemoval = (pair: HAPair, failback: FailbackStatus): FailbackStatus => {
  if (pair.spec.preferredNode !== undefined) return failback;
  const { observedPreferredNode: _gone, ...rest } = failback;
  return rest;
};

const begin = (input: OrdersInput, failback: FailbackStatus): Orders => {
  const { pair, elected, reports, life, nowMs, wallMs } = input;
  const target = pair.spec.preferredNode;
  if (elected?.node === target) {
    const message = `${target} is master already; the order is consumed.`;
    return {
      failback: { ...handled(pair, failback, wallMs), reason: 'AlreadyMaster' },
      events: [{ type: 'Normal', reason: 'AlreadyMaster', message }],
    };
  }
  const report = reports.find(({ node }) => node === target);
  if (elected && isHealthyBackup(report) && isFresh(life[target ?? ''], nowMs)) {
    const message = `${elected.node} is asked to yield term ${elected.term} to ${target}.`;
    return {
      failback: {
        ...handled(pair, failback, wallMs),
        yieldTerm: elected.term,
        reason: 'SwitchoverRequested',
      },
      events: [{ type: 'Normal', reason: 'SwitchoverRequested', message }],
    };
  }
  const pendingSince = failback.pendingSince ?? formatTime(wallMs);
  const message = `The switch to ${target} waits until it is a healthy Backup with a fresh sign of life.`;
  return {
    failback: { ...failback, pendingSince, reason: 'WaitingForTarget' },
    events:
      failback.reason === 'WaitingForTarget' ? [] : [{ type: 'Normal', reason: 'WaitingForTarget', message }],
    wakeAtMs: nowMs + WAIT_MS,
  };
};

/**
 * The next state of the pair's orders. `yieldTerm` is only recorded here; instances.ts hands it to the Master once it is
 * read back as stored, so that an operator that dies in between repeats the same order and no other.
 */
export const orders = (input: OrdersInput): Orders => {
  const { pair, accepted, nowMs, wallMs } = input;
  const stored = pair.status?.failback;
  if (stored === undefined) {
    return accepted
      ? {
          failback: { ...handled(pair, undefined, Number.POSITIVE_INFINITY), reason: 'Recorded' },
          events: [],
        }
      : { events: [] };
  }
  const end = ended(stored, input);
  if (end) return end;
  if (!accepted || pair.spec.paused || (stored.yieldTerm ?? 0) > 0) return { failback: stored, events: [] };

  const failback = followRemoval(pair, stored);
  const wish = wanted(pair, failback, wallMs);
  switch (wish.kind) {
    case 'Order':
      return begin(input, failback);
    case 'Later':
      return { failback: withoutPending(failback), events: [], wakeAtMs: nowMs + wish.inMs };
    case 'Ignored': {
      const message =
        'spec.failback.requestedAt is ignored: it is older than the last order or than the HAPair.';
      // Said of the edit that brought it, and not again after each later order: that one's outcome is the news then.
      if (pair.metadata.generation === pair.status?.observedGeneration)
        return { failback: withoutPending(failback), events: [] };
      const known = failback.reason === 'OrderIgnored';
      return {
        failback: { ...withoutPending(failback), reason: 'OrderIgnored' },
        events: known ? [] : [{ type: 'Normal', reason: 'OrderIgnored', message }],
      };
    }
    case 'None':
      return { failback: withoutPending(failback), events: [] };
  }
};
