/** Which call, or which reading, brings EC2 to the elected master (DESIGN.md, "Converging EC2"). */

import type { Reason } from '../../crds/conditions.ts';
import type { EC2Call } from '../../ec2/actions.ts';
import { reasonOf } from '../../ec2/errors.ts';
import {
  compare,
  type Finding,
  isFresh,
  isMoving,
  knownSinceMs,
  learn,
  type Observation,
} from './delivery.ts';
import { movedKeys, privateAddressOf, type Rightness, rightness } from './places.ts';
import type { DeliveryMemory, PlannedCall } from './types.ts';

/**
 * Two readings must agree before a repair, since a single one may be stale or incomplete: the second begins so long after the first
 * was taken. When it was begun says too little: EC2 may have been asked much later.
 */
export const AGREEMENT_MS = 2_000;
/** Delay between the first two identical repairs; doubles up to the bound. */
const REPEATED_REPAIR_MS = { first: 10_000, most: 300_000 };
/** A wait for the call budget that is longer than this is told. */
export const BUDGET_PATIENCE_MS = 2_000;

/** What converge depends on. */
export type ConvergeInput = Observation & {
  /** A wanted call waits for its turn in the call budget since then. */
  deferredSinceMs: number | undefined;
  /** The pair had no other master before: no failover waits for this. */
  isFirstMaster: boolean;
  /** VIPs that the target's agent says are not on its interface: EC2 must not deliver to a closed door (V5). */
  closed: readonly string[];
};

/** What to do about EC2, and what the condition AddressesConverged says meanwhile. */
export type Convergence = {
  memory: DeliveryMemory;
  call?: PlannedCall;
  /** Keys of the items that a fresh reading showed at the master's node. */
  right: readonly string[];
  /** A reading begun at this time or later is wanted; may lie in the future. */
  readSinceMs?: number;
  /** Look again at this time. */
  wakeAtMs?: number;
  status: 'True' | 'False' | 'Unknown';
  reason: Reason;
  message: string;
};

const findingText = (memory: DeliveryMemory, keys: readonly string[]): string =>
  keys
    .flatMap((key) => (memory.suspicions[key] ? [`${key} is ${memory.suspicions[key].where}`] : []))
    .join(', ');

/** Items of which two readings agree that they are not where they were. */
const confirmedDrift = (input: ConvergeInput): string[] =>
  Object.entries(input.memory.suspicions).flatMap(([key, { seenAtMs }]) =>
    isFresh(input) && (input.view?.readAtMs ?? 0) >= seenAtMs + AGREEMENT_MS ? [key] : [],
  );

/** The earliest time of a repair: identical ones in a row come ever later. */
const repairAtMs = ({ repairs }: DeliveryMemory, finding: string): number => {
  if (repairs?.finding !== finding) return Number.NEGATIVE_INFINITY;
  const { first, most } = REPEATED_REPAIR_MS;
  return repairs.lastAtMs + Math.min(most, first * 2 ** Math.min(repairs.count - 1, 10));
};

const pick = <T>(list: readonly T[], turn: number): T | undefined => list[turn % Math.max(1, list.length)];

/** The one call that does most: all VIPs that are elsewhere, else one EIP. Absent: nothing that a call could help. */
const nextCall = (input: ConvergeInput): PlannedCall | undefined => {
  const { memory, view, target, authority, closed } = input;
  const drift = confirmedDrift(input);
  const wrong = compare(input).filter(
    ({ item: { key }, believed }) =>
      believed === 'Wrong' && !closed.includes(key) && (drift.includes(key) || !memory.settled.includes(key)),
  );
  const planned = (call: EC2Call, items: readonly string[]): PlannedCall => {
    const finding = findingText(memory, items);
    const order = { call, items, node: target.name, term: authority.term };
    if (finding !== '') return { ...order, purpose: 'Repair', finding };
    return { ...order, purpose: input.isFirstMaster ? 'Place' : 'Move' };
  };
  const failures = memory.failure?.count ?? 0;
  const networkInterfaceID = target.networkInterfaceID;

  const vips = wrong.flatMap(({ item }) => (item.kind === 'VIP' ? [item.vip] : []));
  if (vips.length > 0) {
    // The failure that parted them is not one of any single address: the turn begins with the first in spec.
    const only = pick(vips, Math.max(0, failures - 1));
    const privateIPAddresses = memory.oneByOne && only !== undefined ? [only] : vips;
    return planned(
      { action: 'AssignPrivateIpAddresses', networkInterfaceID, privateIPAddresses },
      movedKeys(view, privateIPAddresses),
    );
  }
  const isThere = (vip: string): boolean =>
    isFresh(input) && rightness(view, { kind: 'VIP', key: vip, vip }, target) === 'Right';
  const ready = wrong.flatMap(({ item }) =>
    item.kind === 'EIP' && (item.vip === undefined || isThere(item.vip)) ? [item] : [],
  );
  const item = pick(ready, failures);
  if (!item) return undefined;
  const privateIPAddress = privateAddressOf(item, target);
  const { allocationID } = item;
  return planned({ action: 'AssociateAddress', allocationID, networkInterfaceID, privateIPAddress }, [
    item.key,
  ]);
};

