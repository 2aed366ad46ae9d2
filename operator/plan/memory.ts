/** How what the operator remembers of a pair changes when it calls EC2 and when EC2 answers. */
import { asksForRead, isTransient, reasonOf } from '../../ec2/errors.ts';
import type { EC2ErrorClass, EC2Result } from '../../ec2/types.ts';
import type { Answer, Authority, CallFailure, PairMemory, PlanEvent, PlannedCall } from './types.ts';

/** Delay after the first failure that time may heal, and its bound. */
const TRANSIENT_MS = { first: 200, most: 10_000 };
/** Delay after the first failure that needs a person, and its bound. */
const LASTING_MS = { first: 1_000, most: 30_000 };

/** A call is made as a whole or not at all; with these answers, some of its addresses could be moved without the others. */
const MAY_BE_ONE_OF_THEM: readonly EC2ErrorClass[] = ['Rejected', 'QuotaExceeded', 'AddressInUse'];

/** The memory of a pair that this process has never seen. */
export const emptyMemory = (nowMs: number): PairMemory => ({
  firstSeenMs: nowMs,
  highestTerm: 0,
  answeredAtMs: Number.NEGATIVE_INFINITY,
  landed: [],
  settled: [],
  suspicions: {},
  oneByOne: false,
  converged: false,
  events: [],
});

/** Another node was elected: nothing that was settled or had failed under the last master counts any more. */
export const withAuthority = (
  memory: PairMemory,
  authority: Authority,
  settled: readonly string[],
): PairMemory => {
  const { failure: _failure, repairs: _repairs, probe: _probe, ...rest } = memory;
  return { ...rest, authority, settled, suspicions: {}, oneByOne: false, converged: false };
};

/** The call in words, as logs and Events name it. */
export const describeCall = ({ call, node }: PlannedCall): string => {
  const place = `${call.networkInterfaceID} (${node})`;
  switch (call.action) {
    case 'AssignPrivateIpAddresses':
      return `AssignPrivateIpAddresses of ${call.privateIPAddresses.join(', ')} to ${place}`;
    case 'AssociateAddress':
      return `AssociateAddress of ${call.allocationID} with ${call.privateIPAddress} on ${place}`;
    case 'UnassignPrivateIpAddresses':
      return `UnassignPrivateIpAddresses of ${call.privateIPAddresses.join(', ')} from ${place}`;
    case 'DisassociateAddress':
      return `DisassociateAddress of ${call.allocationID} from ${place}`;
  }
};

/** A call is begun. @throws when one is unanswered (S5). */
export const callStarted = (memory: PairMemory, call: PlannedCall, nowMs: number): PairMemory => {
  if (memory.call) throw new Error(`S5 single step: ${describeCall(memory.call)} is not answered yet`);
  const { budgetSinceMs: _waited, ...rest } = memory;
  const converged = memory.converged && call.purpose === 'Release';
  const begun = { ...rest, call: { ...call, startedAtMs: nowMs }, converged };
  if (call.finding === undefined) return begun;
  const suspicions = Object.fromEntries(
    Object.entries(memory.suspicions).filter(([key]) => !call.items.includes(key)),
  );
  const count = memory.repairs?.finding === call.finding ? memory.repairs.count + 1 : 1;
  const message = `Two readings of EC2 agree: ${call.finding}. It belongs to ${call.node}.`;
  return {
    ...begun,
    suspicions,
    repairs: { finding: call.finding, count, lastAtMs: nowMs },
    events: [...memory.events, { type: 'Warning', reason: 'DriftFound', message }],
  };
};

/** A wanted call must wait for its turn in the call budget. */
export const callDeferred = (memory: PairMemory, nowMs: number): PairMemory => ({
  ...memory,
  budgetSinceMs: memory.budgetSinceMs ?? nowMs,
});

const backoffMs = (transient: boolean, count: number, random: number): number => {
  const { first, most } = transient ? TRANSIENT_MS : LASTING_MS;
  return Math.min(most, first * 2 ** Math.min(count - 1, 10)) * (0.5 + random / 2);
};

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
 * The begun call is answered, or given up as unanswered. Settles what a call that worked has moved; otherwise sets the time
 * of the next attempt. A streak of equal failures makes one Event.
 */
export const callAnswered = (memory: PairMemory, { result, atMs, random }: Answer): PairMemory => {
  const { call, failure, releaseFailure, ...rest } = memory;
  if (!call) throw new Error('S5 single step: an answer arrived to a call that was never begun');
  const isRelease = call.purpose === 'Release';
  const current = isRelease || memory.authority?.node === call.node;
  const answered = asksForRead(result)
    ? isRelease
      ? { releaseAnsweredAtMs: atMs }
      : { answeredAtMs: atMs }
    : {};
  /** The streak that this answer neither ends nor prolongs. */
  const other = isRelease ? failure && { failure } : releaseFailure && { releaseFailure };
  if (result.ok && isRelease)
    return { ...rest, ...other, ...answered, events: [...memory.events, eventOf(call, result)] };
  if (result.ok) {
    const authority = memory.authority;
    return {
      ...rest,
      ...other,
      ...(authority && current
        ? { authority: { ...authority, answeredAtMs: authority.answeredAtMs ?? atMs } }
        : {}),
      ...answered,
      landed: [...memory.landed, { call: call.call, atMs }],
      settled: current ? [...new Set([...memory.settled, ...call.items])] : memory.settled,
      events: [...memory.events, eventOf(call, result)],
    };
  }
  const before = isRelease ? releaseFailure : failure;
  const events = before?.class === result.class ? memory.events : [...memory.events, eventOf(call, result)];
  if (!current) return { ...rest, ...other, ...answered, events };
  const count = (before?.count ?? 0) + 1;
  const several = call.call.action === 'AssignPrivateIpAddresses' && call.call.privateIPAddresses.length > 1;
  const splits = several && MAY_BE_ONE_OF_THEM.includes(result.class);
  const { class: errorClass, code, message } = result;
  const failed: CallFailure = {
    count,
    class: errorClass,
    code,
    message,
    atMs,
    readFirst: asksForRead(result),
    retryAtMs: splits ? atMs : atMs + backoffMs(isTransient(errorClass), count, random),
  };
  return {
    ...rest,
    ...other,
    ...answered,
    oneByOne: memory.oneByOne || splits,
    ...(isRelease ? { releaseFailure: failed } : { failure: failed }),
    events,
  };
};
