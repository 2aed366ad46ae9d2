/** Whose word EC2 writes rest on (S1): the elected master's, or the pinned node's once it is ready. */
import type { PairNode, VRRPInstance } from '../../crds/types.ts';
import { holderOf, itemsOf } from '../../delivery/items.ts';
import { elect, mastersOf, type Report } from './elect.ts';
import { isAcknowledged } from './parameters.ts';
import type { Acceptance } from './support.ts';
import type { Authority, AuthorityMemory, PlanInput, Wish } from './types.ts';

/** A pin that follows another one within this time is in no hurry: somebody who means it does not change it every few seconds. */
const HASTY_MS = 60_000;
/** How long a pinned node's agent may take to put the VIPs up before EC2 is told all the same. */
export const PIN_PATIENCE_MS = 5_000;

/** Nobody was elected yet. */
export const NO_AUTHORITY: AuthorityMemory = {
  highestTerm: 0,
  head: undefined,
  pin: undefined,
  pinnedAtMs: Number.NEGATIVE_INFINITY,
};

/** What the reports and the pin say now. */
export type Election = {
  elected: Report | undefined;
  memory: AuthorityMemory;
  /** Another node than before is the head; with the items that are known to be there. Absent: the same as before, or none. */
  taken?: { settled: readonly string[] };
};

/** The pin in force: that of an accepted spec, on a node in force; `paused` leaves claims as they are. */
export const pinOf = (
  { pair, instances }: PlanInput,
  { accepted }: Acceptance,
  nodes: readonly PairNode[],
): string | undefined => {
  const stored = instances.find(({ spec }) => spec.claim === 'Always')?.spec.nodeName;
  const pin = accepted && !pair.spec.paused ? pair.spec.pinnedNode : stored;
  return nodes.some(({ name }) => name === pin) ? pin : undefined;
};

type Pin = NonNullable<AuthorityMemory['pin']>;

/** True once the pinned node has had its chance to put the VIPs up: EC2 must not deliver to a closed door for want of a moment. */
const isPinReady = (instance: VRRPInstance | undefined, pin: Pin, nowMs: number): boolean =>
  (instance?.spec.claim === 'Always' && isAcknowledged(instance)) || nowMs >= pin.sinceMs + PIN_PATIENCE_MS;

const withPin = (known: AuthorityMemory, node: string | undefined, nowMs: number): AuthorityMemory => {
  if (node === undefined) return { ...known, pin: undefined };
  if (known.pin?.node === node) return known;
  const isRepeated = nowMs < known.pinnedAtMs + HASTY_MS;
  return { ...known, pin: { node, sinceMs: nowMs, isRepeated }, pinnedAtMs: nowMs };
};

/** Where the addresses go: to the pinned node once it is ready, else to the elected master. */
const headOf = (
  { pair, instances, nowMs }: PlanInput,
  { highestTerm, head, pin }: AuthorityMemory,
  elected: Report | undefined,
): { node: string; term: number } | undefined => {
  if (pin === undefined) return elected && { node: elected.node, term: elected.term };
  const instance = instances.find(({ spec }) => spec.nodeName === pin.node);
  // Where EC2 delivers already there is nothing to wait for; a move that was held back must not be made now.
  const isThere = head?.node === pin.node || elected?.node === pin.node || pair.status?.holder === pin.node;
  const isReady = isThere || isPinReady(instance, pin, nowMs);
  if (isReady) return { node: pin.node, term: highestTerm };
  // Until then they stay where they were headed.
  return elected && head?.node === elected.node ? { node: elected.node, term: elected.term } : undefined;
};

/** Elects, and remembers whom and in which term. */
export const electHead = (
  input: PlanInput,
  wish: Wish,
  reports: readonly Report[],
  pin: string | undefined,
): Election => {
  const { pair, nowMs, wallMs, ec2, instances } = input;
  const known = input.memory.authority;
  const floor = Math.max(
    known.highestTerm,
    pair.status?.term ?? 0,
    ...instances.map(({ spec }) => spec.termFloor),
  );
  const [firstItem] = itemsOf(wish.addresses);
  const elected = elect(reports, floor, {
    lastMaster: pair.status?.master,
    firstHolder: firstItem && holderOf(ec2.view, firstItem, wish.nodes),
  });
  const highestTerm = Math.max(floor, ...mastersOf(reports).map(({ term }) => term));
  const memory: AuthorityMemory = { ...withPin(known, pin, nowMs), highestTerm };
  const next = headOf(input, memory, elected);
  if (!next) return { elected, memory };
  const { node, term } = next;
  const { head } = memory;
  if (head?.node === node) {
    const termReadAtMs = head.term === term ? head.termReadAtMs : nowMs;
    return { elected, memory: { ...memory, head: { ...head, term, termReadAtMs } } };
  }
  const begun: Authority = { node, term, readAtMs: nowMs, readWallMs: wallMs, termReadAtMs: nowMs };
  const wasHere = head === undefined && (pair.status?.master === node || pin === node);
  const here = (pair.status?.addresses ?? []).filter(({ holder }) => holder === node);
  const settled = wasHere ? itemsOf(here).map(({ key }) => key) : [];
  return { elected, memory: { ...memory, head: begun }, taken: { settled } };
};
