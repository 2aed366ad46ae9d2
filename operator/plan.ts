/**
 * The heart of the operator: what one pair needs next, as a pure function of what is stored, read and remembered. Every
 * write rests on what is already stored: an address is recorded before it is moved, an order before it is given, so the
 * process may die between any two writes.
 */
import type { Reason } from '../crds/conditions.ts';
import { FINALIZER } from '../crds/types.ts';
import { scopeOf, servedItems } from './plan/addresses.ts';
import { desiredInstances } from './plan/instances.ts';
import { assertPlan, isRecorded } from './plan/invariants.ts';
import { describeCall } from './plan/memory.ts';
import { FRESH_MS, type Orders, orders } from './plan/orders.ts';
import { holderOf, itemsOf, rightness } from './plan/places.ts';
import { assess, type Situation, withQuestion } from './plan/situation.ts';
import { nextStatus } from './plan/status.ts';
import { canonical, isRunning } from './plan/support.ts';
import { transitionEvents } from './plan/transitions.ts';
import type { Plan, PlanEvent, PlanInput } from './plan/types.ts';

/** The longest sleep: a bound on what a forgotten deadline can cost. */
const LONGEST_SLEEP_MS = 60_000;

const deletion = ({ pair, memory, settings }: PlanInput): Plan => {
  const { events, ...rest } = memory;
  const held = (pair.metadata.finalizers ?? []).includes(FINALIZER) && !memory.call;
  const unbuilt =
    pair.spec.deletionPolicy === 'Unassign' ? ' deletionPolicy Unassign is not supported yet.' : '';
  const message = `The addresses stay where they are in EC2 and on the interfaces.${unbuilt}`;
  const deleted: PlanEvent = { type: unbuilt === '' ? 'Normal' : 'Warning', reason: 'Deleted', message };
  return {
    memory: { ...rest, events: [] },
    instances: [],
    remove: [],
    scope: { region: settings.region, networkInterfaceIDs: [], allocationIDs: [] },
    events: [...events, ...(held ? [deleted] : [])],
    ...(held && { finalizer: 'remove' as const }),
    reason: 'Deleting',
  };
};

const instancesOf = (situation: Situation, order: Orders, holder: string | undefined) => {
  const { input, acceptance, wish, elected } = situation;
  const { pair, instances, settings, ec2 } = input;
  if (acceptance.reason === 'AddressConflict') return [];
  const [firstItem] = itemsOf(wish.addresses);
  const wasRead = wish.nodes.every(
    (node) => firstItem !== undefined && rightness(ec2.view, firstItem, node) !== 'Unknown',
  );
  return desiredInstances({
    pair,
    instances,
    settings,
    elected,
    holder,
    accepted: acceptance.accepted,
    firstHolder: firstItem && wasRead ? { node: holderOf(ec2.view, firstItem, wish.nodes) } : undefined,
    vips: servedItems(pair, wish).flatMap((item) => (item.kind === 'VIP' ? [item.vip] : [])),
    yieldTerm:
      order.failback?.yieldTerm === pair.status?.failback?.yieldTerm ? (order.failback?.yieldTerm ?? 0) : 0,
  });
};

/** When to look again although nothing was heard: the nearest of all deadlines. */
const requeueAfterMs = (situation: Situation, order: Orders): number => {
  const { input, wish, convergence } = situation;
  const { nowMs, life } = input;
  const deadlines = [
    nowMs + LONGEST_SLEEP_MS,
    ...(convergence?.wakeAtMs === undefined ? [] : [convergence.wakeAtMs]),
    ...(convergence?.readSinceMs === undefined || convergence.readSinceMs <= nowMs
      ? []
      : [convergence.readSinceMs]),
    ...(order.wakeAtMs === undefined ? [] : [order.wakeAtMs]),
    ...wish.nodes.map(({ name }) => {
      const silentAtMs = (life[name]?.lastMs ?? Number.NEGATIVE_INFINITY) + FRESH_MS;
      return silentAtMs > nowMs ? silentAtMs : nowMs + FRESH_MS / 8;
    }),
  ];
  return Math.max(1, Math.ceil(Math.min(...deadlines) - nowMs));
};

/** A reading that is wanted now; absent while a call is unanswered, for no reading could then be believed. */
const wantedReading = (situation: Situation, calls: boolean): number | undefined => {
  const { input, convergence, memory, wish } = situation;
  if (memory.call || calls || wish.nodes.length === 0) return undefined;
  const asked = [memory.question?.sinceMs, convergence?.readSinceMs].filter(
    (sinceMs): sinceMs is number => sinceMs !== undefined,
  );
  const due = asked.filter(
    (sinceMs) => sinceMs <= input.nowMs && (input.ec2.view?.readAtMs ?? Number.NEGATIVE_INFINITY) < sinceMs,
  );
  return due.length === 0 ? undefined : Math.max(...due);
};

const present = (input: PlanInput): Plan => {
  const assessed = assess(input);
  const situation = { ...assessed, memory: withQuestion(assessed) };
  const { acceptance, reports, elected, convergence } = situation;
  const { pair, instances } = input;
  const order = orders({ ...input, accepted: acceptance.accepted, reports, elected });
  const wanted = acceptance.reason === 'AddressConflict' ? undefined : convergence?.call;
  const withheld = wanted && pair.spec.paused ? `Would call ${describeCall(wanted)}.` : undefined;
  const { next, released, holder } = nextStatus(situation, order, withheld);
  const hasFinalizer = (pair.metadata.finalizers ?? []).includes(FINALIZER);
  const call =
    wanted && !pair.spec.paused && hasFinalizer && isRecorded(input, wanted.call) ? wanted : undefined;
  const readSinceMs = wantedReading(situation, call !== undefined);
  const { events: ended, ...memory } = situation.memory;
  const release: PlanEvent[] = released.map(({ name, vip, eipAllocationID }) => ({
    type: 'Normal',
    reason: 'AddressReleased',
    message: `Address ${name} (${vip ?? eipAllocationID}) is no longer in spec; it is left where it is in EC2.`,
  }));
  const orphans = isRunning(pair, instances) || !acceptance.accepted ? [] : instances;
  const plan: Plan = {
    memory: { ...memory, events: [] },
    instances: instancesOf(situation, order, holder),
    remove: orphans.flatMap(({ spec, metadata }) =>
      pair.spec.nodes.some(({ name }) => name === spec.nodeName) ? [] : [metadata.name],
    ),
    ...(call && { call }),
    scope: scopeOf(pair, situation.wish, input.settings.region),
    ...(readSinceMs !== undefined && { readSinceMs }),
    ...(canonical(next) !== canonical(pair.status) && { status: next }),
    events: [...ended, ...transitionEvents(situation, next), ...order.events, ...release],
    ...(acceptance.accepted && !hasFinalizer && { finalizer: 'add' as const }),
    requeueAfterMs: requeueAfterMs(situation, order),
    reason: (next.conditions?.[0]?.reason ?? 'Unobserved') as Reason,
  };
  return assertPlan(input, plan, elected);
};

/**
 * The next step for one pair.
 * @throws an error that names the invariant (S1, S2, S5, S7, S9) that the step would break
 */
export const plan = (input: PlanInput): Plan =>
  input.pair.metadata.deletionTimestamp === undefined ? present(input) : deletion(input);
