/** What the pair is just now: which spec is in force, who is master, and how EC2 compares. */

import { servedItems } from './addresses.ts';
import { type Convergence, converge } from './converge.ts';
import { elect, mastersOf, type Report, reportsOf } from './elect.ts';
import { withAuthority } from './memory.ts';
import { holderOf, itemsOf, rightness } from './places.ts';
import { type Acceptance, canonical, judge, wishOf } from './support.ts';
import type { PairMemory, PlanInput, Wish } from './types.ts';

/** What the pair is, after judging, electing and comparing; the parts of the plan are read off it. */
export type Situation = {
  input: PlanInput;
  acceptance: Acceptance;
  wish: Wish;
  reports: readonly Report[];
  elected: Report | undefined;
  memory: PairMemory;
  convergence: Convergence | undefined;
};

/** The election, and the memory of whom it named. */
const election = (input: PlanInput, wish: Wish, reports: readonly Report[]) => {
  const { memory, pair, nowMs, wallMs, ec2, instances } = input;
  const floor = Math.max(
    memory.highestTerm,
    pair.status?.term ?? 0,
    ...instances.map(({ spec }) => spec.termFloor),
  );
  const [firstItem] = itemsOf(wish.addresses);
  const elected = elect(reports, floor, {
    lastMaster: pair.status?.master,
    firstHolder: firstItem && holderOf(ec2.view, firstItem, wish.nodes),
  });
  const highestTerm = Math.max(floor, ...mastersOf(reports).map(({ term }) => term));
  const seen = { ...memory, highestTerm };
  if (!elected) return { elected, memory: seen };
  const { node, term } = elected;
  const { authority } = memory;
  if (authority?.node === node) {
    const termReadAtMs = authority.term === term ? authority.termReadAtMs : nowMs;
    return { elected, memory: { ...seen, authority: { ...authority, term, termReadAtMs } } };
  }
  const begun = { node, term, readAtMs: nowMs, readWallMs: wallMs, termReadAtMs: nowMs };
  const wasHere = authority === undefined && pair.status?.master === node;
  const here = (pair.status?.addresses ?? []).filter(({ holder }) => holder === node);
  const settled = wasHere ? itemsOf(here).map(({ key }) => key) : [];
  return { elected, memory: withAuthority(seen, begun, settled) };
};

/** Judges, elects, and compares EC2 with the elected master. */
export const assess = (input: PlanInput): Situation => {
  const acceptance = judge(input);
  const wish = wishOf(input, acceptance);
  const reports = reportsOf(wish.nodes, input.instances);
  const { elected, memory } = election(input, wish, reports);
  const target = wish.nodes.find(({ name }) => name === elected?.node);
  const items = servedItems(input.pair, wish);
  const situation = { input, acceptance, wish, reports, elected };
  const { authority } = memory;
  if (!target || !authority || items.length === 0) {
    return { ...situation, memory: { ...memory, converged: false }, convergence: undefined };
  }
  const { nowMs, ec2 } = input;
  const convergence = converge({ nowMs, view: ec2.view, items, target, authority, memory });
  return { ...situation, memory: convergence.memory, convergence };
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
