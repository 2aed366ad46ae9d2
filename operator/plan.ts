/**
 * The heart of the operator: what one pair needs next, as a pure function of what is stored, read and remembered. Every
 * write rests on what is already stored: an address is recorded before it is moved, an order before it is given, so the
 * process may die between any two writes.
 */
import type { Reason } from '../crds/conditions.ts';
import type { AddressStatus, HAPair } from '../crds/types.ts';
import { FINALIZER } from '../crds/types.ts';
import { reasonOf } from '../ec2/errors.ts';
import { droppedAddresses, scopeOf, servedVIPs } from './plan/addresses.ts';
import { healthyAfterFailure, healthySince } from './plan/automatic.ts';
import { BUDGET_PATIENCE_MS } from './plan/converge.ts';
import { deletion } from './plan/deletion.ts';
import { desiredInstances } from './plan/instances.ts';
import { assertPlan, isRecorded } from './plan/invariants.ts';
import { describeCall } from './plan/memory.ts';
import { type Orders, orders } from './plan/orders.ts';
import { holderOf, itemsOf, rightness } from './plan/places.ts';
import { type Release, release, untaggedMessage } from './plan/release.ts';
import { FRESH_MS } from './plan/signs.ts';
import { assess, PIN_PATIENCE_MS, type Situation, withQuestion } from './plan/situation.ts';
import { type Dropped, nextStatus } from './plan/status.ts';
import { type Acceptance, isBarred, isEqual } from './plan/support.ts';
import { transitionEvents } from './plan/transitions.ts';
import type { PairMemory, Plan, PlanEvent, PlanInput } from './plan/types.ts';

/** The longest sleep: a bound on what a forgotten deadline can cost. */
const LONGEST_SLEEP_MS = 60_000;

const instancesOf = (situation: Situation, order: Orders, holder: string | undefined) => {
  const { input, acceptance, wish, elected, pin, memory, parameters } = situation;
  const { pair, instances, settings, ec2 } = input;
  if (isBarred(acceptance)) return [];
  const [firstItem] = itemsOf(wish.addresses);
  const wasRead = wish.nodes.every(
    (node) => firstItem !== undefined && rightness(ec2.view, firstItem, node) !== 'Unknown',
  );
  return desiredInstances({
    pair,
    instances,
    settings,
    nodes: wish.nodes,
    elected,
    holder,
    accepted: acceptance.accepted,
    firstHolder: firstItem && wasRead ? { node: holderOf(ec2.view, firstItem, wish.nodes) } : undefined,
    vips: servedVIPs(pair, wish),
    vrrp: parameters?.vrrp,
    yieldTerm:
      order.failback?.yieldTerm === pair.status?.failback?.yieldTerm ? (order.failback?.yieldTerm ?? 0) : 0,
    pin,
    probe: memory.probe,
  });
};

/** When to look again although nothing was heard: the nearest of all deadlines. */
const requeueAfterMs = (situation: Situation, order: Orders, freeing: Release | undefined): number => {
  const { input, wish, convergence, memory, hold } = situation;
  const { nowMs, life } = input;
  const deadlines = [
    convergence?.wakeAtMs,
    convergence?.readSinceMs,
    freeing?.wakeAtMs,
    freeing?.readSinceMs,
    order.wakeAtMs,
    hold.wakeAtMs,
    memory.pin && memory.pin.sinceMs + PIN_PATIENCE_MS,
    memory.budgetSinceMs === undefined ? undefined : memory.budgetSinceMs + BUDGET_PATIENCE_MS,
    ...wish.nodes.map(({ name }) => {
      const silentAtMs = (life[name]?.lastMs ?? Number.NEGATIVE_INFINITY) + FRESH_MS;
      return silentAtMs > nowMs ? silentAtMs : nowMs + FRESH_MS / 8;
    }),
  ];
  const ahead = deadlines.filter((atMs): atMs is number => atMs !== undefined && atMs > nowMs);
  return Math.max(1, Math.ceil(Math.min(nowMs + LONGEST_SLEEP_MS, ...ahead) - nowMs));
};

