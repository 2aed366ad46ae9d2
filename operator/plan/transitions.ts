/** Events for what the next status says differently from the stored one. */
import type { Reason } from '../../crds/conditions.ts';
import type { HAPairStatus } from '../../crds/types.ts';
import { switchReason } from './history.ts';
import type { Situation } from './situation.ts';
import type { PlanEvent } from './types.ts';

const isTold = (status: HAPairStatus | undefined, message: string): boolean =>
  (status?.conditions ?? []).some((condition) => condition.message === message);

/** One Event per transition, with the condition's own reason word. */
export const transitionEvents = (situation: Situation, next: HAPairStatus): PlanEvent[] => {
  const { input, elected, acceptance, pin, memory } = situation;
  const { status } = input.pair;
  const reason = switchReason(status, elected, pin);
  const from = status?.master === undefined ? '' : ` after ${status.master}`;
  const events: PlanEvent[] = [];
  if (reason && elected) {
    const message = `${elected.node} was elected master${from} in term ${elected.term}.`;
    events.push({ type: reason === 'Failover' ? 'Warning' : 'Normal', reason, message });
  }
  if (next.damping && !status?.damping) {
    const until = next.damping.holdUntil ?? 'a while';
    const message = `${next.holder} keeps the addresses until ${until} as long as it proves itself alive: the pair has switched ${next.damping.recentSwitches} times in a row.`;
    events.push({ type: 'Warning', reason: 'HeldDown', message });
  }
  const { conflict } = memory.instances;
  if (conflict !== undefined && !isTold(status, conflict))
    events.push({ type: 'Warning', reason: 'FieldConflict', message: conflict });
  for (const type of ['Accepted', 'SplitBrain', 'Ready', 'PreflightPassed', 'Paused', 'Pinned'] as const) {
    const before = status?.conditions?.find((condition) => condition.type === type);
    const after = next.conditions?.find((condition) => condition.type === type);
    if (!after || after.status === 'Unknown') continue;
    if (before?.status === after.status && before.reason === after.reason) continue;
    const isMode = type === 'Paused' || type === 'Pinned';
    const good = type === 'SplitBrain' ? 'False' : isMode ? after.status : 'True';
    const first =
      (before === undefined && (type === 'SplitBrain' || isMode)) ||
      (type === 'PreflightPassed' && before?.status !== 'False' && after.status === 'True');
    const isLoud = after.reason === 'PinnedNodeDead';
    const passing = type === 'Ready' && after.status === 'False' && acceptance.accepted && !isLoud;
    if (first || passing) continue;
    const warning = after.status !== good;
    events.push({
      type: warning ? 'Warning' : 'Normal',
      reason: after.reason as Reason,
      message: after.message,
    });
  }
  return events;
};
