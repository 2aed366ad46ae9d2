/** Planned switches (DESIGN.md, "Failback, declaratively"): each order yields at most once and is always consumed (S9). */

import type { Reason } from '../../crds/conditions.ts';
import type { FailbackStatus, HAPair } from '../../crds/types.ts';
import { formatTime, parseTimeMs } from '../../runtime/time.ts';
import { mastersOf, type Report } from './elect.ts';
import { type AutomaticInput, automatic } from './failback.ts';
import { isFresh, isHealthyBackup } from './signs.ts';
import type { FailbackMemory, Life, PlanEvent } from './types.ts';

/** How often a waiting order looks at its target again. */
const WAIT_MS = 1_000;

/** What an order depends on. */
type OrdersInput = {
  nowMs: number;
  wallMs: number;
  pair: HAPair;
  /** The stored spec is accepted; otherwise no order is begun, and a recorded one still ends. */
  accepted: boolean;
  /** Names of the nodes in force. */
  nodes: readonly string[];
  reports: readonly Report[];
  elected: Report | undefined;
  life: Readonly<Record<string, Life>>;
  memory: FailbackMemory;
};

/** The wanted `status.failback`. */
export type Orders = {
  failback?: FailbackStatus;
  events: readonly PlanEvent[];
  wakeAtMs?: number;
  /** An order ends now, and its target is not master. */
  failed?: boolean;
};

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

/** `sinceMs`: Unix milliseconds from which its deadline counts. */
type Wanted =
  | { kind: 'None' }
  | { kind: 'Ignored' }
  | { kind: 'Later'; inMs: number }
  | { kind: 'Order'; sinceMs: number };

/** Whether the two wishes, compared with what was handled, are an order now. */
const wanted = (pair: HAPair, failback: FailbackStatus, wallMs: number): Wanted => {
  const { preferredNode } = pair.spec;
  const changed = preferredNode !== undefined && preferredNode !== failback.observedPreferredNode;
  const requestedMs = parseTimeMs(pair.spec.failback.requestedAt);
  const handledMs = parseTimeMs(failback.lastHandledRequestedAt);
  const pendingMs = parseTimeMs(failback.pendingSince);
  if (changed) return { kind: 'Order', sinceMs: Number.isNaN(pendingMs) ? wallMs : pendingMs };
  if (Number.isNaN(requestedMs) || requestedMs === handledMs) return { kind: 'None' };
  const createdMs = parseTimeMs(pair.metadata.creationTimestamp);
  if (requestedMs < handledMs || requestedMs < createdMs || preferredNode === undefined) {
    return { kind: 'Ignored' };
  }
  return requestedMs > wallMs
    ? { kind: 'Later', inMs: requestedMs - wallMs }
    : { kind: 'Order', sinceMs: requestedMs };
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
    failed: !reached,
  };
};

/** Reasons of something that is not decided yet. */
const WAITING: readonly (string | undefined)[] = ['WaitingForTarget', 'WaitingForDelay'] satisfies Reason[];

/** No order waits; the reason of the last one that ended stays. */
const withoutPending = ({ pendingSince: _since, reason, ...rest }: FailbackStatus): FailbackStatus => ({
  ...rest,
  ...(reason !== undefined && !WAITING.includes(reason) && { reason }),
});

/** Follows a preferredNode that was taken back to nothing: that is a wish less, not an order. */
const followRemoval = (pair: HAPair, failback: FailbackStatus): FailbackStatus => {
  if (pair.spec.preferredNode !== undefined) return failback;
  const { observedPreferredNode: _gone, ...rest } = failback;
  return rest;
};

/** Every wish is handled and nothing is asked of anybody any more. */
const consumed = (
  { pair, wallMs }: OrdersInput,
  failback: FailbackStatus,
  reason: Reason,
  message: string,
): Orders => ({
  failback: { ...handled(pair, failback, wallMs), reason },
  events: [{ type: reason === 'AlreadyMaster' ? 'Normal' : 'Warning', reason, message }],
});

/** Unix milliseconds at which an order that has waited since then expires. */
const deadlineOf = ({ spec }: HAPair, sinceMs: number): number =>
  sinceMs + spec.failback.startingDeadlineSeconds * 1_000;

const expired = (input: OrdersInput, failback: FailbackStatus): Orders => {
  const { startingDeadlineSeconds } = input.pair.spec.failback;
  const target = input.pair.spec.preferredNode ?? failback.observedPreferredNode;
  const message = `The switch to ${target} could not be made within ${startingDeadlineSeconds} s (spec.failback.startingDeadlineSeconds); the order is consumed: request it again.`;
  return consumed(input, failback, 'Expired', message);
};

/** Why the target cannot take over yet. */
const obstacle = ({ pair, nodes, reports, life, nowMs }: OrdersInput): string | undefined => {
  const target = pair.spec.preferredNode ?? '';
  if (!nodes.includes(target)) return `${target} takes part once the other node holds the addresses`;
  const report = reports.find(({ node }) => node === target);
  if (report === undefined) return `its agent has not reported`;
  if (report.state !== 'Backup') return `it is ${report.state}`;
  if (!isHealthyBackup(report)) return 'it is not healthy';
  return isFresh(life[target], nowMs) ? undefined : 'it has shown no fresh sign of life';
};

