/** Which call, or which reading, brings EC2 to the elected master ("Converging EC2" in the design). */

import type { Reason } from '../../crds/conditions.ts';
import type { PairNode } from '../../crds/types.ts';
import { reasonOf } from '../../ec2/errors.ts';
import type { EC2View } from '../../ec2/types.ts';
import {
  believe,
  followersOf,
  type Item,
  privateAddressOf,
  type Rightness,
  rightness,
  whereabouts,
} from './places.ts';
import type { Authority, PairMemory, PlannedCall } from './types.ts';

/** Two readings must agree at least this far apart before a repair: a single one may be stale or incomplete. */
export const AGREEMENT_MS = 2_000;
/** Delay between the first two identical repairs; doubles up to the bound. */
const REPEATED_REPAIR_MS = { first: 10_000, most: 300_000 };
/** Identical repairs further apart than this are not a series. */
const REPAIR_MEMORY_MS = 600_000;

/** What converge depends on. */
export type ConvergeInput = {
  nowMs: number;
  view: EC2View | undefined;
  items: readonly Item[];
  /** The elected master's node. */
  target: PairNode;
  authority: Authority;
  memory: PairMemory;
};

/** What to do about EC2, and what the condition AddressesConverged says meanwhile. */
export type Convergence = {
  memory: PairMemory;
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

type Finding = { item: Item; believed: Rightness; seen: Rightness };

/** A reading younger than this tells the truth about the present: after the report, and after the last answer. */
const knownSinceMs = ({ authority, memory }: ConvergeInput): number =>
  Math.max(authority.readAtMs, memory.answeredAtMs);

const isFresh = (input: ConvergeInput): boolean =>
  input.view !== undefined && input.view.readAtMs >= knownSinceMs(input) && !input.memory.call;

const compare = ({ view, items, target, memory }: ConvergeInput): Finding[] => {
  const belief =
    view &&
    believe(
      view,
      memory.landed.map(({ call }) => call),
    );
  return items.map((item) => ({
    item,
    believed: rightness(belief, item, target),
    seen: rightness(view, item, target),
  }));
};

const findingText = (view: EC2View | undefined, drift: readonly Finding[]): string =>
  drift.map(({ item }) => `${item.key} is ${whereabouts(view, item)}`).join(', ');

/** What the newest reading teaches: which items are settled, whether all is well, whether something drifts. */
const learn = (input: ConvergeInput): PairMemory => {
  const { view, authority, nowMs } = input;
  const { repairs, ...rest } = input.memory;
  const memory: PairMemory = {
    ...rest,
    landed: view ? rest.landed.filter(({ atMs }) => atMs > view.readAtMs) : rest.landed,
    ...(repairs && nowMs - repairs.lastAtMs < REPAIR_MEMORY_MS && { repairs }),
    converged: false,
  };
  if (!view || !isFresh(input)) return memory;

  const findings = compare({ ...input, memory });
  const right = findings.filter(({ seen }) => seen === 'Right').map(({ item }) => item.key);
  const drift = findings.filter(({ item, seen }) => seen === 'Wrong' && rest.settled.includes(item.key));
  const { suspicion, ...calm } = { ...memory, settled: [...new Set([...rest.settled, ...right])] };
  if (right.length === findings.length) {
    const { failure: _healed, ...well } = calm;
    const confirmed = { ...authority, confirmedAtMs: authority.confirmedAtMs ?? nowMs };
    return { ...well, authority: confirmed, converged: true };
  }
  if (drift.length === 0) return calm;
  const finding = findingText(view, drift);
  const readAtMs = suspicion?.finding === finding ? suspicion.readAtMs : view.readAtMs;
  return { ...calm, suspicion: { finding, readAtMs } };
};

const isConfirmed = ({ suspicion }: PairMemory, view: EC2View | undefined): boolean =>
  suspicion !== undefined && view !== undefined && view.readAtMs - suspicion.readAtMs >= AGREEMENT_MS;

/** The earliest time of the repair that is due: identical ones in a row come ever later. */
const repairAtMs = ({ suspicion, repairs }: PairMemory): number => {
  if (!suspicion || repairs?.finding !== suspicion.finding) return Number.NEGATIVE_INFINITY;
  const { first, most } = REPEATED_REPAIR_MS;
  return repairs.lastAtMs + Math.min(most, first * 2 ** Math.min(repairs.count - 1, 10));
};

const pick = <T>(list: readonly T[], turn: number): T | undefined => list[turn % Math.max(1, list.length)];

/** The one call that does most: all VIPs that are elsewhere, else one EIP. Absent: nothing that a call could help. */
const nextCall = (input: ConvergeInput, repairDue: boolean): PlannedCall | undefined => {
  const { memory, view, target, authority } = input;
  const wrong = compare(input).filter(
    ({ item, believed }) => believed === 'Wrong' && (repairDue || !memory.settled.includes(item.key)),
  );
  const repair = wrong.every(({ item }) => memory.settled.includes(item.key));
  const finding = memory.suspicion?.finding;
  const order = {
    node: target.name,
    term: authority.term,
    purpose: repair ? 'Repair' : 'Move',
    ...(repair && finding !== undefined && { finding }),
  } as const;
  const turn = memory.failure?.count ?? 0;
  const networkInterfaceID = target.networkInterfaceID;

  const vips = wrong.flatMap(({ item }) => (item.kind === 'VIP' ? [item.vip] : []));
  if (vips.length > 0) {
    const only = pick(vips, turn);
    const privateIPAddresses = memory.oneByOne && only !== undefined ? [only] : vips;
    return {
      ...order,
      call: { action: 'AssignPrivateIpAddresses', networkInterfaceID, privateIPAddresses },
      items: [...privateIPAddresses, ...followersOf(view, privateIPAddresses)],
    };
  }
  const ready = wrong.flatMap(({ item }) => {
    if (item.kind !== 'EIP') return [];
    const vip = item.vip;
    const vipIsThere =
      vip === undefined ||
      (isFresh(input) && rightness(view, { kind: 'VIP', key: vip, vip }, target) === 'Right');
    return vipIsThere ? [item] : [];
  });
  const item = pick(ready, turn);
  if (!item) return undefined;
  const privateIPAddress = privateAddressOf(item, target);
  const { allocationID } = item;
  return {
    ...order,
    call: { action: 'AssociateAddress', allocationID, networkInterfaceID, privateIPAddress },
    items: [item.key],
  };
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
  if (memory.suspicion) {
    const nowhere =
      memory.suspicion.finding.includes('no ENI') || memory.suspicion.finding.includes('nothing');
    const message = `${memory.suspicion.finding}; it belongs to ${target.name} and is put back once a second reading agrees.`;
    return { status: 'False', reason: nowhere ? 'AddressUnassigned' : 'AddressElsewhere', message };
  }
  if (memory.call || of('Wrong').length > 0 || (view !== undefined && memory.landed.length > 0)) {
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
  if (memory.call) return result;

  const { failure, suspicion } = memory;
  const confirmed = isFresh(learnt) && isConfirmed(memory, input.view);
  const dueAtMs = confirmed ? repairAtMs(memory) : Number.POSITIVE_INFINITY;
  const wakes = [
    ...(failure && failure.retryAtMs > input.nowMs ? [failure.retryAtMs] : []),
    ...(confirmed && dueAtMs > input.nowMs ? [dueAtMs] : []),
  ];
  const mustReadFirst = failure?.readFirst === true && !(input.view && input.view.readAtMs >= failure.atMs);
  const mayCall = input.view !== undefined && !mustReadFirst && (failure?.retryAtMs ?? 0) <= input.nowMs;
  const call = mayCall ? nextCall(learnt, confirmed && dueAtMs <= input.nowMs) : undefined;
  if (call) return { ...result, call };

  const reads = [
    ...(isFresh(learnt) ? [] : [knownSinceMs(learnt)]),
    ...(suspicion && !confirmed ? [suspicion.readAtMs + AGREEMENT_MS] : []),
  ];
  return {
    ...result,
    ...(reads.length > 0 && { readSinceMs: Math.max(...reads) }),
    ...(wakes.length > 0 && { wakeAtMs: Math.min(...wakes) }),
  };
};
