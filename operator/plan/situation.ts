/** What the pair is just now: which spec is in force, who is master, and how EC2 compares. */

import type { PairNode } from '../../crds/types.ts';
import { converge } from '../../delivery/converge.ts';
import { holderOf } from '../../delivery/items.ts';
import { underNextAuthority, withoutTarget } from '../../delivery/memory.ts';
import type { Item } from '../../delivery/movable.ts';
import type { Standing } from '../../delivery/types.ts';
import { entryOf, servedItems } from './addresses.ts';
import { electHead, pinOf } from './authority.ts';
import { BUDGET_PATIENCE_MS, deliveryFact, type ToldConvergence } from './convergence.ts';
import { type Damping, damping, FREE, NO_PROBE } from './damping.ts';
import { type Report, reportsOf } from './elect.ts';
import { isFirstMasterOf, switchReason } from './history.ts';
import { type NodeChange, nodesInForce, storedNodes } from './nodes.ts';
import { standingsOf } from './ownership.ts';
import { type ParameterStage, parameterStage } from './parameters.ts';
import { troubleOf } from './signs.ts';
import { type Acceptance, acceptanceOf, parametersOf } from './support.ts';
import type { PairMemory, PlanInput, Wish } from './types.ts';

/** What the pair is, once the spec is accepted or not, a master elected and EC2 compared; the parts of the plan are read off it. */
export type Situation = {
  input: PlanInput;
  acceptance: Acceptance;
  wish: Wish;
  /** Changes of nodes that wait until the other node holds. */
  waiting: readonly NodeChange[];
  /** How far a change of the VRRP parameters has come; absent: the stored spec is not accepted. */
  parameters?: ParameterStage;
  reports: readonly Report[];
  elected: Report | undefined;
  /** The pinned node, if a pin is in force. */
  pin: string | undefined;
  memory: PairMemory;
  convergence: ToldConvergence | undefined;
  /** A move that is held back because the pair flaps. */
  hold: Damping;
};

/**
 * What is wanted. While the stored spec is not accepted, the last accepted one is read back from what it left behind: nodes
 * from the VRRPInstances, which the operator does not touch meanwhile, addresses from `status.addresses`. So it survives a
 * restart of the operator without a copy of its own.
 */
const wishOf = (
  { pair, instances }: PlanInput,
  { accepted }: Acceptance,
  nodes: readonly PairNode[],
): Wish => {
  if (accepted) return { nodes, addresses: pair.spec.addresses };
  const addresses = (pair.status?.addresses ?? []).map((recorded) => entryOf(recorded));
  return { nodes: storedNodes(pair, instances), addresses };
};

/** The switch to the present master was an order, of a person or of the policy. */
const isOrdered = (
  { pair: { status } }: PlanInput,
  head: PairMemory['authority']['head'],
  elected: Report | undefined,
): boolean => {
  const [newest] = status?.history ?? [];
  const recorded = newest?.to === head?.node ? newest?.reason : undefined;
  return (switchReason(status, elected, undefined) ?? recorded ?? 'Failover') !== 'Failover';
};

/** Holds back a move away from a live incumbent of a flapping pair; a pin and a change of spec are nobody's flapping. */
const damp = (
  input: PlanInput,
  memory: PairMemory,
  convergence: ToldConvergence,
  holder: string | undefined,
  pin: string | undefined,
  elected: Report | undefined,
): { hold: Damping; convergence: ToldConvergence } => {
  const { head } = memory.authority;
  const isMove = convergence.call?.purpose === 'Move' && holder !== undefined && holder !== head?.node;
  const incumbent =
    isMove && pin === undefined && !isOrdered(input, head, elected)
      ? input.instances.find(({ spec }) => spec.nodeName === holder)
      : undefined;
  const hold = damping({
    nowMs: input.nowMs,
    wallMs: input.wallMs,
    status: input.pair.status,
    electedAtWallMs: head?.readWallMs ?? input.wallMs,
    incumbent,
    memory: memory.damping,
  });
  if (!hold.held) return { hold, convergence };
  const { call: _held, ...others } = convergence;
  const message = `The pair flaps: ${holder} keeps the addresses while it proves itself alive, and ${head?.node} waits. Check IP protocol 112 between the nodes; spec.pinnedNode decides at once.`;
  const held: ToldConvergence = {
    ...others,
    status: 'False',
    reason: 'HeldDown',
    message,
    ...(hold.wakeAtMs !== undefined && { wakeAtMs: hold.wakeAtMs }),
  };
  return { hold, convergence: held };
};

