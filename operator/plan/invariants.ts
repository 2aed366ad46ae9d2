/** The rules that a plan must not break, checked on every plan in production: a broken one names itself and writes nothing. */

import { itemsOf, ownedItems } from '../../delivery/items.ts';
import type { Item } from '../../delivery/movable.ts';
import type { PlannedCall } from '../../delivery/types.ts';
import { type EC2Call, idsOf } from '../../ec2/actions.ts';
import { describeCall } from './calls.ts';
import type { Report } from './elect.ts';
import { releasable, standingOf } from './ownership.ts';
import { conditionOf } from './problem.ts';
import { NO_WISH, type Plan, type PlanInput } from './types.ts';

/**
 * True if everything that the call touches is recorded in the stored status, together with the ENI it goes to, and, of what the pair
 * does not have yet, that it is placed there. Only then may it be begun: a later operator must be able to find all that was
 * ever moved, and to tell it from what others have put there.
 */
export const isRecorded = ({ pair, ec2 }: PlanInput, { call, purpose }: PlannedCall): boolean => {
  const { networkInterfaceID } = call;
  const recorded = pair.status?.addresses ?? [];
  const owned = purpose === 'Release' ? releasable(recorded) : ownedItems(recorded);
  const isPlacedHere = (id: string): boolean =>
    recorded.some(
      (address) =>
        address.placing === networkInterfaceID && itemsOf([address]).some((item) => item.id === id),
    );
  const mayTake = (item: Item): boolean => {
    const standing = standingOf(pair, NO_WISH, ec2.view, item);
    return standing === 'Free' ? isPlacedHere(item.id) : standing === 'Ours' || standing === 'Taken';
  };
  return idsOf(call).every((id) =>
    owned.some(
      ({ item, networkInterfaceIDs }) =>
        item.id === id && networkInterfaceIDs.includes(networkInterfaceID) && mayTake(item),
    ),
  );
};

const must = (holds: boolean, invariant: string, what: string): void => {
  if (!holds)
    throw new Error(`${invariant}: ${what}. Nothing was done; this is a fault of hapair, please report it.`);
};

/** S1: a Master report of the highest term, a pin, or the release of what is no longer wanted stands behind the call. */
const assertAuthority = (
  input: PlanInput,
  { memory }: Plan,
  call: PlannedCall,
  elected: Report | undefined,
  pin: string | undefined,
): void => {
  const text = describeCall(call);
  if (call.purpose === 'Release') {
    const dropped = isDropped(input, call.call);
    must(dropped, 'S1 authority', `${text} although it is in spec and the pair is not being deleted`);
    return;
  }
  if (call.node === pin) return;
  const term = elected?.term ?? 0;
  must(elected?.node === call.node, 'S1 authority', `${text} without its Master's report`);
  must(
    term >= memory.authority.highestTerm,
    'S1 authority',
    `${text} on a term below ${memory.authority.highestTerm}`,
  );
  must(term >= (input.pair.status?.term ?? 0), 'S1 authority', `${text} below status.term`);
};

const isDropped = ({ pair, claimedElsewhere }: PlanInput, call: EC2Call): boolean =>
  idsOf(call).every((id) => !claimedElsewhere.includes(id)) &&
  (pair.metadata.deletionTimestamp !== undefined ||
    itemsOf(pair.spec.addresses).every(({ id }) => !idsOf(call).includes(id)));

/**
 * Checks S1, S2, S5, S7 and S9 on a finished plan.
 * @throws an error that begins with the invariant's name.
 */
export const assertPlan = (
  input: PlanInput,
  plan: Plan,
  elected: Report | undefined,
  pin: string | undefined,
): Plan => {
  const { call, status } = plan;
  if (call) {
    const text = describeCall(call);
    assertAuthority(input, plan, call, elected, pin);
    must(isRecorded(input, call), 'S2 blast radius', `${text} is not recorded in status.addresses`);
    must(
      input.memory.calls.unanswered === undefined,
      'S5 single step',
      `${text} while another call is unanswered`,
    );
    must(!input.pair.spec.paused, 'S1 authority', `${text} although spec.paused is set`);
  }
  const ready = conditionOf(status, 'Ready')?.status === 'True';
  const wasReady = conditionOf(input.pair.status, 'Ready')?.status === 'True';
  must(!ready || plan.memory.delivery.converged || wasReady, 'S7 truth', 'Ready although EC2 was not read');
  const before = input.pair.status?.failback?.yieldTerm ?? 0;
  for (const { spec } of plan.instances) {
    must(
      spec.yieldTerm === 0 || spec.yieldTerm === before,
      'S9 orders',
      `yieldTerm ${spec.yieldTerm} was not recorded first`,
    );
  }
  return plan;
};