/** A reading that is wanted now; absent while a call is unanswered, for no reading could then be believed. */
const wantedReading = (
  situation: Situation,
  freeing: Release | undefined,
  calls: boolean,
): number | undefined => {
  const { input, convergence, memory, wish } = situation;
  if (memory.call || calls || wish.nodes.length === 0) return undefined;
  const asked = [memory.question?.sinceMs, convergence?.readSinceMs, freeing?.readSinceMs].filter(
    (sinceMs): sinceMs is number => sinceMs !== undefined,
  );
  const due = asked.filter(
    (sinceMs) => sinceMs <= input.nowMs && (input.ec2.view?.readAtMs ?? Number.NEGATIVE_INFINITY) < sinceMs,
  );
  return due.length === 0 ? undefined : Math.max(...due);
};

/** Keys that stay although an address that named them is dropped: the spec or another HAPair still names them. */
const keptKeys = ({ wish, input }: Situation): string[] =>
  [
    ...wish.addresses.flatMap(({ vip, eipAllocationID }) => [vip, eipAllocationID]),
    ...input.claimedElsewhere,
  ].filter((key) => key !== undefined);

/** The master has put up every VIP of the spec, as far as it says what it has put up. */
const isPutUp = ({ wish, reports, memory }: Situation): boolean => {
  const { vipsOnInterface } = reports.find(({ node }) => node === memory.authority?.node) ?? {};
  return wish.addresses.every(({ vip }) => vip === undefined || (vipsOnInterface?.includes(vip) ?? true));
};

/**
 * What the spec no longer names is given up once everything it does name has arrived, in EC2 and on the master's interface:
 * forgotten, or first taken off its ENIs, as the deletion policy says.
 */
const giveUp = (situation: Situation): { dropped: Dropped; freeing?: Release } => {
  const { input, acceptance, wish, convergence, memory } = situation;
  const { pair, nowMs, ec2 } = input;
  const all: AddressStatus[] = droppedAddresses(pair, wish);
  const arrived =
    acceptance.accepted &&
    itemsOf(wish.addresses).every(({ key }) => convergence?.right.includes(key)) &&
    isPutUp(situation);
  if (all.length === 0 || pair.spec.paused || (!arrived && memory.call?.purpose !== 'Release')) {
    return { dropped: { released: [], kept: all } };
  }
  if (pair.spec.deletionPolicy === 'Retain') return { dropped: { released: all, kept: [] } };
  const { nodes } = wish;
  const term = pair.status?.term ?? 0;
  const freeing = release({
    nowMs,
    view: ec2.view,
    memory,
    addresses: all,
    keep: keptKeys(situation),
    nodes,
    term,
    requireTag: input.settings.requireTag,
  });
  const dropped = freeing.done ? { released: all, kept: [] } : { released: [], kept: all };
  return { dropped, freeing };
};

/** What cannot be released is said where the spec is judged: the addresses that it names are not concerned. */
const withReleaseFault = (
  { acceptance, memory, input }: Situation,
  { kept }: Dropped,
  untagged: string | undefined,
): Acceptance => {
  const { releaseFailure: failure } = memory;
  const { requireTag } = input.settings;
  if (acceptance.accepted && untagged !== undefined && requireTag)
    return { accepted: true, reason: 'NotPermitted', message: untaggedMessage(untagged, requireTag) };
  if (!acceptance.accepted || !failure || kept.length === 0) return acceptance;
  const what = kept.map(({ name, vip, eipAllocationID }) => `${name} (${vip ?? eipAllocationID})`).join(', ');
  const message = `Taking the dropped ${what} off its ENIs fails: ${failure.code}: ${failure.message}. It is tried again. Or set spec.deletionPolicy to Retain, and it is left where it is.`;
  return { accepted: true, reason: reasonOf(failure.class), message };
};

/** Of an address of which something really goes: one that was renamed, or whose EIP went to another VIP, is not given up. */
const releaseEvents = (situation: Situation, { released }: Dropped): PlanEvent[] => {
  const { pair } = situation.input;
  const stays = keptKeys(situation);
  const given = released.filter(({ vip, eipAllocationID }) =>
    [vip, eipAllocationID].some((key) => key !== undefined && !stays.includes(key)),
  );
  return given.map(({ name, vip, eipAllocationID }) => {
    const what =
      pair.spec.deletionPolicy === 'Unassign'
        ? 'what nobody else names of it was taken off its ENIs'
        : 'it is left where it is in EC2';
    return {
      type: 'Normal',
      reason: 'AddressReleased',
      message: `Address ${name} (${vip ?? eipAllocationID}) is no longer in spec; ${what}.`,
    };
  });
};

