/** The complete wanted `status` of a HAPair. */
import type { Reason } from '../../crds/conditions.ts';
import type { AddressStatus, HAPairStatus, NodeStatus } from '../../crds/types.ts';
import { formatTime } from '../../runtime/time.ts';
import { addressStatus, commonHolder, isWished } from './addresses.ts';
import { conditionsOf } from './conditions.ts';
import { heldByOthers } from './foreign.ts';
import { historyOf } from './history.ts';
import type { Orders } from './orders.ts';
import type { Placement } from './ownership.ts';
import { conditionOf, problemOf } from './problem.ts';
import { STALE_READING_MS, unreadForMs } from './reading.ts';
import { refusalsOf } from './refusals.ts';
import { troubleOf } from './signs.ts';
import { instantText } from './silence.ts';
import type { Situation } from './situation.ts';
import { isBarred, isRunning } from './support.ts';
import type { Fact } from './types.ts';

/** What is still said while EC2 tells nothing. */
const SAYS_NOTHING: ReadonlySet<Reason> = new Set(['WaitingForRead', 'Moving']);

/** The convergence as the condition shows it: a restart alone does not unsay what was read before it. */
const shownConvergence = ({ input, convergence, memory }: Situation): Fact => {
  const { pair, ec2, nowMs } = input;
  const hasHistory = (pair.status?.term ?? 0) > 0;
  if (!convergence) {
    const reason: Reason = hasHistory ? 'NoMaster' : 'WaitingForElection';
    return { status: 'Unknown', reason, message: 'Without a master there is nothing to compare EC2 with.' };
  }
  const { status, reason, message } = convergence;
  const stored = conditionOf(pair.status, 'AddressesConverged');
  const sinceMs = unreadForMs({ ec2, nowMs, firstSeenMs: memory.firstSeenMs });
  // That a reading is old needs no failure to say so: one may never end.
  if (sinceMs > STALE_READING_MS && (memory.delivery.converged || SAYS_NOTHING.has(reason))) {
    const told = /not be read since (\S+Z)/.exec(stored?.message ?? '')?.[1];
    const why = ec2.failure?.message ?? 'no reading of it has ended';
    const text = `EC2 could not be read since ${instantText(input.wallMs - sinceMs, told)}: ${why}.`;
    return { status: 'Unknown', reason: 'EC2ReadFailed', message: text };
  }
  const carries = reason === 'WaitingForRead' && stored?.status === 'True';
  if (
    carries &&
    pair.status?.holder === memory.authority.head?.node &&
    memory.delivery.answeredAtMs === Number.NEGATIVE_INFINITY
  ) {
    return { status: 'True', reason: 'Converged', message: stored.message };
  }
  return { status, reason, message };
};

/** What to do where EC2's own words do not say it. */
const REMEDIES: Partial<Record<Reason, string>> = {
  EC2CredentialsInvalid: ' Look at the clock too, and whether this Region is enabled for the account.',
  EC2Throttled:
    ' All calls of the account share this limit: look for RequestLimitExceeded in CloudTrail, or ask AWS for more.',
};

/** What EC2 shows to be in the way of an EIP; whose it is, is not for everybody to read. */
const heldElsewhere = ({ input: { ec2 }, wish }: Situation): string => {
  const ours = wish.nodes.map(({ networkInterfaceID }) => networkInterfaceID);
  const held = wish.addresses.flatMap(({ eipAllocationID: id = '' }) => {
    const on = ec2.view?.elasticIPs[id]?.networkInterfaceID;
    return on === undefined || ours.includes(on) ? [] : [id];
  });
  if (held.length === 0) return '';
  return ` ${held.join(', ')}: held by a network interface that is none of this pair's; a NAT gateway or a load balancer does not give an EIP away.`;
};

/** Which permission is missing, and where to mend it. */
const unauthorized = ({ input: { pair, wallMs }, memory: { calls } }: Situation): string => {
  const actions = refusalsOf({ pair, wallMs, calls }, undefined).map(({ action }) => `ec2:${action}`);
  const allow = actions.length === 0 ? '' : ` Allow ${actions.join(', ')}:`;
  return `${allow} compare the policy of the operator's role with charts/hapair/iam-policy.json.`;
};

/** The same, where it depends on the pair. */
const REMEDIES_HERE: Partial<Record<Reason, (situation: Situation) => string>> = {
  EC2AddressInUse: heldElsewhere,
  EC2Unauthorized: unauthorized,
};

/** With what the agent says that is waited for, or what a person can do. */
const withRemedy = (fact: Fact, situation: Situation): Fact => {
  const { reports, memory } = situation;
  const report = reports.find(({ node }) => node === memory.authority.head?.node);
  const trouble = fact.reason === 'WaitingForAgent' && report ? troubleOf(report) : '';
  const told = REMEDIES_HERE[fact.reason]?.(situation) ?? REMEDIES[fact.reason] ?? '';
  const remedy = trouble === '' ? told : ` It says: ${trouble}`;
  return fact.status === 'True' ? fact : { ...fact, message: `${fact.message}${remedy}` };
};

/** Nothing is on its way while `spec.paused` holds it back. */
const withheldMove = (withheld: string): Fact => ({
  status: 'False',
  reason: 'PausedBySpec',
  message: `spec.paused holds back what is needed. ${withheld}`,
});

/** What is told of a pair of which nothing may be moved, or just now not. */
const toldConvergence = (situation: Situation, withheld: string | undefined): Fact => {
  const { acceptance } = situation;
  const shown = withRemedy(shownConvergence(situation), situation);
  if (isBarred(acceptance) && shown.status !== 'True')
    return { status: 'Unknown', reason: acceptance.reason, message: acceptance.message };
  return withheld === undefined ? shown : withheldMove(withheld);
};

