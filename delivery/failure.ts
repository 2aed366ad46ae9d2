/** When a failed EC2 call is tried again, and how. */
import { asksForRead, isTransient } from '../ec2/errors.ts';
import type { EC2ErrorClass } from '../ec2/types.ts';
import type { Answer, CallFailure, PlannedCall } from './types.ts';

/** Delay after the first failure that time may heal, and its bound. */
const TRANSIENT_MS = { first: 200, most: 10_000 };
/** Delay after the first failure that needs a person, and its bound. */
const LASTING_MS = { first: 1_000, most: 30_000 };

/** A call is made as a whole or not at all; with these answers, some of its addresses could be moved without the others. */
const MAY_BE_ONE_OF_THEM: readonly EC2ErrorClass[] = ['Rejected', 'QuotaExceeded', 'AddressInUse'];

/** So many failures in a row that time may heal, and something else of the pair is tried: it may be this item's after all. */
const PATIENCE = 4;

const backoffMs = (transient: boolean, count: number, random: number): number => {
  const { first, most } = transient ? TRANSIENT_MS : LASTING_MS;
  return Math.min(most, first * 2 ** Math.min(count - 1, 10)) * (0.5 + random / 2);
};

/** A failed call of several items is to be tried again at once, one item at a time. */
export const isToBeSplit = ({ isBatch }: PlannedCall, errorClass: EC2ErrorClass): boolean =>
  isBatch && MAY_BE_ONE_OF_THEM.includes(errorClass);

/** The streak of failures after one more; sets the time of the next attempt. */
export const failureAfter = (
  before: CallFailure | undefined,
  call: PlannedCall,
  { result, atMs, random }: Answer & { result: { ok: false } },
): CallFailure => {
  const count = (before?.count ?? 0) + 1;
  const { class: errorClass, code, message } = result;
  const splits = isToBeSplit(call, errorClass);
  const transient = isTransient(errorClass);
  const givesTurnAway = transient ? count % PATIENCE === 0 : !splits;
  return {
    count,
    turn: (before?.turn ?? 0) + (givesTurnAway ? 1 : 0),
    class: errorClass,
    code,
    message,
    atMs,
    readFirst: asksForRead(result),
    retryAtMs: splits ? atMs : atMs + backoffMs(transient, count, random),
  };
};