/** Instances of nodes that are in force no longer. */
const leftInstances = ({ input, acceptance, wish }: Situation): string[] =>
  acceptance.accepted && wish.nodes.length > 0
    ? input.instances.flatMap(({ spec, metadata }) =>
        wish.nodes.some(({ name }) => name === spec.nodeName) ? [] : [metadata.name],
      )
    : [];

/** What a finished or needless release leaves in memory is nothing. */
const remembered = (
  memory: PairMemory,
  { dropped, freeing }: { dropped: Dropped; freeing?: Release | undefined },
  healthy: PairMemory['healthy'],
  calls: boolean,
): PairMemory => {
  const { events: _told, healthy: _before, budgetSinceMs, ...rest } = memory;
  const kept: PairMemory = {
    ...rest,
    ...(healthy && { healthy }),
    ...(calls && budgetSinceMs !== undefined && { budgetSinceMs }),
    events: [],
  };
  if (freeing && !freeing.done) {
    const { releaseSinceMs, released } = freeing.memory;
    return {
      ...kept,
      ...(releaseSinceMs !== undefined && { releaseSinceMs }),
      ...(released && { released }),
    };
  }
  const { releaseSinceMs: _since, released: _proof, releaseFailure, ...idle } = kept;
  // Between a failed call and the reading after it nothing is being released, and its next attempt still has its time.
  return { ...idle, ...(releaseFailure && dropped.kept.length > 0 && { releaseFailure }) };
};

const present = (input: PlanInput): Plan => {
  const assessed = assess(input);
  const judged = { ...assessed, memory: withQuestion(assessed) };
  const { dropped, freeing } = giveUp(judged);
  const situation = { ...judged, acceptance: withReleaseFault(judged, dropped, freeing?.untagged) };
  const { acceptance, wish, reports, elected, convergence, pin } = situation;
  const { pair } = input;
  const asked = { ...input, reports, elected, healthy: input.memory.healthy };
  const healthy = healthySince(asked);
  const nodes = wish.nodes.map(({ name }) => name);
  const order = orders({ ...asked, nodes, accepted: acceptance.accepted, healthy });
  const fit = order.failed ? healthyAfterFailure(healthy, input.nowMs) : healthy;
  const wanted = isBarred(acceptance) ? undefined : (convergence?.call ?? freeing?.call);
  const withheld = wanted && pair.spec.paused ? `Would call ${describeCall(wanted)}.` : undefined;
  const { next, holder } = nextStatus(situation, order, dropped, withheld);
  const hasFinalizer = (pair.metadata.finalizers ?? []).includes(FINALIZER);
  const call =
    wanted && !pair.spec.paused && hasFinalizer && isRecorded(input, wanted.call) ? wanted : undefined;
  const readSinceMs = wantedReading(situation, freeing, call !== undefined);
  const plan: Plan = {
    memory: remembered(situation.memory, { dropped, freeing }, fit, call !== undefined),
    instances: instancesOf(situation, order, holder),
    remove: leftInstances(situation),
    ...(call && { call }),
    scope: scopeOf(pair, wish, input.settings.region),
    ...(readSinceMs !== undefined && { readSinceMs }),
    ...(!isEqual(next, pair.status) && { status: next }),
    events: [
      ...situation.memory.events,
      ...transitionEvents(situation, next),
      ...order.events,
      ...releaseEvents(situation, dropped),
    ],
    ...(acceptance.accepted && !hasFinalizer && { finalizer: 'add' as const }),
    requeueAfterMs: requeueAfterMs(situation, order, freeing),
    reason: (next.conditions?.[0]?.reason ?? 'Unobserved') as Reason,
  };
  return assertPlan(input, plan, elected, pin);
};

const isGoing = ({ metadata }: HAPair): boolean => metadata.deletionTimestamp !== undefined;

/**
 * The next step for one pair.
 * @throws an error that names the invariant (S1, S2, S5, S7, S9) that the step would break
 */
export const plan = (input: PlanInput): Plan => {
  if (!isGoing(input.pair)) return present(input);
  return assertPlan(input, deletion(input), undefined, undefined);
};
