/** The one EC2 call of a pair that may be unanswered (S5): its beginning, its end, its Events. */

import type { CallFailure, Drift, PlannedCall } from '../../delivery/types.ts';
import { describeEC2Call } from '../../ec2/actions.ts';
import { reasonOf } from '../../ec2/errors.ts';
import type { EC2Result } from '../../ec2/types.ts';
import { withVerdict } from './refusals.ts';
import type { CallsMemory, PlanEvent } from './types.ts';

/** No call was begun yet. */
export const NO_CALLS: CallsMemory = {
  unanswered: undefined,
  deferredSinceMs: undefined,
  events: [],
  verdicts: {},
};

/** The call in words, as logs and Events name it. */
export const describeCall = ({ call, node }: PlannedCall): string => describeEC2Call(call, node);

/** As a pair's readers are told of an ENI that is not its own. */
export const FOREIGN_ENI = "a network interface that is none of this pair's";

/** Where items are that belong elsewhere, in words. */
export const driftText = (drift: readonly Drift[]): string =>
  drift
    .map(({ item: { key, movable }, where: { networkInterfaceID, privateIPAddress }, isForeign }) => {
      if (isForeign) return `${key} is on ${FOREIGN_ENI}`;
      if (networkInterfaceID === undefined) return `${key} is ${movable.nowhere}`;
      return `${key} is on ${networkInterfaceID}${privateIPAddress === undefined ? '' : ` (${privateIPAddress})`}`;
    })
    .join(', ');

/** Remembers a call that is begun. @throws Error when one is unanswered (S5) */
export const withBegun = (memory: CallsMemory, call: PlannedCall, nowMs: number): CallsMemory => {
  const { unanswered } = memory;
  if (unanswered) throw new Error(`S5 single step: ${describeCall(unanswered)} is not answered yet`);
  const begun = { ...memory, unanswered: { ...call, startedAtMs: nowMs }, deferredSinceMs: undefined };
  if (call.drift === undefined) return begun;
  const message = `Two readings of EC2 agree: ${driftText(call.drift)}. It belongs to ${call.node}.`;
  return { ...begun, events: [...memory.events, { type: 'Warning', reason: 'DriftFound', message }] };
};

/** Remembers that a wanted call must wait for its turn in the call budget. */
export const withDeferred = (memory: CallsMemory, nowMs: number): CallsMemory => ({
  ...memory,
  deferredSinceMs: memory.deferredSinceMs ?? nowMs,
});

const eventOf = (call: PlannedCall, result: EC2Result): PlanEvent => {
  if (!result.ok) {
    const message = `${describeCall(call)} failed: ${result.code}: ${result.message}. It is tried again.`;
    return { type: 'Warning', reason: reasonOf(result.class), message };
  }
  const text = describeCall(call);
  switch (call.purpose) {
    case 'Repair':
      return { type: 'Warning', reason: 'DriftRepaired', message: `${text} put back what had been moved.` };
    case 'Release':
      return { type: 'Normal', reason: 'AddressReleased', message: `${text} was accepted.` };
    case 'Place':
    case 'Move':
      return { type: 'Normal', reason: 'AddressesMoved', message: `${text} was accepted.` };
  }
};

/**
 * Remembers that the call is answered, or given up as unanswered. A streak of equal failures makes one Event.
 * @param before the streak that a failure of this call prolongs
 */
export const withAnswered = (
  memory: CallsMemory,
  call: PlannedCall,
  result: EC2Result,
  before: CallFailure | undefined,
): CallsMemory => {
  const isTold = !result.ok && before?.class === result.class;
  const events = isTold ? memory.events : [...memory.events, eventOf(call, result)];
  return {
    ...memory,
    unanswered: undefined,
    events,
    verdicts: withVerdict(memory.verdicts, call.call, result),
  };
};

/** Remembers no Event that a plan has told, nor a wait for a turn once no call is wanted. */
export const withTold = (memory: CallsMemory, isCallWanted: boolean): CallsMemory => ({
  ...memory,
  deferredSinceMs: isCallWanted ? memory.deferredSinceMs : undefined,
  events: [],
});