type Verdict = Pick<Convergence, 'status' | 'reason' | 'message'>;

const verdict = (input: ConvergeInput): Verdict => {
  const { memory, view, target } = input;
  const findings = compare(input);
  const keys = (list: readonly Finding[]): string => list.map(({ item }) => item.key).join(', ');
  if (memory.converged) {
    return {
      status: 'True',
      reason: 'Converged',
      message: `EC2 delivers ${keys(findings)} to ${target.name}.`,
    };
  }
  if (memory.failure) {
    const { code, message, class: errorClass } = memory.failure;
    const text = `Moving addresses to ${target.name} fails: ${code}: ${message}. It is tried again.`;
    return { status: 'False', reason: reasonOf(errorClass), message: text };
  }
  const of = (kind: Rightness): Finding[] => findings.filter(({ believed }) => believed === kind);
  if (of('TargetMissing').length > 0) {
    const message = `EC2 does not know ${target.networkInterfaceID} of ${target.name}: correct spec.nodes.`;
    return { status: 'False', reason: 'EC2TargetMissing', message };
  }
  if (of('AllocationMissing').length > 0) {
    const message = `EC2 does not know ${keys(of('AllocationMissing'))}: correct spec.addresses.`;
    return { status: 'False', reason: 'EC2AllocationMissing', message };
  }
  const drift = findingText(memory, Object.keys(memory.suspicions));
  if (drift !== '') {
    const isNowhere = /on no ENI|associated with nothing/.test(drift);
    const message = `${drift}; it belongs to ${target.name} and is put back once a second reading agrees.`;
    return { status: 'False', reason: isNowhere ? 'AddressUnassigned' : 'AddressElsewhere', message };
  }
  const shut = keys(of('Wrong').filter(({ item }) => input.closed.includes(item.key)));
  if (shut !== '' && !isMoving(input)) {
    const message = `${shut} waits until the agent on ${target.name} has put it up: see the conditions of that VRRPInstance.`;
    return { status: 'False', reason: 'WaitingForAgent', message };
  }
  if (input.deferredSinceMs !== undefined && input.nowMs >= input.deferredSinceMs + BUDGET_PATIENCE_MS) {
    const message = `Moving addresses to ${target.name} waits for its turn: the account's EC2 call budget is spent.`;
    return { status: 'False', reason: 'WaitingForBudget', message };
  }
  if (isMoving(input) || of('Wrong').length > 0 || (view !== undefined && memory.landed.length > 0)) {
    return { status: 'False', reason: 'Moving', message: `Addresses are being moved to ${target.name}.` };
  }
  const message = `EC2 has not been read since ${target.name} was elected.`;
  return { status: 'Unknown', reason: 'WaitingForRead', message };
};

/**
 * Compares EC2 with the elected master. An item that was never right under this master justifies a call by the cached view
 * alone; one that was is drift and takes two agreeing readings. That all is right is believed only of a reading begun after
 * the report and after the last answer.
 */
export const converge = (input: ConvergeInput): Convergence => {
  const memory = learn(input);
  const learnt = { ...input, memory };
  const right = isFresh(learnt) ? compare(learnt).filter(({ seen }) => seen === 'Right') : [];
  const result = { memory, right: right.map(({ item }) => item.key), ...verdict(learnt) };
  if (input.unanswered) return result;

  const { failure } = memory;
  const mustReadFirst = failure?.readFirst === true && !(input.view && input.view.readAtMs >= failure.atMs);
  const call = input.view && !mustReadFirst ? nextCall(learnt) : undefined;
  const dueAtMs = Math.max(
    failure?.retryAtMs ?? Number.NEGATIVE_INFINITY,
    call?.finding === undefined ? Number.NEGATIVE_INFINITY : repairAtMs(memory, call.finding),
  );
  if (call && dueAtMs <= input.nowMs) return { ...result, call };

  const doubts = Object.values(memory.suspicions).map(({ seenAtMs }) => seenAtMs + AGREEMENT_MS);
  const agreed = input.view?.readAtMs ?? Number.NEGATIVE_INFINITY;
  const reads = [
    ...(isFresh(learnt) ? [] : [knownSinceMs(learnt)]),
    ...doubts.filter((sinceMs) => sinceMs > agreed),
  ];
  return {
    ...result,
    ...(reads.length > 0 && { readSinceMs: Math.max(...reads) }),
    ...(dueAtMs > input.nowMs && { wakeAtMs: dueAtMs }),
  };
};
