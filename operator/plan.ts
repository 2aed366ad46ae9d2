/**
 * The heart of the operator: what one pair needs next, as a pure function of what is stored, read and remembered. Every
 * write rests on what is already stored: an address is recorded before it is moved, an order before it is given, so the
 * process may die between any two writes.
 */
import type { Reason } from '../crds/conditions.ts';
import type { AddressStatus, HAPair } from '../crds/types.ts';
import { FINALIZER } from '../crds/types.ts';
import { holderOf, itemsOf, rightness } from '../delivery/items.ts';
import type { Item } from '../delivery/movable.ts';
import { afterRelease, type Release, release } from '../delivery/release.ts';
import { VIP } from '../delivery/vip.ts';
import { reasonOf } from '../ec2/errors.ts';
import { isEqual } from '../runtime/json.ts';
import { droppedAddresses, neverPlaced, scopeOf, servedAddresses } from './plan/addresses.ts';
import { PIN_PATIENCE_MS } from './plan/authority.ts';
import { describeCall, withTold } from './plan/calls.ts';
import { BUDGET_PATIENCE_MS } from './plan/convergence.ts';
import { deletion } from './plan/deletion.ts';
import { withFailedOrder, withHealth } from './plan/failback.ts';
import { foreignNews } from './plan/foreign.ts';
import { desiredInstances, withWanted } from './plan/instances.ts';
import { assertPlan, isRecorded } from './plan/invariants.ts';
import { type Orders, orders } from './plan/orders.ts';
import { releasable } from './plan/ownership.ts';
import { paceStatus } from './plan/pace.ts';
import { fitsSubnet } from './plan/preflight.ts';
import { conditionOf } from './plan/problem.ts';
import { wantedReading, withQuestion } from './plan/reading.ts';
import { FRESH_MS } from './plan/signs.ts';
import { assess, type Situation } from './plan/situation.ts';
import { type Dropped, nextStatus, servedIn } from './plan/status.ts';
import { type Acceptance, isBarred, untaggedMessage } from './plan/support.ts';
import { transitionEvents } from './plan/transitions.ts';
import { turnOf } from './plan/turn.ts';
import type { Plan, PlanEvent, PlanInput } from './plan/types.ts';

/** The longest sleep: a bound on what a forgotten deadline can cost. */
const LONGEST_SLEEP_MS = 60_000;

const instancesOf = (situation: Situation, order: Orders, holder: string | undefined) => {
  const { input, acceptance, wish, elected, pin, memory, parameters } = situation;
  const { pair, instances, settings, ec2 } = input;
  if (isBarred(acceptance)) return [];
  const [firstItem] = itemsOf(wish.addresses);
  const { view, facts } = ec2;
  const isUsable = ({ id, movable }: Item): boolean =>
    movable !== VIP || fitsSubnet(id, wish.nodes, { view, facts });
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
    addresses: servedAddresses(pair, wish, ec2.view, isUsable),
    vrrp: parameters?.vrrp,
    yieldTerm:
      order.failback?.yieldTerm === pair.status?.failback?.yieldTerm ? (order.failback?.yieldTerm ?? 0) : 0,
    pin,
    probe: memory.damping.probe,
  });
};

/** When to look again although nothing was heard: the nearest of all deadlines. */
const requeueAfterMs = (
  situation: Situation,
  order: Orders,
  freeing: Release | undefined,
  statusAtMs: number | undefined,
): number => {
  const { input, wish, convergence, memory, hold } = situation;
  const { nowMs, life } = input;
  const { pin } = memory.authority;
  const { deferredSinceMs } = memory.calls;
  const deadlines = [
    convergence?.wakeAtMs,
    convergence?.readSinceMs,
    freeing?.wakeAtMs,
    freeing?.readSinceMs,
    order.wakeAtMs,
    hold.wakeAtMs,
    memory.reading.question?.sinceMs,
    statusAtMs,
    pin && pin.sinceMs + PIN_PATIENCE_MS,
    deferredSinceMs === undefined ? undefined : deferredSinceMs + BUDGET_PATIENCE_MS,
    ...wish.nodes.map(({ name }) => {
      const silentAtMs = (life[name]?.lastMs ?? Number.NEGATIVE_INFINITY) + FRESH_MS;
      return silentAtMs > nowMs ? silentAtMs : nowMs + FRESH_MS / 8;
    }),
  ];
  const ahead = deadlines.filter((atMs): atMs is number => atMs !== undefined && atMs > nowMs);
  return Math.max(1, Math.ceil(Math.min(nowMs + LONGEST_SLEEP_MS, ...ahead) - nowMs));
};

