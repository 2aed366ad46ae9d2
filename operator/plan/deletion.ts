/**
 * The end of a pair (DESIGN.md, "Deletion"). Retain leaves everything as it is. Unassign tells the agents to stop, waits for
 * them no longer than 30 s, takes the recorded addresses off the recorded ENIs, and ends once two readings show none left (S8).
 */
import type { Reason } from '../../crds/conditions.ts';
import { type AddressStatus, type Condition, FINALIZER, type HAPairStatus } from '../../crds/types.ts';
import { itemsOf } from '../../delivery/items.ts';
import { type Release, release } from '../../delivery/release.ts';
import { reasonOf } from '../../ec2/errors.ts';
import { isEqual } from '../../runtime/json.ts';
import { formatTime } from '../../runtime/time.ts';
import { scopeOf } from './addresses.ts';
import { withTold } from './calls.ts';
import { stoppedInstances } from './instances.ts';
import { isRecorded } from './invariants.ts';
import { storedNodes } from './nodes.ts';
import { releasable } from './ownership.ts';
import { isAcknowledged } from './parameters.ts';
import { STALE_READING_MS, unreadForMs } from './reading.ts';
import { untaggedMessage } from './support.ts';
import {
  type DeletionMemory,
  NO_WISH,
  type PairMemory,
  type Plan,
  type PlanEvent,
  type PlanInput,
} from './types.ts';

/** No deletion was seen. */
export const NO_DELETION: DeletionMemory = { sinceMs: undefined };

/** An agent that does not acknowledge is waited for no longer than this. */
export const AGENTS_STOP_MS = 30_000;
const LONGEST_SLEEP_MS = 60_000;

