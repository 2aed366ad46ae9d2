/** Which call, or which reading, brings EC2 to the node whose word counts (DESIGN.md, "Converging EC2"). */
import { rightness } from './items.ts';
import {
  compare,
  type Finding,
  isFresh,
  isMoving,
  knownSinceMs,
  learn,
  type Observation,
  repairsOf,
} from './memory.ts';
import type { Item, Rightness } from './movable.ts';
import type { CallFailure, DeliveryMemory, Drift, PlannedCall, Standing } from './types.ts';

/**
 * Two readings must agree before a repair, since a single one may be stale or incomplete: the second begins so long after the first
 * was taken. When it was begun says too little: EC2 may have been asked much later.
 */
export const AGREEMENT_MS = 2_000;
/** Delay between the first two identical repairs; doubles up to the bound. */
const REPEATED_REPAIR_MS = { first: 10_000, most: 300_000 };
/** What converge depends on. */
type ConvergeInput = Observation & {
  /** The pair had no other master before: no failover waits for this. */
  isFirstMaster: boolean;
  /** Keys of items that the target's agent says are not on its interface: EC2 must not deliver to a closed door (V5). */
  closed: readonly string[];
};

/**
 * How EC2 compares. `Failing`: the last call failed. `TargetMissing`, `Missing`: EC2 does not know the target's ENI, or items.
 * `Barred`: items would be taken from, or displace, what may not be touched. `HeldElsewhere`: a foreign ENI has items that were never placed. `Drifted`: seen once. `DoorClosed`: items wait until the
 * target's agent has put them up.
 */
export type DeliveryState =
  | { is: 'Converged' | 'Missing' | 'Barred' | 'HeldElsewhere' | 'DoorClosed'; items: readonly Item[] }
  | { is: 'Failing'; failure: CallFailure }
  | { is: 'Drifted'; drift: readonly Drift[] }
  | { is: 'TargetMissing' | 'Moving' | 'Unread' };

/** What to do about EC2, and how it compares meanwhile. */
export type Convergence = {
  memory: DeliveryMemory;
  call?: PlannedCall;
  /** Keys of the items that a fresh reading showed at the target. */
  right: readonly string[];
  /** Keys of the items that two readings agree are taken from the pair. */
  taken: readonly string[];
  /** A reading begun at this time or later is wanted; may lie in the future. */
  readSinceMs?: number;
  /** Look again at this time. */
  wakeAtMs?: number;
  state: DeliveryState;
};

const driftOf = ({ suspicions }: DeliveryMemory, keys: readonly string[]): Drift[] =>
  keys.flatMap((key) => suspicions[key] ?? []);

/** The earliest time of a repair: identical ones in a row come ever later. */
const repairAtMs = (memory: DeliveryMemory, drift: Drift): number => {
  const repairs = repairsOf(memory, drift);
  if (!repairs) return Number.NEGATIVE_INFINITY;
  const { first, most } = REPEATED_REPAIR_MS;
  return repairs.lastAtMs + Math.min(most, first * 2 ** Math.min(repairs.count - 1, 10));
};

/** What no call touches, whatever a reading shows. */
const NEVER_TAKEN: readonly Standing[] = ['Held', 'Unread', 'Barred'];

/** Items of which two readings agree that they are not where they were. */
const confirmedDrift = (input: ConvergeInput): [string, Drift][] =>
  Object.entries(input.memory.suspicions).filter(
    ([, { seenAtMs }]) => isFresh(input) && (input.view?.readAtMs ?? 0) >= seenAtMs + AGREEMENT_MS,
  );

/**
 * Items that a call may bring now: nothing is believed right, nobody else holds it, drift is confirmed, the door is open, what
 * carries it is there.
 */
const readyItems = (input: ConvergeInput): Item[] => {
  const { memory, view, target, closed, items, standings, nowMs } = input;
  const drift = confirmedDrift(input)
    .filter(([, each]) => repairAtMs(memory, each) <= nowMs)
    .map(([key]) => key);
  const mayTake = (key: string): boolean => {
    const standing = standings[key] ?? 'Ours';
    if (NEVER_TAKEN.includes(standing) || (standing === 'Free' && !isFresh(input))) return false;
    return drift.includes(key) || (standing !== 'Taken' && !memory.settled.includes(key));
  };
  const isThere = (key: string): boolean =>
    isFresh(input) && items.some((item) => item.key === key && rightness(view, item, target) === 'Right');
  return compare(input).flatMap(({ item, believed }) => {
    const { key, on } = item;
    const isWanted = believed === 'Wrong' && mayTake(key);
    return isWanted && !closed.includes(key) && (on === undefined || isThere(on)) ? [item] : [];
  });
};