const begin = (input: OrdersInput, failback: FailbackStatus, sinceMs: number): Orders => {
  const { pair, elected, nowMs, wallMs } = input;
  const target = pair.spec.preferredNode;
  if (elected?.node === target) {
    return consumed(input, failback, 'AlreadyMaster', `${target} is master already; the order is consumed.`);
  }
  const deadlineMs = deadlineOf(pair, sinceMs);
  if (wallMs >= deadlineMs) return expired(input, failback);
  const pendingSince = formatTime(sinceMs);
  const why = elected ? obstacle(input) : 'there is no master that could yield';
  if (elected && why === undefined) {
    const message = `${elected.node} is asked to yield term ${elected.term} to ${target}.`;
    const reason = 'SwitchoverRequested';
    return {
      failback: { ...handled(pair, failback, wallMs), pendingSince, yieldTerm: elected.term, reason },
      events: [{ type: 'Normal', reason, message }],
      wakeAtMs: nowMs + deadlineMs - wallMs,
    };
  }
  const message = `The switch to ${target} waits until it is a healthy Backup with a fresh sign of life: ${why}.`;
  return {
    failback: { ...failback, pendingSince, reason: 'WaitingForTarget' },
    events:
      failback.reason === 'WaitingForTarget' ? [] : [{ type: 'Normal', reason: 'WaitingForTarget', message }],
    wakeAtMs: nowMs + Math.min(WAIT_MS, deadlineMs - wallMs),
  };
};

/** A recorded order that nobody has carried out: at its deadline it is taken back. */
const recorded = (input: OrdersInput, failback: FailbackStatus): Orders => {
  const { pair, nowMs, wallMs } = input;
  const sinceMs = parseTimeMs(failback.pendingSince);
  const deadlineMs = deadlineOf(pair, Number.isNaN(sinceMs) ? wallMs : sinceMs);
  if (wallMs < deadlineMs) return { failback, events: [], wakeAtMs: nowMs + deadlineMs - wallMs };
  const { observedPreferredNode, lastHandledRequestedAt } = failback;
  return {
    ...expired(input, failback),
    failed: true,
    // What came after it is a wish of its own.
    failback: {
      ...(observedPreferredNode !== undefined && { observedPreferredNode }),
      ...(lastHandledRequestedAt !== undefined && { lastHandledRequestedAt }),
      reason: 'Expired',
    },
  };
};

/** While a pin is set nobody yields: whatever was ordered is consumed. */
const pinned = (input: OrdersInput, failback: FailbackStatus): Orders => {
  const { pair, wallMs } = input;
  const isOrdered = (failback.yieldTerm ?? 0) > 0 || wanted(pair, failback, wallMs).kind === 'Order';
  if (!isOrdered) return { failback: withoutPending(followRemoval(pair, failback)), events: [] };
  const message = `The switch to ${pair.spec.preferredNode ?? failback.observedPreferredNode} is not made, because spec.pinnedNode is ${pair.spec.pinnedNode}; the order is consumed.`;
  return consumed(input, failback, 'Pinned', message);
};

/** An order is taken no notice of: said of the edit that brought it, and not again after each later order. */
const ignored = ({ pair }: OrdersInput, failback: FailbackStatus): Orders => {
  const message =
    'spec.failback.requestedAt is ignored: it is older than the last order or than the HAPair, or spec.preferredNode is not set.';
  if (pair.metadata.generation === pair.status?.observedGeneration)
    return { failback: withoutPending(failback), events: [] };
  const known = failback.reason === 'OrderIgnored';
  return {
    failback: { ...withoutPending(failback), reason: 'OrderIgnored' },
    events: known ? [] : [{ type: 'Normal', reason: 'OrderIgnored', message }],
  };
};

/** No order by hand: the policy may make one. */
const byPolicy = (input: OrdersInput, failback: FailbackStatus, otherwise: Orders): Orders => {
  const { pair, elected, reports, life, nowMs, wallMs, memory } = input;
  const asked: AutomaticInput = { pair, elected, reports, life, nowMs, wallMs, memory };
  const decision = automatic(asked);
  if (decision.kind === 'None') return otherwise;
  const target = pair.spec.preferredNode;
  if (decision.kind === 'Wait') {
    const { reason } = decision;
    const pendingSince = failback.reason === reason ? failback.pendingSince : formatTime(wallMs);
    return {
      failback: { ...failback, ...(pendingSince !== undefined && { pendingSince }), reason },
      events: otherwise.events,
      wakeAtMs: Math.min(decision.wakeAtMs, otherwise.wakeAtMs ?? Number.POSITIVE_INFINITY),
    };
  }
  const message = `${target} has been healthy for ${decision.seconds} s: ${decision.master} is asked to yield term ${decision.term} to it.`;
  const reason = 'AutomaticFailback';
  return {
    failback: {
      ...handled(pair, failback, wallMs),
      pendingSince: formatTime(wallMs),
      yieldTerm: decision.term,
      reason,
    },
    events: [{ type: 'Normal', reason, message }],
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
  if (accepted && pair.spec.pinnedNode !== undefined) return pinned(input, stored);
  if ((stored.yieldTerm ?? 0) > 0) return recorded(input, stored);
  if (!accepted || pair.spec.paused) return { failback: stored, events: [] };

  const failback = followRemoval(pair, stored);
  const wish = wanted(pair, failback, wallMs);
  switch (wish.kind) {
    case 'Order':
      return begin(input, failback, wish.sinceMs);
    case 'Later': {
      const later = { failback: withoutPending(failback), events: [], wakeAtMs: nowMs + wish.inMs };
      return byPolicy(input, failback, later);
    }
    case 'Ignored':
      return byPolicy(input, failback, ignored(input, failback));
    case 'None':
      return byPolicy(input, failback, { failback: withoutPending(failback), events: [] });
  }
};
