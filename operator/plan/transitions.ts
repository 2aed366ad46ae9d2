/** Events for what the next status says differently from the stored one. */
import type { Reason } from '../../crds/conditions.ts';
import type { Condition, HAPairStatus } from '../../crds/types.ts';
import { parseTimeMs } from '../../runtime/time.ts';
import { switchReason } from './history.ts';
import { conditionOf, isGood } from './problem.ts';
import type { Situation } from './situation.ts';
import type { PlanEvent } from './types.ts';

const isTold = (status: HAPairStatus | undefined, message: string): boolean =>
  (status?.conditions ?? []).some((condition) => condition.message === message);

/** Conditions of which every change of reason is told, with the reason's own word; the last two are modes, which are never bad. */
const TOLD = ['Accepted', 'SplitBrain', 'PreflightPassed', 'Paused', 'Pinned'] as const;

/** What is lost and comes back: told once each. */
const SERVICE = ['Ready', 'Redundant'] as const;

/** Not good, but on its way, not known yet, or told by an Event of its own: whoever stays so is told of by the reason that follows. */
const PASSING: readonly string[] = [
  'Moving',
  'StandbyUnheard',
  'HeldDown',
  'WaitingForRead',
  'Unobserved',
  'NotAccepted',
  'Deleting',
] satisfies Reason[];

/** Told even if Ready was lost before, for another reason. */
const LOUD: readonly string[] = ['PinnedNodeDead'] satisfies Reason[];

/** `85 s`, `12 min`, `3 h`. */
const spanText = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
};

const eventOf = (
  { reason, message }: Pick<Condition, 'reason' | 'message'>,
  type: PlanEvent['type'],
): PlanEvent => ({ type, reason: reason as Reason, message });

const isLost = (condition: Condition | undefined): boolean =>
  condition !== undefined && condition.status !== 'True' && !PASSING.includes(condition.reason);

/** One Warning when Ready or Redundant is lost, one Normal when it is back, with how long it was away. */
const serviceEvents = (
  before: Condition | undefined,
  after: Condition | undefined,
  wallMs: number,
): PlanEvent[] => {
  if (!after) return [];
  if (after.status === 'True') {
    if (before === undefined || before.status === 'True') return [];
    const span = spanText(wallMs - parseTimeMs(before.lastTransitionTime));
    const message = `${after.message} Before, ${after.type} was ${before.status} for ${span}, at last ${before.reason}.`;
    return [eventOf({ ...after, message }, 'Normal')];
  }
  if (before === undefined || !isLost(after)) return [];
  const isNews = !isLost(before) || (LOUD.includes(after.reason) && before.reason !== after.reason);
  return isNews ? [eventOf(after, 'Warning')] : [];
};

const toldEvents = (
  type: (typeof TOLD)[number],
  before: Condition | undefined,
  after: Condition | undefined,
): PlanEvent[] => {
  if (!after || after.status === 'Unknown') return [];
  if (before?.status === after.status && before.reason === after.reason) return [];
  const isMode = type === 'Paused' || type === 'Pinned';
  const isFirst =
    (before === undefined && (type === 'SplitBrain' || isMode)) ||
    (type === 'PreflightPassed' && before?.status !== 'False' && after.status === 'True');
  return isFirst ? [] : [eventOf(after, isMode || isGood(after) ? 'Normal' : 'Warning')];
};

/** Why a master was elected that somebody asked for has told its word already, in an Event of the order or the pin. */
const electionEvent = ({ input, elected, pin }: Situation): PlanEvent[] => {
  const { status } = input.pair;
  const reason = switchReason(status, elected, pin);
  if (!reason || !elected) return [];
  const from = status?.master === undefined ? '' : ` after ${status.master}`;
  const isWanted = reason !== 'Failover' && reason !== 'FirstElection';
  const message = `${elected.node} was elected master${from} in term ${elected.term}${isWanted ? `, as wanted (${reason})` : ''}.`;
  return [
    { type: reason === 'Failover' ? 'Warning' : 'Normal', reason: isWanted ? 'Elected' : reason, message },
  ];
};

/** One cause may change several conditions in one step: the first of a reason tells it. */
const onePerReason = (events: readonly PlanEvent[]): PlanEvent[] =>
  events.filter(({ reason }, index) => events.findIndex((other) => other.reason === reason) === index);

/** One Event per transition, with the condition's own reason word. */
export const transitionEvents = (situation: Situation, next: HAPairStatus): PlanEvent[] => {
  const { input, memory } = situation;
  const { status } = input.pair;
  const events = electionEvent(situation);
  if (next.damping && !status?.damping) {
    const until = next.damping.holdUntil ?? 'a while';
    const message = `${next.holder} keeps the addresses until ${until} as long as it proves itself alive: the pair has switched ${next.damping.recentSwitches} times in a row.`;
    events.push({ type: 'Warning', reason: 'HeldDown', message });
  }
  const { conflict } = memory.instances;
  if (conflict !== undefined && !isTold(status, conflict))
    events.push({ type: 'Warning', reason: 'FieldConflict', message: conflict });
  return onePerReason([
    ...events,
    ...TOLD.flatMap((type) => toldEvents(type, conditionOf(status, type), conditionOf(next, type))),
    ...SERVICE.flatMap((type) =>
      serviceEvents(conditionOf(status, type), conditionOf(next, type), input.wallMs),
    ),
  ]);
};
