/**
 * Which two nodes are in force while `spec.nodes` changes. A changed node that is not in use is replaced at once; the one
 * that is master, or to which EC2 delivers, waits until the other node is both, so no edit takes an address away.
 */
import type { HAPair, PairNode, VRRPInstance } from '../../crds/types.ts';
import { elect, mastersOf, reportsOf } from './elect.ts';
import { isRunning } from './support.ts';

/**
 * A node that stays for the time being, and what the spec wants in its place; `takenBy`: the node that still has the wanted
 * ENI or address.
 */
export type NodeChange = { inForce: PairNode; wanted: PairNode; takenBy?: string };

type NodesInForce = { nodes: readonly PairNode[]; waiting: readonly NodeChange[] };

/** The nodes as the stored instances have them, in the order of `status.nodes`. */
export const storedNodes = (pair: HAPair, instances: readonly VRRPInstance[]): PairNode[] => {
  const order = (pair.status?.nodes ?? []).map(({ name }) => name);
  return instances
    .map(({ spec }) => ({
      name: spec.nodeName,
      address: spec.sourceAddress,
      networkInterfaceID: spec.networkInterfaceID,
      ...(spec.interface !== undefined && { interface: spec.interface }),
    }))
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
};

const isSameNode = (a: PairNode, b: PairNode): boolean =>
  a.name === b.name &&
  a.address === b.address &&
  a.networkInterfaceID === b.networkInterfaceID &&
  a.interface === b.interface;

const sharesWith = (a: PairNode, b: PairNode): boolean =>
  a.networkInterfaceID === b.networkInterfaceID || a.address === b.address;

/** Each wanted node with the stored one in whose place it comes: its namesake, else the one that nobody else succeeds. */
const inSlots = (
  wanted: readonly PairNode[],
  stored: readonly PairNode[],
): [PairNode, PairNode | undefined][] => {
  const left = stored.filter(({ name }) => !wanted.some((node) => node.name === name));
  return wanted.map((node) => [node, stored.find(({ name }) => name === node.name) ?? left.shift()]);
};

/** True for the node that serves, or to which EC2 delivers one of the addresses, as far as is known. */
const isInUse = (pair: HAPair, instances: readonly VRRPInstance[], stored: readonly PairNode[]) => {
  const { status } = pair;
  const reports = reportsOf(stored, instances);
  const floor = Math.max(status?.term ?? 0, ...mastersOf(reports).map(({ term }) => term));
  const master = elect(reports, floor, { lastMaster: status?.master })?.node ?? status?.master;
  const holders = (status?.addresses ?? []).map(({ holder }) => holder);
  return ({ name }: PairNode): boolean => name === master || holders.includes(name);
};

/** The nodes in force for an accepted spec. Before the first election they are simply those of the spec. */
export const nodesInForce = (pair: HAPair, instances: readonly VRRPInstance[]): NodesInForce => {
  const { nodes } = pair.spec;
  if (!isRunning(pair, instances)) return { nodes, waiting: [] };
  const members = instances.filter(({ spec }) => isMember(pair, spec.nodeName));
  const stored = storedNodes(pair, members);
  const inUse = isInUse(pair, members, stored);
  const slots = inSlots(nodes, stored);
  const kept = slots.flatMap(([wanted, before]) =>
    before !== undefined && !isSameNode(before, wanted) && inUse(before) ? [before] : [],
  );
  const waiting: NodeChange[] = [];
  const inForce = slots.map(([wanted, before]) => {
    if (before === undefined || isSameNode(before, wanted)) return wanted;
    // Two nodes cannot have one ENI or one address, not even for the time being.
    const taker = kept.find((node) => node !== before && sharesWith(node, wanted));
    if (!kept.includes(before) && taker === undefined) return wanted;
    waiting.push({ inForce: before, wanted, ...(taker && { takenBy: taker.name }) });
    return before;
  });
  return { nodes: inForce, waiting };
};

/** An instance of neither spec nor status is a left-over of a change that is complete but for its removal. */
const isMember = ({ spec, status }: HAPair, name: string): boolean =>
  [...spec.nodes, ...(status?.nodes ?? [])].some((node) => node.name === name);