const nodeStatuses = ({ input, wish, reports }: Situation): NodeStatus[] =>
  wish.nodes.map(({ name, networkInterfaceID }) => {
    const report = reports.find(({ node }) => node === name);
    const instanceID =
      report?.instanceID ??
      input.ec2.view?.networkInterfaces[networkInterfaceID]?.instanceID ??
      input.pair.status?.nodes?.find((node) => node.name === name)?.instanceID;
    return {
      name,
      ...(instanceID !== undefined && { instanceID }),
      state: report?.state ?? 'Unknown',
      ...(report?.agentVersion !== undefined && { agentVersion: report.agentVersion }),
    };
  });

/** What becomes of addresses that the spec no longer names. */
export type Dropped = {
  /** Given up by this plan: not recorded any more. */
  released: readonly AddressStatus[];
  /** Recorded until nothing of them is left on an ENI. */
  kept: readonly AddressStatus[];
};

/** What this plan changes of who has placed what. */
const placementIn = ({ input, acceptance, convergence, memory }: Situation): Placement => {
  const { pair, ec2, wallMs } = input;
  const isHeldBack = pair.spec.paused || isBarred(acceptance);
  return {
    view: ec2.view,
    call: isHeldBack ? undefined : convergence?.call,
    lost: isHeldBack ? (convergence?.taken ?? []) : [],
    converged: memory.delivery.converged,
    time: formatTime(wallMs),
  };
};

/** Addresses to record: all that is served, and what was dropped until it is given up. */
const recordedAddresses = (situation: Situation, { kept }: Dropped): AddressStatus[] => {
  const { input, acceptance, wish } = situation;
  const { pair } = input;
  const owns = !isBarred(acceptance) && (acceptance.accepted || isRunning(pair, input.instances));
  if (!owns) return pair.status?.addresses ?? [];
  return addressStatus(pair, wish, [...wish.addresses, ...kept], placementIn(situation));
};

/** The addresses to record, and the node where EC2 delivers all that the spec names. */
export type Served = {
  addresses: readonly AddressStatus[];
  holder: string | undefined;
  columns: NonNullable<HAPairStatus['columns']>;
};

const firstOf = ([first, ...others]: readonly string[]): string | undefined =>
  first === undefined || others.length === 0 ? first : `${first} +${others.length}`;

/** What one column can show of all that the spec names. */
const columnsOf = (
  wanted: readonly AddressStatus[],
  holder = wanted.some((each) => each.holder !== undefined) ? 'mixed' : undefined,
): Served['columns'] => {
  const vip = firstOf(wanted.flatMap((each) => each.vip ?? []));
  const eip = firstOf(wanted.flatMap(({ publicIP }) => publicIP ?? []));
  return {
    ...(holder !== undefined && { holder }),
    ...(vip !== undefined && { vip }),
    ...(eip !== undefined && { eip }),
  };
};

/** Reads off a situation what is served where. */
export const servedIn = (situation: Situation, dropped: Dropped): Served => {
  const { wish } = situation;
  const addresses = recordedAddresses(situation, dropped);
  const wanted = addresses.filter((address) => isWished(wish, address));
  const holder = commonHolder(wanted);
  return { addresses, holder, columns: columnsOf(wanted, holder) };
};

/**
 * The wanted status.
 * @param withheld a call that `spec.paused` holds back, in words
 */
export const nextStatus = (
  situation: Situation,
  order: Orders,
  { addresses, holder, columns }: Served,
  withheld: string | undefined,
): HAPairStatus => {
  const { input, wish, reports, elected, memory, acceptance, pin, hold } = situation;
  const { pair, nowMs, wallMs, life, ec2 } = input;
  const { status } = pair;
  const master = elected?.node ?? status?.master;
  const standby = master === undefined ? undefined : wish.nodes.find(({ name }) => name !== master)?.name;
  const term = Math.max(status?.term ?? 0, elected?.term ?? 0);
  const history = historyOf(status, elected, memory, pin);
  const conditions = conditionsOf({
    nowMs,
    wallMs,
    life,
    pair,
    acceptance,
    reports,
    elected,
    pin,
    firstSeenMs: memory.firstSeenMs,
    nodes: wish.nodes,
    addresses: wish.addresses,
    authority: memory.authority.head,
    convergence: toldConvergence(situation, withheld),
    isConfirmed: memory.delivery.converged,
    withheld,
    ec2,
    calls: memory.calls,
    held: heldByOthers(pair, wish, ec2.view),
    conflict: memory.instances.conflict,
    failback: order.failback,
  });
  return {
    ...(pair.metadata.generation !== undefined && { observedGeneration: pair.metadata.generation }),
    ...problemOf(conditions),
    ...(master !== undefined && { master }),
    ...(holder !== undefined && { holder }),
    ...(Object.keys(columns).length > 0 && { columns }),
    ...(standby !== undefined && { standby }),
    ...(term > 0 && { term }),
    ...(addresses.length > 0 && { addresses: [...addresses] }),
    nodes: nodeStatuses(situation),
    ...(order.failback && { failback: order.failback }),
    ...(hold.held &&
      hold.flapping && {
        damping: {
          recentSwitches: hold.flapping.level,
          holdUntil: formatTime(hold.flapping.holdUntilWallMs),
        },
      }),
    ...(history.length > 0 && { history }),
    conditions,
  };
};
