/** The one EC2 call of a pair that may be unanswered (S5): its beginning, its end, its Events, and when it is tried again. */
import { describeEC2Call } from '../../ec2/actions.ts';
import { asksForRead, isTransient, reasonOf } from '../../ec2/errors.ts';
import type { EC2ErrorClass, EC2Result } from '../../ec2/types.ts';
import type { Answer, CallFailure, CallsMemory, PlanEvent, PlannedCall } from './types.ts';

/** Delay after the first failure that time may heal, and its bound. */
const TRANSIENT_MS = { first: 200, most: 10_000 };
/** Delay after the first failure that needs a person, and its bound. */
const LASTING_MS = { first: 1_000, most: 30_000 };

/** A call is made as a whole or not at all; with these answers, some of its addresses could be moved without the others. */
const MAY_BE_ONE_OF_THEM: readonly EC2ErrorClass[] = ['Rejected', 'QuotaExceeded', 'AddressInUse'];

/** No call was begun yet. */
export const NO_CALLS: CallsMemory = { unanswered: undefined, deferredSinceMs: undefined, events: [] };

/** The call in words, as logs and Events name it. */
export const describeCall = ({ call, node }: PlannedCall): string => describeEC2Call(call, node);

/** Remembers a call that is begun. @throws Error when one is unanswered (S5) */
export const withBegun = (memory: CallsMemory, call: PlannedCall, nowMs: number): CallsMemory => {
  const { unanswered } = memory;
  if (unanswered) throw new Error(`S5 single step: ${describeCall(unanswered)} is not answered yet`);
  const begun = { ...memory, unanswered: { ...call, startedAtMs: nowMs }, deferredSinceMs: undefined };
  if (call.finding === undefined) return begun;
  const message = `Two readings of EC2 agree: ${call.finding}. It belongs to ${call.node}.`;
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
  return { ...memory, unanswered: undefined, events };
};

/** Remembers no Event that a plan has told, nor a wait for a turn once no call is wanted. */
export const withTold = (memory: CallsMemory, isCallWanted: boolean): CallsMemory => ({
  ...memory,
  deferredSinceMs: isCallWanted ? memory.deferredSinceMs : undefined,
  events: [],
});

const backoffMs = (transient: boolean, count: number, random: number): number => {
  const { first, most } = transient ? TRANSIENT_MS : LASTING_MS;
  return Math.min(most, first * 2 ** Math.min(count - 1, 10)) * (0.5 + random / 2);
};

/** A failed call of several VIPs is to be tried again at once, one VIP at a time. */
export const isToBeSplit = ({ call }: PlannedCall, errorClass: EC2ErrorClass): boolean =>
  call.action === 'AssignPrivateIpAddresses' &&
  call.privateIPAddresses.length > 1 &&
  MAY_BE_ONE_OF_THEM.includes(errorClass);

/** The streak of failures after one more; sets the time of the next attempt. */
export const failureAfter = (
  before: CallFailure | undefined,
  call: PlannedCall,
  { result, atMs, random }: Answer & { result: { ok: false } },
): CallFailure => {
  const count = (before?.count ?? 0) + 1;
  const { class: errorClass, code, message } = result;
  const splits = isToBeSplit(call, errorClass);
  return {
    count,
    class: errorClass,
    code,
    message,
    atMs,
    readFirst: asksForRead(result),
    retryAtMs: splits ? atMs : atMs + backoffMs(isTransient(errorClass), count, random),
  };
};
