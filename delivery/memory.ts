/** What is known of EC2's way to the present authority: calls that worked or failed, items that are settled, drift that is suspected. */
import { asksForRead } from '../ec2/errors.ts';
import type { EC2View } from '../ec2/types.ts';
import { failureAfter, isToBeSplit } from './failure.ts';
import { rightness } from './items.ts';
import type { Item, Rightness, Side, Whereabouts } from './movable.ts';
import type { Answer, DeliveryMemory, Drift, PlannedCall, Standing, Suspicion } from './types.ts';

/** Apart by less, two instants of the clock may be one: a reading then does not count as begun after the answer. */
export const CLOCK_STEP_MS = 0.001;
/** Identical repairs further apart than this are not a series. */
const REPAIR_MEMORY_MS = 600_000;

/** Nothing was called or read yet. */
export const NO_DELIVERY: DeliveryMemory = {
  answeredAtMs: Number.NEGATIVE_INFINITY,
  firstAnsweredAtMs: undefined,
  confirmedAtMs: undefined,
  landed: [],
  settled: [],
  oneByOne: false,
  failure: undefined,
  suspicions: {},
  repairs: {},
  converged: false,
};

/** Forgets what was settled or had failed under the last authority; `settled`: what is known to be at the next one. */
export const underNextAuthority = (memory: DeliveryMemory, settled: readonly string[]): DeliveryMemory => {
  const { answeredAtMs, landed } = memory;
  return { ...NO_DELIVERY, answeredAtMs, landed, settled };
};

/** Remembers that there is nothing to compare EC2 with. */
export const withoutTarget = (memory: DeliveryMemory): DeliveryMemory => ({ ...memory, converged: false });

const isSamePlace = (a: Whereabouts, b: Whereabouts): boolean =>
  a.networkInterfaceID === b.networkInterfaceID && a.privateIPAddress === b.privateIPAddress;

/** The repairs in a row that one more of this drift would prolong. */
export const repairsOf = ({ repairs }: DeliveryMemory, { item, where }: Drift) => {
  const before = repairs[item.key];
  return before && isSamePlace(before.where, where) ? before : undefined;
};

/** Remembers a call that moves addresses, or releases some, and is begun. */
export const withCallBegun = (memory: DeliveryMemory, call: PlannedCall, nowMs: number): DeliveryMemory => {
  const begun = { ...memory, converged: memory.converged && call.purpose === 'Release' };
  const { drift } = call;
  if (drift === undefined) return begun;
  const suspicions = Object.fromEntries(
    Object.entries(memory.suspicions).filter(([key]) => !call.items.includes(key)),
  );
  const repairs = drift.map((each) => {
    const count = (repairsOf(memory, each)?.count ?? 0) + 1;
    return [each.item.key, { where: each.where, count, lastAtMs: nowMs }];
  });
  return { ...begun, suspicions, repairs: { ...memory.repairs, ...Object.fromEntries(repairs) } };
};

/**
 * Remembers the answer to a call that moves addresses: settles what one that worked has moved, else sets the time of the next.
 * @param isCurrent the call was for the present authority
 */
export const withCallAnswered = (
  memory: DeliveryMemory,
  call: PlannedCall,
  { result, atMs, random }: Answer,
  isCurrent: boolean,
): DeliveryMemory => {
  const answered = {
    ...memory,
    answeredAtMs: asksForRead(result) ? atMs : memory.answeredAtMs,
    failure: undefined,
  };
  if (result.ok) {
    const landed = [...memory.landed, { call: call.call, movable: call.movable, atMs }];
    if (!isCurrent) return { ...answered, landed };
    return {
      ...answered,
      landed,
      firstAnsweredAtMs: memory.firstAnsweredAtMs ?? atMs,
      settled: [...new Set([...memory.settled, ...call.items])],
    };
  }
  if (!isCurrent) return answered;
  return {
    ...answered,
    oneByOne: memory.oneByOne || isToBeSplit(call, result.class),
    failure: failureAfter(memory.failure, call, { result, atMs, random }),
  };
};

