/**
 * Taking items off the ENIs on which a pair may have put them: only what is recorded, only from recorded ENIs, never what
 * another pair names. Done means: two readings agree that nothing is left.
 */
import { asksForRead } from '../ec2/errors.ts';
import type { EC2View } from '../ec2/types.ts';
import { AGREEMENT_MS } from './converge.ts';
import { failureAfter } from './failure.ts';
import { lacksTag } from './items.ts';
import { CLOCK_STEP_MS } from './memory.ts';
import type { OwnedItem, ReleaseStep, Side } from './movable.ts';
import type { Answer, PlannedCall, ReleaseMemory } from './types.ts';

/** Nothing is being released. */
export const NO_RELEASE: ReleaseMemory = {
  sinceMs: undefined,
  failure: undefined,
  answeredAtMs: undefined,
  goneSinceMs: undefined,
};

/** What a release depends on. */
type ReleaseInput = {
  nowMs: number;
  view: EC2View | undefined;
  memory: ReleaseMemory;
  /** When the last answered call that may have moved something was answered. */
  answeredAtMs: number;
  /** A call of any kind is unanswered. */
  isCalling: boolean;
  /** What is to go, with the ENIs it may be on; in the order in which it goes. */
  owned: readonly OwnedItem[];
  /** EC2's names of items that stay, whatever `owned` says. */
  keep: readonly string[];
  /** Names for people; an ENI of none of them goes by its id. */
  nodes: readonly Side[];
  /** The highest term acted upon, for the log. */
  term: number;
  /** What AWS has not tagged for hapair stays untouched. */
  requireTag: { key: string; value: string } | undefined;
};

/** The next step of a release. */
export type Release = {
  memory: ReleaseMemory;
  call?: PlannedCall;
  readSinceMs?: number;
  wakeAtMs?: number;
  /** Two readings agree that nothing is left. */
  done: boolean;
  /** What stands in the way, and no call is made: an id that lacks the tag. */
  untagged?: string;
};

/** What is still there by this reading: kind by kind, for with a VIP go the associations of its EIPs. */
const leftOf = (
  view: EC2View,
  { owned, keep }: ReleaseInput,
): (ReleaseStep & Pick<PlannedCall, 'movable'>)[] =>
  [...new Set(owned.map(({ item }) => item.movable))].flatMap((movable) => {
    const ours = owned.filter(({ item }) => item.movable === movable && !keep.includes(item.id));
    return movable.release(view, ours).map((step) => ({ ...step, movable }));
  });

/** What the call would touch without leave. */
const untaggedIn = (
  view: EC2View,
  { call, items }: ReleaseStep,
  { requireTag }: ReleaseInput,
): string | undefined => {
  if (!requireTag) return undefined;
  const { networkInterfaceID } = call;
  if (lacksTag(view.networkInterfaces[networkInterfaceID]?.tags ?? {}, requireTag)) return networkInterfaceID;
  return items.find((item) => {
    const tags = item.movable.tagsOf?.(view, item);
    return tags && lacksTag(tags, requireTag);
  })?.id;
};

/** What was not read says nothing. */
const isComplete = (view: EC2View, { owned }: ReleaseInput): boolean =>
  owned.every(
    ({ item, networkInterfaceIDs }) =>
      networkInterfaceIDs.every((id) => view.networkInterfaces[id] !== undefined) &&
      item.movable.whereabouts(view, item) !== undefined,
  );

/** The next step; nothing is begun while a call is unanswered, and each call rests on a reading made after the last answer. */
export const release = (input: ReleaseInput): Release => {
  const { memory, view, nowMs } = input;
  if (input.owned.length === 0) return { memory, done: true };
  const startedAtMs = memory.sinceMs ?? nowMs;
  const lastAnswerMs = Math.max(input.answeredAtMs, memory.answeredAtMs ?? Number.NEGATIVE_INFINITY);
  const sinceMs = Math.max(lastAnswerMs + CLOCK_STEP_MS, startedAtMs);
  const begun: ReleaseMemory = { ...memory, sinceMs: startedAtMs, goneSinceMs: undefined };
  if (input.isCalling) return { memory: begun, done: false };
  if (!view || view.readAtMs < sinceMs || !isComplete(view, input)) {
    return { memory: begun, done: false, readSinceMs: sinceMs };
  }
  const [next] = leftOf(view, input);
  const untagged = next && untaggedIn(view, next, input);
  if (untagged !== undefined) return { memory: begun, done: false, untagged };
  if (next) {
    const retryAtMs = memory.failure?.retryAtMs ?? Number.NEGATIVE_INFINITY;
    if (retryAtMs > nowMs) return { memory: begun, done: false, wakeAtMs: retryAtMs };
    const { call, movable, items } = next;
    const { networkInterfaceID } = call;
    const node = input.nodes.find((each) => each.networkInterfaceID === networkInterfaceID);
    const planned: PlannedCall = {
      call,
      movable,
      node: node?.name ?? networkInterfaceID,
      term: input.term,
      purpose: 'Release',
      items: items.map(({ key }) => key),
      isBatch: false,
    };
    return { memory: begun, done: false, call: planned };
  }
  const goneSinceMs = memory.goneSinceMs ?? nowMs;
  const proven: ReleaseMemory = { ...begun, failure: undefined, goneSinceMs };
  if (view.readAtMs >= goneSinceMs + AGREEMENT_MS) return { memory: proven, done: true };
  return { memory: proven, done: false, readSinceMs: goneSinceMs + AGREEMENT_MS };
};

/** Remembers the answer to a call that releases. */
export const withReleaseAnswered = (
  memory: ReleaseMemory,
  call: PlannedCall,
  { result, atMs, random }: Answer,
): ReleaseMemory => ({
  ...memory,
  answeredAtMs: asksForRead(result) ? atMs : memory.answeredAtMs,
  failure: result.ok ? undefined : failureAfter(memory.failure, call, { result, atMs, random }),
});

/**
 * What is remembered beside a pair that goes on: of a finished or needless release nothing.
 * @param freeing the release that this plan has looked at, if any
 * @param isLeft something of what was dropped is still recorded
 */
export const afterRelease = (
  memory: ReleaseMemory,
  freeing: Release | undefined,
  isLeft: boolean,
): ReleaseMemory => {
  if (freeing && !freeing.done) {
    const { sinceMs, goneSinceMs } = freeing.memory;
    return { ...memory, sinceMs, goneSinceMs };
  }
  // Between a failed call and the reading after it nothing is being released, and its next attempt still has its time.
  const failure = isLeft ? memory.failure : undefined;
  return { ...memory, sinceMs: undefined, goneSinceMs: undefined, failure };
};