/** What each call can bring: all of a kind, unless each needs one of its own. */
const inCalls = (ready: readonly Item[], oneByOne: boolean): Item[][] =>
  [...Map.groupBy(ready, ({ movable }) => movable)].flatMap(([{ isBatched }, alike]) =>
    isBatched && !oneByOne ? [alike] : alike.map((item) => [item]),
  );

/** The one call that does most; what always fails holds up nothing else. */
const nextCall = (input: ConvergeInput): PlannedCall | undefined => {
  const { memory, view, target, authority } = input;
  const { oneByOne, failure } = memory;
  const choices = inCalls(readyItems(input), oneByOne);
  const moved = choices[(failure?.turn ?? 0) % choices.length] ?? [];
  const [first] = moved;
  if (!first || !view) return undefined;
  const { movable } = first;
  const items = [...moved.map(({ key }) => key), ...movable.followersOf(view, moved)];
  const drift = driftOf(memory, items);
  return {
    call: movable.bring(moved, target),
    movable,
    node: target.name,
    term: authority.term,
    items,
    isBatch: moved.length > 1,
    ...(drift.length > 0
      ? { purpose: 'Repair', drift }
      : { purpose: input.isFirstMaster ? 'Place' : 'Move' }),
  };
};

const stateOf = (input: ConvergeInput): DeliveryState => {
  const { memory, view } = input;
  const findings = compare(input);
  const itemsOf = (list: readonly Finding[]): Item[] => list.map(({ item }) => item);
  if (memory.converged) return { is: 'Converged', items: itemsOf(findings) };
  if (memory.failure) return { is: 'Failing', failure: memory.failure };
  const of = (kind: Rightness): Finding[] => findings.filter(({ believed }) => believed === kind);
  if (of('TargetMissing').length > 0) return { is: 'TargetMissing' };
  if (of('Missing').length > 0) return { is: 'Missing', items: itemsOf(of('Missing')) };
  const barred = of('Wrong').filter(({ item }) => input.standings[item.key] === 'Barred');
  if (barred.length > 0 && !isMoving(input)) return { is: 'Barred', items: itemsOf(barred) };
  const held = of('Wrong').filter(({ item }) => input.standings[item.key] === 'Held');
  if (held.length > 0 && !isMoving(input)) return { is: 'HeldElsewhere', items: itemsOf(held) };
  const drift = Object.values(memory.suspicions);
  if (drift.length > 0) return { is: 'Drifted', drift };
  const shut = of('Wrong').filter(({ item }) => input.closed.includes(item.key));
  if (shut.length > 0 && !isMoving(input)) return { is: 'DoorClosed', items: itemsOf(shut) };
  const isUnderWay = isMoving(input) || of('Wrong').length > 0;
  return { is: isUnderWay || (view !== undefined && memory.landed.length > 0) ? 'Moving' : 'Unread' };
};

/**
 * Compares EC2 with the elected master. An item that was never right under this master justifies a call by the cached view
 * alone; one that was, or that a foreign ENI has taken, is drift and takes two agreeing readings; one that the pair never had
 * is placed after a reading that shows it free. That all is right is believed only of a reading begun after
 * the report and after the last answer.
 */
export const converge = (input: ConvergeInput): Convergence => {
  const memory = learn(input);
  const learnt = { ...input, memory };
  const right = isFresh(learnt) ? compare(learnt).filter(({ seen }) => seen === 'Right') : [];
  const taken = confirmedDrift(learnt).flatMap(([key]) => (input.standings[key] === 'Taken' ? [key] : []));
  const result = { memory, right: right.map(({ item }) => item.key), taken, state: stateOf(learnt) };
  if (input.unanswered) return result;

  const { failure } = memory;
  const mustReadFirst = failure?.readFirst === true && !(input.view && input.view.readAtMs >= failure.atMs);
  const call = input.view && !mustReadFirst ? nextCall(learnt) : undefined;
  const retryAtMs = failure?.retryAtMs ?? Number.NEGATIVE_INFINITY;
  if (call && retryAtMs <= input.nowMs) return { ...result, call };

  const suspicions = Object.values(memory.suspicions);
  const doubts = suspicions.map(({ seenAtMs }) => seenAtMs + AGREEMENT_MS);
  const agreed = input.view?.readAtMs ?? Number.NEGATIVE_INFINITY;
  const reads = [
    ...(isFresh(learnt) ? [] : [knownSinceMs(learnt)]),
    ...doubts.filter((sinceMs) => sinceMs > agreed),
  ];
  const dues = [retryAtMs, ...suspicions.map((drift) => repairAtMs(memory, drift))];
  const ahead = dues.filter((atMs) => atMs > input.nowMs);
  return {
    ...result,
    ...(reads.length > 0 && { readSinceMs: Math.max(...reads) }),
    ...(ahead.length > 0 && { wakeAtMs: Math.min(...ahead) }),
  };
};