/** What is on its way is said in the condition Accepted. */
const withProgress = (
  acceptance: Acceptance,
  waiting: readonly NodeChange[],
  parameters: ParameterStage | undefined,
  pinnedNode: string | undefined,
  reports: readonly Report[],
): Acceptance => {
  if (!acceptance.accepted) return acceptance;
  const wayOut =
    pinnedNode === undefined ? 'order a switch to it' : 'pin that one, or remove spec.pinnedNode';
  const nodes = waiting.map(({ inForce, wanted, takenBy }) => {
    const places = [wanted, inForce].map(
      (node) => `${node.name} (${node.networkInterfaceID}, ${node.address})`,
    );
    const change = places.join(' takes the place of ');
    return takenBy === undefined
      ? `${change} once the other node holds the addresses: ${wayOut}.`
      : `${change} once ${takenBy} does not have that ENI or address any more: change ${takenBy} first, to others.`;
  });
  const step = parameters?.step ?? 0;
  /** Why an agent does not acknowledge, if it says so. */
  const waitedFor = (parameters?.waitsFor ?? []).map((name) => {
    const report = reports.find(({ node }) => node === name);
    const trouble = report ? troubleOf(report) : '';
    return trouble === '' ? name : `${name} (${trouble.replace(/\.$/, '')})`;
  });
  const steps =
    step === 0
      ? []
      : [
          `VRRP parameters change, step ${step} of 3 (accept old and new, send new, accept new only)${waitedFor.length > 0 ? `; not acknowledged yet by ${waitedFor.join(' and ')}` : ''}.`,
        ];
  if (nodes.length + steps.length === 0) return acceptance;
  const reason = nodes.length > 0 ? 'NodeChangeWaits' : 'ParametersChanging';
  return { accepted: true, reason, message: [...nodes, ...steps].join(' ') };
};

/**
 * Items that the target says it lacks, such as one that was added while it was cut off. A pin does not wait for its node with what
 * the pair has already; what is new to the pair waits there too.
 */
const closedDoors = (
  items: readonly Item[],
  target: PairNode,
  reports: readonly Report[],
  pin: string | undefined,
  standings: Readonly<Record<string, Standing>>,
): string[] => {
  const report = reports.find(({ node }) => node === target.name);
  const isPutUp = (id: string): boolean =>
    report !== undefined && (report.vipsOnInterface?.includes(id) ?? true);
  return items.flatMap(({ movable, id, key }) => {
    const isPinned = pin === target.name && standings[key] !== 'Free';
    return movable.isOnInterface && !isPinned && !isPutUp(id) ? [key] : [];
  });
};

/** Accepts the spec or not, elects, and compares EC2 with the elected master. */
export const assess = (input: PlanInput): Situation => {
  const { pair, instances, nowMs, ec2 } = input;
  const stored = acceptanceOf(input);
  const { nodes, waiting } = stored.accepted ? nodesInForce(pair, instances) : { nodes: [], waiting: [] };
  const wish = wishOf(input, stored, nodes);
  const members = instances.filter(({ spec }) => wish.nodes.some(({ name }) => name === spec.nodeName));
  const names = wish.nodes.map(({ name }) => name);
  const parameters = stored.accepted ? parameterStage(parametersOf(pair), names, members) : undefined;
  const reports = reportsOf(wish.nodes, instances);
  const acceptance = withProgress(stored, waiting, parameters, pair.spec.pinnedNode, reports);
  const pin = pinOf(input, stored, wish.nodes);
  const { elected, memory: authority, taken } = electHead(input, wish, reports, pin);
  const memory: PairMemory = {
    ...input.memory,
    authority,
    ...(taken && {
      delivery: underNextAuthority(input.memory.delivery, taken.settled),
      damping: NO_PROBE,
    }),
  };
  const { head } = authority;
  const target = wish.nodes.find(
    ({ name }) => name === head?.node && (pin === name || elected?.node === name),
  );
  const items = servedItems(input, wish, target);
  const common = {
    input,
    acceptance,
    wish,
    waiting,
    ...(parameters && { parameters }),
    reports,
    elected,
    pin,
  };
  if (!target || !head || items.length === 0) {
    const idle = { ...memory, delivery: withoutTarget(memory.delivery) };
    return { ...common, memory: idle, convergence: undefined, hold: FREE };
  }
  const { unanswered, deferredSinceMs } = memory.calls;
  const standings = standingsOf(input, wish, items, target);
  const { state, ...compared } = converge({
    nowMs,
    view: ec2.view,
    items,
    standings,
    target,
    authority: head,
    memory: memory.delivery,
    unanswered,
    isFirstMaster: isFirstMasterOf(pair.status, target.name),
    closed: closedDoors(items, target, reports, pin, standings),
  });
  const isDeferred = deferredSinceMs !== undefined && nowMs >= deferredSinceMs + BUDGET_PATIENCE_MS;
  const told = { ...compared, ...deliveryFact(state, target, isDeferred) };
  const [firstItem] = items;
  const holder = firstItem && holderOf(ec2.view, firstItem, wish.nodes);
  const { hold, convergence } = damp(input, memory, told, holder, pin, elected);
  const learnt = { ...memory, delivery: compared.memory, damping: hold.memory };
  return { ...common, memory: learnt, convergence, hold };
};
