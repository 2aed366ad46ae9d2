/** The items of a pair's addresses, and where EC2 delivers them. */
import type { EC2View } from '../ec2/types.ts';
import { eipItem } from './eip.ts';
import type { Item, OwnedItem, Rightness, Side } from './movable.ts';
import { vipItem } from './vip.ts';

/** An address as the API has it. */
export type Address = { vip?: string; eipAllocationID?: string };

/** The items of a list of addresses, VIPs first: an EIP can be associated only with a VIP that is there. */
export const itemsOf = (addresses: readonly Address[]): Item[] => [
  ...addresses.flatMap(({ vip }) => (vip === undefined ? [] : [vipItem(vip)])),
  ...addresses.flatMap(({ vip, eipAllocationID }) =>
    eipAllocationID === undefined ? [] : [eipItem(eipAllocationID, vip)],
  ),
];

/** The items of recorded addresses, each with the ENIs that it may be on. */
export const ownedItems = (
  addresses: readonly (Address & { networkInterfaceIDs: readonly string[] })[],
): OwnedItem[] => {
  const owned = addresses.flatMap((address) =>
    itemsOf([address]).map((item) => ({ item, networkInterfaceIDs: address.networkInterfaceIDs })),
  );
  const movables = [...new Set(itemsOf(addresses).map(({ movable }) => movable))];
  return movables.flatMap((movable) => owned.filter(({ item }) => item.movable === movable));
};

/** True if AWS has not tagged it so. */
export const lacksTag = (
  tags: Readonly<Record<string, string>>,
  { key, value }: { key: string; value: string },
): boolean => tags[key] !== value;

/** Whether EC2, by this view, delivers `item` to `node`. */
export const rightness = (view: EC2View | undefined, item: Item, node: Side): Rightness => {
  const target = view?.networkInterfaces[node.networkInterfaceID];
  if (view === undefined || target === undefined) return 'Unknown';
  return target === null ? 'TargetMissing' : item.movable.rightness(view, item, node, target);
};

/** The node to which EC2 delivers `item`; absent: to neither, or not known. */
export const holderOf = (view: EC2View | undefined, item: Item, nodes: readonly Side[]): string | undefined =>
  nodes.find((node) => rightness(view, item, node) === 'Right')?.name;