/** The newest reading of EC2, and what it is compared with. */
export type Observation = {
  nowMs: number;
  view: EC2View | undefined;
  items: readonly Item[];
  /** By key of an item; default `Ours`. */
  standings: Readonly<Record<string, Standing>>;
  /** Where they belong. */
  target: Side;
  /** Whose word the calls rest on: its term, and when it was first read as the one for this target. */
  authority: { term: number; readAtMs: number };
  memory: DeliveryMemory;
  unanswered: PlannedCall | undefined;
};

/** An item as the calls that worked let expect it, and as the view shows it. */
export type Finding = { item: Item; believed: Rightness; seen: Rightness };

/** A reading younger than this tells the truth about the present: after the report, and after the last answer. */
export const knownSinceMs = ({ authority, memory }: Observation): number =>
  Math.max(authority.readAtMs, memory.answeredAtMs + CLOCK_STEP_MS);

/** A call that may change where the wanted addresses are is unanswered; a release is not. */
export const isMoving = ({ unanswered }: Pick<Observation, 'unanswered'>): boolean =>
  unanswered !== undefined && unanswered.purpose !== 'Release';

/** The view is young enough to be believed. */
export const isFresh = (observation: Observation): boolean =>
  observation.view !== undefined &&
  observation.view.readAtMs >= knownSinceMs(observation) &&
  !isMoving(observation);

/** Every item, as it is believed and as it was seen. */
export const compare = ({ view, items, target, memory }: Observation): Finding[] => {
  // A belief justifies a call, never `Ready`.
  const belief = view && memory.landed.reduce((each, { call, movable }) => movable.after(each, call), view);
  return items.map((item) => ({
    item,
    believed: rightness(belief, item, target),
    seen: rightness(view, item, target),
  }));
};

/** Learns from the newest reading which items are settled, whether all is well, whether something drifts. */
export const learn = (observation: Observation): DeliveryMemory => {
  const { view, nowMs } = observation;
  const { repairs, landed, ...rest } = observation.memory;
  const memory: DeliveryMemory = {
    ...rest,
    landed: view ? landed.filter(({ atMs }) => atMs >= view.readAtMs) : landed,
    repairs: Object.fromEntries(
      Object.entries(repairs).filter(([, { lastAtMs }]) => nowMs - lastAtMs < REPAIR_MEMORY_MS),
    ),
    converged: false,
  };
  if (!view || !isFresh(observation)) return memory;

  const findings = compare({ ...observation, memory });
  const right = findings.filter(({ seen }) => seen === 'Right').map(({ item }) => item.key);
  const { standings } = observation;
  // What is taken from us is drift under whatever authority; what is not ours to take back is none.
  const isDrift = ({ key }: Item): boolean =>
    standings[key] === 'Taken' ||
    (rest.settled.includes(key) && standings[key] !== 'Held' && standings[key] !== 'Barred');
  const drift = findings.filter(({ item, seen }) => seen === 'Wrong' && isDrift(item));
  const settled = [...new Set([...rest.settled, ...right])];
  if (right.length === findings.length) {
    const confirmedAtMs = rest.confirmedAtMs ?? nowMs;
    return { ...memory, failure: undefined, confirmedAtMs, settled, suspicions: {}, converged: true };
  }
  const suspicions = drift.map(({ item }): [string, Suspicion] => {
    const where = item.movable.whereabouts(view, item) ?? {};
    const before = rest.suspicions[item.key];
    const isForeign = standings[item.key] === 'Taken';
    const found = { item, where, ...(isForeign && { isForeign: true as const }), seenAtMs: nowMs };
    return [item.key, before && isSamePlace(before.where, where) ? before : found];
  });
  return { ...memory, settled, suspicions: Object.fromEntries(suspicions) };
};
