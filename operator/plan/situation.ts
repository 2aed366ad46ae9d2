/** What the pair is just now: which spec is in force, who is master, and how EC2 compares. */

import type { PairNode, VRRPInstance } from '../../crds/types.ts';
import { servedItems } from './addresses.ts';
import { type Convergence, converge } from './converge.ts';
import { type Damping, damping } from './damping.ts';
import { elect, mastersOf, type Report, reportsOf } from './elect.ts';
import { isFirstMasterOf } from './history.ts';
import { withAuthority } from './memory.ts';
import { type NodeChange, nodesInForce, storedNodes } from './nodes.ts';
import { isAcknowledged, type ParameterStage, parameterStage } from './parameters.ts';
import { holderOf, type Item, itemsOf, rightness } from './places.ts';
import { type Acceptance, canonical, judge, parametersOf } from './support.ts';
import type { Authority, PairMemory, PlanInput, Wish } from './types.ts';

/** How long a pinned node's agent may take to put the VIPs up before EC2 is told all the same. */
export const PIN_PATIENCE_MS = 5_000;

/** What the pair is, after judging, electing and comparing; the parts of the plan are read off it. */
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
  convergence: Convergence | undefined;
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
  const addresses = (pair.status?.addresses ?? []).map(({ name, vip, eipAllocationID }) => ({
    name,
    ...(vip !== undefined && { vip }),
    ...(eipAllocationID !== undefined && { eipAllocationID }),
  }));
  return { nodes: storedNodes(pair, instances), addresses };
};

/** The pin in force: that of an accepted spec, on a node in force; `paused` leaves claims as they are. */
const pinOf = (
  { pair, instances }: PlanInput,
  { accepted }: Acceptance,
  { nodes }: Wish,
): string | undefined => {
  const stored = instances.find(({ spec }) => spec.claim === 'Always')?.spec.nodeName;
  const pin = accepted && !pair.spec.paused ? pair.spec.pinnedNode : stored;
  return nodes.some(({ name }) => name === pin) ? pin : undefined;
};

/** True once the pinned node has had its chance to put the VIPs up: EC2 must not deliver to a closed door for want of a moment. */
const isPinReady = (
  instance: VRRPInstance | undefined,
  pin: NonNullable<PairMemory['pin']>,
  nowMs: number,
): boolean =>
  (instance?.spec.claim === 'Always' && isAcknowledged(instance)) || nowMs >= pin.sinceMs + PIN_PATIENCE_MS;

const withPin = (
  { pin: known, ...memory }: PairMemory,
  pin: string | undefined,
  nowMs: number,
): PairMemory =>
  pin === undefined
    ? memory
    : { ...memory, pin: known?.node === pin ? known : { node: pin, sinceMs: nowMs } };

/** The election, and the memory of whom it named. */
const election = (input: PlanInput, wish: Wish, reports: readonly Report[], pin: string | undefined) => {
  const { pair, nowMs, wallMs, ec2, instances } = input;
  const floor = Math.max(
    input.memory.highestTerm,
    pair.status?.term ?? 0,
    ...instances.map(({ spec }) => spec.termFloor),
  );
  const [firstItem] = itemsOf(wish.addresses);
  const elected = elect(reports, floor, {
    lastMaster: pair.status?.master,
    firstHolder: firstItem && holderOf(ec2.view, firstItem, wish.nodes),
  });
  const highestTerm = Math.max(floor, ...mastersOf(reports).map(({ term }) => term));
  const seen = withPin({ ...input.memory, highestTerm }, pin, nowMs);
  const head = headOf(input, seen, elected, pin, highestTerm);
  if (!head) return { elected, memory: seen };
  const { node, term } = head;
  const { authority } = seen;
  if (authority?.node === node) {
    const termReadAtMs = authority.term === term ? authority.termReadAtMs : nowMs;
    return { elected, memory: { ...seen, authority: { ...authority, term, termReadAtMs } } };
  }
  const begun: Authority = { node, term, readAtMs: nowMs, readWallMs: wallMs, termReadAtMs: nowMs };
  const wasHere = authority === undefined && (pair.status?.master === node || pin === node);
  const here = (pair.status?.addresses ?? []).filter(({ holder }) => holder === node);
  const settled = wasHere ? itemsOf(here).map(({ key }) => key) : [];
  return { elected, memory: withAuthority(seen, begun, settled) };
};

/** Where the addresses go: to the pinned node once it is ready, else to the elected master. */
const headOf = (
  { pair, instances, nowMs }: PlanInput,
  { pin: pinned, authority }: PairMemory,
  elected: Report | undefined,
  pin: string | undefined,
  highestTerm: number,
): { node: string; term: number } | undefined => {
  if (pin === undefined || pinned === undefined) return elected && { node: elected.node, term: elected.term };
  const instance = instances.find(({ spec }) => spec.nodeName === pin);
  // Where EC2 delivers already there is nothing to wait for; a move that was held back must not be made now.
  const isThere = authority?.node === pin || elected?.node === pin || pair.status?.holder === pin;
  const isReady = isThere || isPinReady(instance, pinned, nowMs);
  if (isReady) return { node: pin, term: highestTerm };
  // Until then they stay where they were headed.
  return elected && authority?.node === elected.node ? { node: elected.node, term: elected.term } : undefined;
};