/** How the pair looks while it goes: nothing but Ready and AddressesConverged is kept up to date. */
const goingStatus = (input: PlanInput, reason: Reason, message: string): HAPairStatus | undefined => {
  const { pair, wallMs } = input;
  const { generation } = pair.metadata;
  const stored = pair.status?.conditions ?? [];
  const told = (type: 'Ready' | 'AddressesConverged'): Condition => {
    const before = stored.find((condition) => condition.type === type);
    const word: Reason = type === 'Ready' ? 'Deleting' : reason;
    return {
      type,
      status: 'False',
      reason: word,
      message,
      lastTransitionTime: before?.status === 'False' ? before.lastTransitionTime : formatTime(wallMs),
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  };
  const conditions = [told('Ready'), ...stored.filter(({ type }) => type !== 'Ready')].map((condition) =>
    condition.type === 'AddressesConverged' ? told('AddressesConverged') : condition,
  );
  const next: HAPairStatus = {
    ...pair.status,
    ...(generation !== undefined && { observedGeneration: generation }),
    reason: 'Deleting',
    message,
    conditions,
  };
  return isEqual(next, pair.status) ? undefined : next;
};

type Step = Omit<Plan, 'memory' | 'events' | 'scope' | 'remove' | 'instances'> &
  Partial<Pick<Plan, 'instances'>> & { memory: PairMemory; end?: string };

/** Retain needs no reading of EC2 and touches no interface. */
const retain = ({ memory }: PlanInput): Step => ({
  memory,
  reason: 'Deleting',
  ...(!memory.calls.unanswered && { end: 'The addresses stay where they are in EC2 and on the interfaces.' }),
});

/** Says why the pair is still there. */
const waiting = (
  input: PlanInput,
  memory: PairMemory,
  reason: Reason,
  message: string,
  more: Partial<Step> = {},
): Step => {
  const status = goingStatus(input, reason, message);
  return { memory, ...(status && { status }), reason, requeueAfterMs: LONGEST_SLEEP_MS, ...more };
};

const inWords = (input: PlanInput, { call, memory, untagged }: Release): [Reason, string] => {
  const { requireTag } = input.settings;
  if (untagged !== undefined && requireTag) return ['NotPermitted', untaggedMessage(untagged, requireTag)];
  const retainHint = 'Or set spec.deletionPolicy to Retain, and the pair goes at once and leaves them.';
  if (memory.failure) {
    const { class: errorClass, code, message } = memory.failure;
    const text = `Taking the addresses off their ENIs fails: ${code}: ${message}. It is tried again. ${retainHint}`;
    return [reasonOf(errorClass), text];
  }
  const { ec2, nowMs } = input;
  const isStale = unreadForMs({ ec2, nowMs, firstSeenMs: input.memory.firstSeenMs }) > STALE_READING_MS;
  if ((ec2.failure || isStale) && !call) {
    const text = `EC2 cannot be read: ${ec2.failure?.message ?? 'no reading of it has ended'}. It is tried again. ${retainHint}`;
    return ['EC2ReadFailed', text];
  }
  return ['Releasing', 'The addresses are being taken off their ENIs, as spec.deletionPolicy Unassign says.'];
};

/** What became of the addresses, for people. */
const endOf = (recorded: readonly AddressStatus[], claimedElsewhere: readonly string[]): string => {
  const ids = itemsOf(recorded).map(({ id }) => id);
  const named = ids.filter((id) => claimedElsewhere.includes(id));
  const placed = releasable(recorded).map(({ item }) => item.id);
  const strange = ids.filter((id) => !placed.includes(id) && !named.includes(id));
  const except = [
    ...(named.length === 0 ? [] : [`, but for ${named.join(', ')}, which another HAPair names`]),
    ...(strange.length === 0 ? [] : [`, but for ${strange.join(', ')}, which this one never placed`]),
  ];
  return `The addresses were taken off their ENIs${except.join('')}.`;
};

const unassign = (input: PlanInput): Step => {
  const { pair, instances, nowMs, claimedElsewhere, ec2 } = input;
  if (pair.spec.paused) {
    const message = 'spec.paused holds the deletion back: unset it, or set spec.deletionPolicy to Retain.';
    return waiting(input, input.memory, 'PausedBySpec', message);
  }
  const sinceMs = input.memory.deletion.sinceMs ?? nowMs;
  const memory: PairMemory = { ...input.memory, deletion: { sinceMs } };
  const recorded = pair.status?.addresses ?? [];
  const untold = stoppedInstances(instances);
  const unheard = instances.filter(
    (instance) => !isAcknowledged(instance) || instance.status?.state === 'Master',
  );
  const waitedMs = nowMs - sinceMs;
  const owned = releasable(recorded);
  if (owned.length > 0 && (untold.length > 0 || unheard.length > 0) && waitedMs < AGENTS_STOP_MS) {
    const names = unheard.map(({ spec }) => spec.nodeName).join(' and ') || 'the agents';
    const message = `Waiting for ${names} to stop serving, ${AGENTS_STOP_MS / 1000} s at most.`;
    return waiting(input, memory, 'Deleting', message, {
      instances: untold,
      requeueAfterMs: AGENTS_STOP_MS - waitedMs,
    });
  }
  const step = release({
    nowMs,
    view: ec2.view,
    memory: memory.release,
    answeredAtMs: memory.delivery.answeredAtMs,
    isCalling: memory.calls.unanswered !== undefined,
    owned,
    keep: claimedElsewhere,
    nodes: storedNodes(pair, instances),
    term: pair.status?.term ?? 0,
    requireTag: input.settings.requireTag,
  });
  const after: PairMemory = { ...memory, release: step.memory };
  if (step.done) {
    return { memory: after, reason: 'Deleting', end: endOf(recorded, claimedElsewhere) };
  }
  const [reason, message] = inWords(input, step);
  // A reading that is wanted now tells of itself when it comes.
  const readSinceMs = (step.readSinceMs ?? 0) > nowMs ? step.readSinceMs : undefined;
  const isReady = step.call !== undefined && isRecorded(input, step.call) && !memory.calls.unanswered;
  return waiting(input, after, reason, message, {
    ...(isReady && step.call && { call: step.call }),
    ...(step.readSinceMs !== undefined && step.readSinceMs <= nowMs && { readSinceMs: step.readSinceMs }),
    requeueAfterMs: Math.max(1, Math.ceil((step.wakeAtMs ?? readSinceMs ?? nowMs + 1_000) - nowMs)),
  });
};

/** The next step of a pair that is being deleted. Its VRRPInstances are never made anew; they go with it. */
export const deletion = (input: PlanInput): Plan => {
  const { pair, memory } = input;
  const {
    end,
    instances = [],
    ...step
  } = pair.spec.deletionPolicy === 'Unassign' ? unassign(input) : retain(input);
  const isHeld = (pair.metadata.finalizers ?? []).includes(FINALIZER);
  const gone: PlanEvent[] =
    end !== undefined && isHeld ? [{ type: 'Normal', reason: 'Deleted', message: end }] : [];
  return {
    ...step,
    memory: { ...step.memory, calls: withTold(step.memory.calls, step.call !== undefined) },
    instances: isHeld ? instances : [],
    remove: [],
    scope: scopeOf(pair, NO_WISH, input.settings.region),
    events: [...memory.calls.events, ...gone],
    ...(end !== undefined && isHeld && { finalizer: 'remove' as const }),
  };
};