/** What stays although an address that named it is dropped, by EC2's name: the spec or another HAPair still names it. */
const keptIDs = ({ wish, input }: Situation): string[] => [
  ...itemsOf(wish.addresses).map(({ id }) => id),
  ...input.claimedElsewhere,
];

/** The master has put up every VIP of the spec, as far as it says what it has put up. */
const isPutUp = ({ wish, reports, memory }: Situation): boolean => {
  const { vipsOnInterface } = reports.find(({ node }) => node === memory.authority.head?.node) ?? {};
  return itemsOf(wish.addresses).every(
    ({ id, movable }) => !movable.isOnInterface || (vipsOnInterface?.includes(id) ?? true),
  );
};

/**
 * What the spec no longer names is given up once everything it does name has arrived, in EC2 and on the master's interface:
 * forgotten, or first taken off its ENIs, as the deletion policy says.
 */
const giveUp = (situation: Situation): { dropped: Dropped; freeing?: Release } => {
  const { input, acceptance, wish, convergence, memory } = situation;
  const { pair, nowMs, ec2 } = input;
  const strange = acceptance.accepted ? neverPlaced(pair, wish, ec2.view) : [];
  const all = droppedAddresses(pair, wish).filter((address) => !strange.includes(address));
  const arrived =
    acceptance.accepted &&
    itemsOf(wish.addresses).every(({ key }) => convergence?.right.includes(key)) &&
    isPutUp(situation);
  if (all.length === 0 || pair.spec.paused || (!arrived && memory.calls.unanswered?.purpose !== 'Release')) {
    return { dropped: { released: strange, kept: all } };
  }
  if (pair.spec.deletionPolicy === 'Retain') return { dropped: { released: [...strange, ...all], kept: [] } };
  const { nodes } = wish;
  const term = pair.status?.term ?? 0;
  const freeing = release({
    nowMs,
    view: ec2.view,
    memory: memory.release,
    answeredAtMs: memory.delivery.answeredAtMs,
    isCalling: memory.calls.unanswered !== undefined,
    owned: releasable(all),
    keep: keptIDs(situation),
    nodes,
    term,
    requireTag: input.settings.requireTag,
  });
  const dropped = freeing.done
    ? { released: [...strange, ...all], kept: [] }
    : { released: strange, kept: all };
  return { dropped, freeing };
};

/** Such as `main (10.10.10.10)`: an entry, and the first thing in it. */
const textOf = (address: AddressStatus): string => `${address.name} (${itemsOf([address])[0]?.id})`;

/** What cannot be released is said in the condition Accepted: the addresses that it names are not concerned. */
const withReleaseFault = (
  { acceptance, memory, input }: Situation,
  { kept }: Dropped,
  untagged: string | undefined,
): Acceptance => {
  const { failure } = memory.release;
  const { requireTag } = input.settings;
  if (acceptance.accepted && untagged !== undefined && requireTag)
    return { accepted: true, reason: 'NotPermitted', message: untaggedMessage(untagged, requireTag) };
  if (!acceptance.accepted || !failure || kept.length === 0) return acceptance;
  const what = kept.map(textOf).join(', ');
  const message = `Taking the dropped ${what} off its ENIs fails: ${failure.code}: ${failure.message}. It is tried again. Or set spec.deletionPolicy to Retain, and it is left where it is.`;
  return { accepted: true, reason: reasonOf(failure.class), message };
};

