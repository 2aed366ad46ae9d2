/** What is wrong with a pair, in the order in which a person should read it. */
import { GOOD_STATUS, type HAPairConditionType } from '../../crds/conditions.ts';
import type { Condition, HAPairStatus } from '../../crds/types.ts';

/** A condition as it is stored. */
export const conditionOf = (
  status: HAPairStatus | undefined,
  type: HAPairConditionType,
): Condition | undefined => status?.conditions?.find((condition) => condition.type === type);

/** A condition that leaves nothing to mend, or that only informs. */
export const isGood = ({ type, status }: Pick<Condition, 'type' | 'status'>): boolean => {
  const good = GOOD_STATUS[type as HAPairConditionType];
  return good === undefined || status === good;
};

/** Conditions that are not good come first; otherwise the order stays, so that equal facts give an equal list (S6). */
export const badFirst = (conditions: readonly Condition[]): Condition[] => [
  ...conditions.filter((condition) => !isGood(condition)),
  ...conditions.filter(isGood),
];

/** Reasons that say no more than that another condition has the cause. */
const CAUSE_STANDS_IN: Partial<Record<string, HAPairConditionType>> = {
  NotConverged: 'AddressesConverged',
  NotAccepted: 'Accepted',
};

/** The first thing wrong: `status.reason` and `status.message`; empty: nothing is. */
export const problemOf = (conditions: readonly Condition[]): { reason?: string; message?: string } => {
  const first = conditions.find((condition) => !isGood(condition));
  if (!first) return {};
  const cause = conditions.find(({ type }) => type === CAUSE_STANDS_IN[first.reason]);
  const { reason, message } = cause && !isGood(cause) ? cause : first;
  return { reason, message };
};
