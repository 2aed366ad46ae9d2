/** The words of the condition AddressesConverged: how EC2 compares with the elected master. */
import type { Convergence, DeliveryState } from '../../delivery/converge.ts';
import type { Item } from '../../delivery/movable.ts';
import { reasonOf } from '../../ec2/errors.ts';
import { driftText, FOREIGN_ENI } from './calls.ts';
import type { Fact } from './types.ts';

/** A wait for the call budget that is longer than this is told. */
export const BUDGET_PATIENCE_MS = 2_000;

/** What to do about EC2, and what the condition says meanwhile. */
export type ToldConvergence = Omit<Convergence, 'state'> & Fact;

const keysOf = (items: readonly Item[]): string => items.map(({ key }) => key).join(', ');

const no = (reason: Fact['reason'], message: string): Fact => ({ status: 'False', reason, message });

/**
 * The state in words.
 * @param target the elected master's node
 * @param isDeferred a wanted call has waited for its turn in the call budget for long
 */
export const deliveryFact = (
  state: DeliveryState,
  target: { name: string; networkInterfaceID: string },
  isDeferred: boolean,
): Fact => {
  const { name, networkInterfaceID } = target;
  switch (state.is) {
    case 'Converged':
      return {
        status: 'True',
        reason: 'Converged',
        message: `EC2 delivers ${keysOf(state.items)} to ${name}.`,
      };
    case 'Failing': {
      const { code, message, class: errorClass } = state.failure;
      return no(
        reasonOf(errorClass),
        `Moving addresses to ${name} fails: ${code}: ${message}. It is tried again.`,
      );
    }
    case 'TargetMissing':
      return no(
        'EC2TargetMissing',
        `EC2 does not know ${networkInterfaceID} of ${name}: correct spec.nodes.`,
      );
    case 'Missing':
      return no('EC2AllocationMissing', `EC2 does not know ${keysOf(state.items)}: correct spec.addresses.`);
    case 'Barred':
      return no(
        'NotPermitted',
        `${keysOf(state.items)} is not brought to ${name}: what has it, or would lose its place to it, lacks the tag of what the operator may touch.`,
      );
    case 'HeldElsewhere':
      return no(
        'AddressHeldElsewhere',
        `${keysOf(state.items)} is held by ${FOREIGN_ENI}: it is placed once it is free.`,
      );
    case 'Drifted': {
      const isNowhere = state.drift.some(({ where }) => where.networkInterfaceID === undefined);
      return no(
        isNowhere ? 'AddressUnassigned' : 'AddressElsewhere',
        `${driftText(state.drift)}; it belongs to ${name} and is put back once a second reading agrees.`,
      );
    }
    case 'DoorClosed':
      return no(
        'WaitingForAgent',
        `${keysOf(state.items)} waits until the agent on ${name} has put it up: see the conditions of that VRRPInstance.`,
      );
    case 'Moving':
    case 'Unread':
      if (isDeferred)
        return no(
          'WaitingForBudget',
          `Moving addresses to ${name} waits for its turn: the account's EC2 call budget is spent.`,
        );
      if (state.is === 'Moving') return no('Moving', `Addresses are being moved to ${name}.`);
      return {
        status: 'Unknown',
        reason: 'WaitingForRead',
        message: `EC2 has not been read since ${name} was elected.`,
      };
  }
};