/** Holds back a move away from a live incumbent of a flapping pair; a pin and a change of spec are nobody's flapping. */
const damp = (
  input: PlanInput,
  memory: PairMemory,
  convergence: Convergence,
  holder: string | undefined,
  pin: string | undefined,
): { hold: Damping; memory: PairMemory; convergence: Convergence } => {
  const { authority } = memory;
  const isMove = convergence.call?.purpose === 'Move' && holder !== undefined && holder !== authority?.node;
  const incumbent =
    isMove && pin === undefined ? input.instances.find(({ spec }) => spec.nodeName === holder) : undefined;
  const hold = damping({
    nowMs: input.nowMs,
    wallMs: input.wallMs,
    status: input.pair.status,
    electedAtWallMs: authority?.readWallMs ?? input.wallMs,
    incumbent,
    probe: memory.probe,
  });
  const { probe: _asked, ...rest } = memory;
  const after = { ...rest, ...(hold.probe && { probe: hold.probe }) };
  if (!hold.held) return { hold, memory: after, convergence: { ...convergence, memory: after } };
  const { call: _held, ...others } = convergence;
  const message = `The pair flaps: ${holder} keeps the addresses while it proves itself alive, and ${authority?.node} waits. Check IP protocol 112 between the nodes; spec.pinnedNode decides at once.`;
  const held: Convergence = {
    ...others,
    memory: after,
    status: 'False',
    reason: 'HeldDown',
    message,
    ...(hold.wakeAtMs !== undefined && { wakeAtMs: hold.wakeAtMs }),
  };
  return { hold, memory: after, convergence: held };
};

/** What is on its way is said where the spec is judged. */
const withProgress = (
  acceptance: Acceptance,
  waiting: readonly NodeChange[],
  parameters: ParameterStage | undefined,
  pinnedNode: string | undefined,
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
  const steps =
    step === 0
      ? []
      : [
          `VRRP parameters change, step ${step} of 3 (accept old and new, send new, accept new only)${parameters?.waitsFor.length ? `; not acknowledged yet by ${parameters.waitsFor.join(' and ')}` : ''}.`,
        ];
  if (nodes.length + steps.length === 0) return acceptance;
  const reason = nodes.length > 0 ? 'NodeChangeWaits' : 'ParametersChanging';
  return { accepted: true, reason, message: [...nodes, ...steps].join(' ') };
};

/** VIPs that the target says it lacks, such as one that was added while it was cut off; a pin does not wait for its node. */
const closedDoors = (
  items: readonly Item[],
  target: PairNode,
  reports: readonly Report[],
  pin: string | undefined,
): string[] => {
  const { vipsOnInterface } = reports.find(({ node }) => node === target.name) ?? {};
  if (pin !== undefined || vipsOnInterface === undefined) return [];
  return items.flatMap((item) =>
    item.kind === 'VIP' && !vipsOnInterface.includes(item.vip) ? [item.vip] : [],
  );
};

/** Judges, elects, and compares EC2 with the elected master. */
export const assess = (input: PlanInput): Situation => {
  const { pair, instances, nowMs, ec2 } = input;
  const judged = judge(input);
  const { nodes, waiting } = judged.accepted ? nodesInForce(pair, instances) : { nodes: [], waiting: [] };
  const wish = wishOf(input, judged, nodes);
  const members = instances.filter(({ spec }) => wish.nodes.some(({ name }) => name === spec.nodeName));
  const names = wish.nodes.map(({ name }) => name);
  const parameters = judged.accepted ? parameterStage(parametersOf(pair), names, members) : undefined;
  const acceptance = withProgress(judged, waiting, parameters, pair.spec.pinnedNode);
  const reports = reportsOf(wish.nodes, instances);
  const pin = pinOf(input, judged, wish);
  const { elected, memory } = election(input, wish, reports, pin);
  const { authority } = memory;
  const target = wish.nodes.find(
    ({ name }) => name === authority?.node && (pin === name || elected?.node === name),
  );
  const items = servedItems(pair, wish, ec2.view, target);
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
  if (!target || !authority || items.length === 0) {
    const idle = { ...memory, converged: false };
    return { ...common, memory: idle, convergence: undefined, hold: { held: false } };
  }
  const closed = closedDoors(items, target, reports, pin);
  const isFirstMaster = isFirstMasterOf(pair.status, target.name);
  const compared = converge({
    nowMs,
    view: ec2.view,
    items,
    target,
    authority,
    memory,
    isFirstMaster,
    closed,
  });
  const [firstItem] = items;
  const holder = firstItem && holderOf(ec2.view, firstItem, wish.nodes);
  return { ...common, ...damp(input, compared.memory, compared, holder, pin) };
};

/** What a reading should answer besides where the master's addresses are; a change of it asks for one more reading. */
export const withQuestion = ({ input, wish, reports, memory }: Situation): PairMemory => {
  const items = itemsOf(wish.addresses);
  const unread = items.filter((item) =>
    wish.nodes.some((node) => rightness(input.ec2.view, item, node) === 'Unknown'),
  );
  const delivered = reports.map(({ node, vipsDelivered }) => [node, vipsDelivered]);
  const text = canonical([unread.map(({ key }) => key), delivered]);
  if (memory.question?.text === text) return memory;
  return { ...memory, question: { text, sinceMs: input.nowMs } };
};