/** Of an address of which something really goes: one that was renamed, or whose EIP went to another VIP, is not given up. */
const releaseEvents = (situation: Situation, { released }: Dropped): PlanEvent[] => {
  const { pair } = situation.input;
  const stays = keptIDs(situation);
  const given = released.filter((address) => itemsOf([address]).some(({ id }) => !stays.includes(id)));
  return given.map((address) => {
    const left = address.holder === undefined ? 'it was on neither node' : 'it is left where it is in EC2';
    const what =
      pair.spec.deletionPolicy === 'Unassign' ? 'what nobody else names of it was taken off its ENIs' : left;
    return {
      type: 'Normal',
      reason: 'AddressReleased',
      message: `Address ${textOf(address)} is no longer in spec; ${what}.`,
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

const present = (input: PlanInput): Plan => {
  const assessed = assess(input);
  const { dropped, freeing } = giveUp(assessed);
  const acceptance = withReleaseFault(assessed, dropped, freeing?.untagged);
  const { wish, reports, elected, convergence, pin } = assessed;
  const { pair, nowMs } = input;
  const asked = { ...input, reports, elected, memory: input.memory.failback };
  const healthy = withHealth(asked);
  const nodes = wish.nodes.map(({ name }) => name);
  const order = orders({ ...asked, nodes, accepted: acceptance.accepted, memory: healthy });
  const served = servedIn({ ...assessed, acceptance }, dropped);
  const news = foreignNews(pair, wish, input.ec2.view, input.memory.foreign);
  const instances = instancesOf({ ...assessed, acceptance }, order, served.holder);
  const memory = {
    ...assessed.memory,
    release: afterRelease(assessed.memory.release, freeing, dropped.kept.length > 0),
    failback: order.failed ? withFailedOrder(healthy, nowMs) : healthy,
    ...withQuestion(assessed),
    foreign: news.memory,
    instances: withWanted(assessed.memory.instances, instances),
  };
  const situation = { ...assessed, acceptance, memory };
  const wanted = isBarred(acceptance) ? undefined : (convergence?.call ?? freeing?.call);
  const withheld = wanted && pair.spec.paused ? `Would call ${describeCall(wanted)}.` : undefined;
  const next = nextStatus(situation, order, served, withheld);
  const finalizer = finalizerOf(pair, acceptance.accepted);
  const isReady = !pair.spec.paused && (isHeld(pair) || pair.spec.deletionPolicy === 'Retain');
  const call = wanted && isReady && isRecorded(input, wanted) ? wanted : undefined;
  const readSinceMs = wantedReading(situation, freeing, call !== undefined);
  const { memory: pace, waitsUntilMs } = paceStatus(memory.pace, pair.status, next, nowMs);
  const isWritten = waitsUntilMs === undefined && !isEqual(next, pair.status);
  const plan: Plan = {
    memory: { ...memory, pace, calls: withTold(memory.calls, call !== undefined) },
    instances,
    remove: leftInstances(situation),
    ...(call && { call, turn: turnOf(call, memory.authority, next) }),
    scope: scopeOf(pair, wish, input.settings.region, input.settings.requireTag && input.ec2.view),
    ...(readSinceMs !== undefined && { readSinceMs }),
    ...(isWritten && { status: next }),
    events: [
      ...memory.calls.events,
      // A change is told with the status that shows it.
      ...(isWritten ? transitionEvents(situation, next) : []),
      ...order.events,
      ...releaseEvents(situation, dropped),
    ],
    ...(news.forOperator.length > 0 && { forOperator: news.forOperator }),
    ...(finalizer && { finalizer }),
    requeueAfterMs: requeueAfterMs(situation, order, freeing, waitsUntilMs),
    reason: (conditionOf(next, 'Ready')?.reason ?? 'Unobserved') as Reason,
  };
  return assertPlan(input, plan, elected, pin);
};

const isHeld = ({ metadata }: HAPair): boolean => (metadata.finalizers ?? []).includes(FINALIZER);

/** Only what is to be cleaned up holds an object back: with Retain it goes at once, also while no operator runs. */
const finalizerOf = (pair: HAPair, isAccepted: boolean): Plan['finalizer'] => {
  const has = isHeld(pair);
  const wants = pair.spec.deletionPolicy === 'Unassign';
  if (has === wants) return undefined;
  if (has) return 'remove';
  return isAccepted ? 'add' : undefined;
};

const isGoing = ({ metadata }: HAPair): boolean => metadata.deletionTimestamp !== undefined;

/**
 * A call on a reading that was begun before this process led waits for a younger one, and everything else with it: the reading puts
 * the pair back at once. If EC2 cannot be read, all but the call is done, and the status says so.
 */
const onReadingsAsLeader = (input: PlanInput, next: Plan): Plan => {
  const { memory, ec2, ledSinceMs = Number.NEGATIVE_INFINITY } = input;
  const { call, scope, reason } = next;
  if (!call || (ec2.view?.readAtMs ?? Number.NEGATIVE_INFINITY) >= ledSinceMs) return next;
  const { call: _tooEarly, turn: _none, ...others } = next;
  if (ec2.failure) return { ...others, readSinceMs: ledSinceMs };
  return { memory, instances: [], remove: [], scope, readSinceMs: ledSinceMs, events: [], reason };
};

/** A call that must wait for its turn in the budget is looked at again when the wait is long enough to be told. */
const withPatience = (next: Plan): Plan =>
  next.call && next.requeueAfterMs !== undefined
    ? { ...next, requeueWhenDeferredMs: Math.min(next.requeueAfterMs, BUDGET_PATIENCE_MS) }
    : next;

/**
 * The next step for one pair.
 * @throws an error that names the invariant (S1, S2, S5, S7, S9) that the step would break
 */
export const plan = (input: PlanInput): Plan => {
  const next = isGoing(input.pair)
    ? assertPlan(input, deletion(input), undefined, undefined)
    : present(input);
  return withPatience(onReadingsAsLeader(input, next));
};
