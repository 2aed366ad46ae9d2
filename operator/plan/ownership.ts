/**
 * Whose an address is: what the operator has placed, what lies on an ENI of the pair, what is free, and what others hold
 * (DESIGN.md, "What is whose"). Recorded is not placed: `status.addresses` alone is written before the first call.
 */
import type { AddressStatus, HAPair, PairNode } from '../../crds/types.ts';
import { type Address, itemsOf, lacksTag, ownedItems } from '../../delivery/items.ts';
import type { Item, OwnedItem } from '../../delivery/movable.ts';
import type { PlannedCall, Standing } from '../../delivery/types.ts';
import type { EC2View } from '../../ec2/types.ts';
import type { PlanInput, Wish } from './types.ts';

/** The field of a recorded address that says since when an item of it is placed. */
const fieldOf = ({ on }: Item): 'placedTime' | 'eipPlacedTime' =>
  on === undefined ? 'placedTime' : 'eipPlacedTime';

/** Since when an item is placed, by EC2's name of it; under whatever entry it is recorded. */
const placedTimeOf = (recorded: readonly AddressStatus[], id: string): string | undefined => {
  for (const address of recorded) {
    const time = itemsOf([address]).find((item) => item.id === id && address[fieldOf(item)] !== undefined);
    if (time) return address[fieldOf(time)];
  }
  return undefined;
};

/** The ENIs of the pair, for an item: of the nodes in force, and those recorded for it. */
const interfacesOf = (recorded: readonly AddressStatus[], { nodes }: Wish, { id }: Item): string[] => [
  ...nodes.map(({ networkInterfaceID }) => networkInterfaceID),
  ...ownedItems(recorded).flatMap(({ item, networkInterfaceIDs }) =>
    item.id === id ? networkInterfaceIDs : [],
  ),
];

/** Whose one item is. */
export const standingOf = (
  { status }: HAPair,
  wish: Wish,
  view: EC2View | undefined,
  item: Item,
): Standing => {
  const recorded = status?.addresses ?? [];
  const isPlaced = placedTimeOf(recorded, item.id) !== undefined;
  const where = view && item.movable.whereabouts(view, item);
  if (where?.networkInterfaceID === undefined) return isPlaced ? 'Ours' : where ? 'Free' : 'Unread';
  const { networkInterfaceID } = where;
  if (interfacesOf(recorded, wish, item).includes(networkInterfaceID)) return 'Ours';
  return isPlaced ? 'Taken' : 'Held';
};

type RequiredTag = { key: string; value: string };

/** True unless AWS is known to have tagged it so: what was not read may be anybody's. */
const mayNotTouch = (tags: Readonly<Record<string, string>> | undefined, requireTag: RequiredTag): boolean =>
  tags === undefined || lacksTag(tags, requireTag);

/** The ENI that would lose an item, or the item that would lose its place to it at `target`, lacks the tag. */
const isBarred = (view: EC2View, item: Item, target: PairNode, requireTag: RequiredTag): boolean => {
  const { networkInterfaceID } = item.movable.whereabouts(view, item) ?? {};
  const holders = [...Object.values(view.networkInterfaces), ...Object.values(view.holders).flat()];
  const loser = holders.find((each) => each?.networkInterfaceID === networkInterfaceID);
  if (networkInterfaceID !== undefined && mayNotTouch(loser?.tags, requireTag)) return true;
  const displaced = item.movable.displaced?.(view, item, target);
  return displaced !== undefined && mayNotTouch(view.elasticIPs[displaced]?.tags, requireTag);
};

/** Whose each item is, by its key; what belongs at `target` and may not be brought there is barred. */
export const standingsOf = (
  { pair, ec2: { view }, settings: { requireTag } }: Pick<PlanInput, 'pair' | 'ec2' | 'settings'>,
  wish: Wish,
  items: readonly Item[],
  target: PairNode,
): Record<string, Standing> =>
  Object.fromEntries(
    items.map((item) => {
      const standing = standingOf(pair, wish, view, item);
      const isJudged = standing !== 'Held' && standing !== 'Unread';
      const isKept = isJudged && view && requireTag && isBarred(view, item, target, requireTag);
      return [item.key, isKept ? 'Barred' : standing];
    }),
  );

/** EIPs that a wanted one would displace: their tags are read too, since they decide. */
export const displacedBy = (view: EC2View | undefined, { nodes, addresses }: Wish): string[] =>
  itemsOf(addresses).flatMap((item) =>
    nodes.flatMap((node) => (view && item.movable.displaced?.(view, item, node)) ?? []),
  );

/** The operator was about to place it, and no reading has shown yet what became of that. */
export const isBeingPlaced = ({ status }: HAPair, { id }: Item): boolean =>
  (status?.addresses ?? []).some(
    (address) => address.placing !== undefined && itemsOf([address]).some((item) => item.id === id),
  );

/** What may be taken off its ENIs: what was placed; of what is being placed, off the one ENI that it may have reached. */
export const releasable = (addresses: readonly AddressStatus[]): OwnedItem[] =>
  ownedItems(addresses).flatMap((owned) => {
    const { id } = owned.item;
    if (placedTimeOf(addresses, id) !== undefined) return [owned];
    const networkInterfaceIDs = addresses.flatMap((address) =>
      itemsOf([address]).some((item) => item.id === id) ? (address.placing ?? []) : [],
    );
    return networkInterfaceIDs.length === 0 ? [] : [{ ...owned, networkInterfaceIDs }];
  });

/** What may change who has placed what. */
export type Placement = {
  view: EC2View | undefined;
  /** The wanted call, if it may be made. */
  call: PlannedCall | undefined;
  /** Keys of items that two readings show on a foreign ENI, while nothing may be written for the pair: given up. */
  lost: readonly string[];
  /** Every wanted item was read where it belongs: no call is on its way. */
  converged: boolean;
  /** RFC 3339: now. */
  time: string;
};

/** What an entry records of its placing. @param known the entry as it is recorded */
export const placementOf = (
  { status }: HAPair,
  address: Address,
  known: AddressStatus | undefined,
  { view, call, lost, converged, time }: Placement,
): Pick<AddressStatus, 'placing' | 'placedTime' | 'eipPlacedTime'> => {
  const { placing } = known ?? {};
  const items = itemsOf([address]).map((item) => {
    const before = lost.includes(item.key) ? undefined : placedTimeOf(status?.addresses ?? [], item.id);
    const where = view && item.movable.whereabouts(view, item);
    const isShown = placing !== undefined && where?.networkInterfaceID === placing;
    return { item, before, placedTime: before ?? (isShown ? time : undefined) };
  });
  const unplaced = items.filter(({ placedTime }) => placedTime === undefined);
  const isToBePlaced = unplaced.some(({ item }) => call?.items.includes(item.key));
  const isDone =
    unplaced.length === 0 || converged || items.some(({ before, placedTime }) => before !== placedTime);
  const next = isToBePlaced ? call?.call.networkInterfaceID : isDone ? undefined : placing;
  return {
    ...(next !== undefined && { placing: next }),
    ...Object.fromEntries(
      items.flatMap(({ item, placedTime }) =>
        placedTime === undefined ? [] : [[fieldOf(item), placedTime] as const],
      ),
    ),
  };
};
