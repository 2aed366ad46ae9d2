/** `status.addresses`: what the pair owns, recorded before the first EC2 write for it, and where EC2 delivers it. */
import type { AddressStatus, HAPair, InstanceAddress, PairAddress, PairNode } from '../../crds/types.ts';
import { EIP } from '../../delivery/eip.ts';
import { holderOf, itemsOf, rightness } from '../../delivery/items.ts';
import type { Item } from '../../delivery/movable.ts';
import { VIP } from '../../delivery/vip.ts';
import type { EC2View } from '../../ec2/types.ts';
import { displacedBy, isBeingPlaced, type Placement, placementOf, standingOf } from './ownership.ts';
import type { EC2Scope, PlanInput, Wish } from './types.ts';

/** The same entry: a replaced VIP or EIP under the same name is another one, an EIP that was added is not. */
const isSame = (recorded: AddressStatus, wanted: PairAddress): boolean =>
  recorded.name === wanted.name &&
  recorded.vip === wanted.vip &&
  (recorded.eipAllocationID === undefined || recorded.eipAllocationID === wanted.eipAllocationID);

/** Recorded addresses that the spec in force no longer names; they are served until the others have arrived. */
export const droppedAddresses = (pair: HAPair, wish: Wish): AddressStatus[] =>
  (pair.status?.addresses ?? []).filter(
    (recorded) => !wish.addresses.some((wanted) => isSame(recorded, wanted)),
  );

/** True if, by this view, `target` has everything that the spec in force names: what was dropped is not needed any more. */
const hasArrived = (wish: Wish, view: EC2View | undefined, target: PairNode | undefined): boolean =>
  target !== undefined && itemsOf(wish.addresses).every((item) => rightness(view, item, target) === 'Right');

/** It was never placed, nor does the pair have it: once dropped, it is nothing to the pair. */
const isStrange = (pair: HAPair, wish: Wish, view: EC2View | undefined, item: Item): boolean => {
  const standing = standingOf(pair, wish, view, item);
  return standing !== 'Ours' && standing !== 'Taken';
};

/** Dropped entries of which nothing was ever on an ENI of the pair, nor can be on its way there. */
export const neverPlaced = (pair: HAPair, wish: Wish, view: EC2View | undefined): AddressStatus[] =>
  view === undefined
    ? []
    : droppedAddresses(pair, wish).filter(
        (recorded) =>
          recorded.placing === undefined &&
          itemsOf([recorded]).every((item) => isStrange(pair, wish, view, item)),
      );

/** Dropped items that nothing wanted takes the place of. */
const leftOver = (pair: HAPair, wish: Wish): Item[] => {
  const wanted = itemsOf(wish.addresses);
  const isTaken = (item: Item): boolean =>
    wanted.some(
      (other) =>
        other.movable === item.movable &&
        (other.id === item.id || (item.movable === EIP && other.on === item.on)),
    );
  return itemsOf(droppedAddresses(pair, wish)).filter((item) => !isTaken(item));
};

/**
 * All that must be at `target`: what the spec names, and what was dropped until the other has arrived there. What another pair names
 * by now is not taken back from it.
 */
export const servedItems = (
  { pair, ec2, claimedElsewhere }: PlanInput,
  wish: Wish,
  target: PairNode | undefined,
): Item[] => {
  const wanted = itemsOf(wish.addresses);
  if (hasArrived(wish, ec2.view, target)) return wanted;
  const left = leftOver(pair, wish).filter(
    (item) => !claimedElsewhere.includes(item.id) && !isStrange(pair, wish, ec2.view, item),
  );
  return [...wanted, ...left];
};

/** The recorded entry for a wanted one. */
const recordOf = (pair: HAPair, wanted: PairAddress): AddressStatus | undefined =>
  pair.status?.addresses?.find((each) => isSame(each, wanted));

const publicIPOf = (pair: HAPair, wanted: PairAddress, view: EC2View | undefined): string | undefined =>
  wanted.eipAllocationID === undefined
    ? undefined
    : (view?.elasticIPs[wanted.eipAllocationID]?.publicIP ?? recordOf(pair, wanted)?.publicIP);

/** An address as it is wanted, told and recorded, without what is absent. */
export const entryOf = (
  {
    name,
    vip,
    eipAllocationID,
  }: { name: string; vip?: string | undefined; eipAllocationID?: string | undefined },
  publicIP?: string,
): InstanceAddress => ({
  name,
  ...(vip !== undefined && { vip }),
  ...(eipAllocationID !== undefined && { eipAllocationID }),
  ...(publicIP !== undefined && { publicIP }),
});

/** What somebody else holds, or what nobody has read, is told to no agent: it would cut its node off from who has it. */
const vouched = (
  pair: HAPair,
  wish: Wish,
  view: EC2View | undefined,
  isUsable: (item: Item) => boolean,
): PairAddress[] =>
  wish.addresses.flatMap(({ name, ...address }) => {
    const items = itemsOf([address]).filter((item) => {
      const standing = standingOf(pair, wish, view, item);
      const isNew = standing === 'Free' && !isBeingPlaced(pair, item);
      return standing !== 'Held' && standing !== 'Unread' && (!isNew || isUsable(item));
    });
    const [vip, eipAllocationID] = [VIP, EIP].map(
      (movable) => items.find((item) => item.movable === movable)?.id,
    );
    // An EIP goes where its VIP goes.
    const isVouched = address.vip === undefined ? eipAllocationID !== undefined : vip !== undefined;
    return isVouched ? [entryOf({ name, vip, eipAllocationID })] : [];
  });

/**
 * What the agents are told to serve: dropped addresses too, as long as they are recorded; those of an entry that is still there as
 * its replaced VIPs.
 * @param isUsable whether a new item may be put up at all, as far as is known
 */
export const servedAddresses = (
  pair: HAPair,
  wish: Wish,
  view: EC2View | undefined,
  isUsable: (item: Item) => boolean,
): InstanceAddress[] => {
  const stays = leftOver(pair, wish).filter(
    (item) => isBeingPlaced(pair, item) || !isStrange(pair, wish, view, item),
  );
  const left = new Set(stays.map(({ id }) => id));
  /** Each is told once. */
  const take = (id: string | undefined): string | undefined =>
    id !== undefined && left.delete(id) ? id : undefined;
  const served = vouched(pair, wish, view, isUsable).map((each) =>
    entryOf(each, publicIPOf(pair, each, view)),
  );
  for (const { name, publicIP, ...recorded } of droppedAddresses(pair, wish)) {
    const vip = take(recorded.vip);
    const successor = served.find((each) => each.name === name);
    if (successor) {
      if (vip !== undefined) successor.replacedVIPs = [...(successor.replacedVIPs ?? []), vip];
      continue;
    }
    const eipAllocationID = take(recorded.eipAllocationID);
    const isLeft = vip !== undefined || eipAllocationID !== undefined;
    if (isLeft)
      served.push(
        entryOf({ name, vip, eipAllocationID }, eipAllocationID === undefined ? undefined : publicIP),
      );
  }
  return served;
};

/** Where EC2 delivers one address with all its items; a node that was not read keeps what was known. */
const holderOfAddress = (
  address: PairAddress,
  view: EC2View | undefined,
  { nodes }: Wish,
  known: string | undefined,
): string | undefined => {
  const items = itemsOf([address]);
  const unread = items.some((item) => nodes.some((node) => rightness(view, item, node) === 'Unknown'));
  if (unread) return known;
  const holders = new Set(items.map((item) => holderOf(view, item, nodes)));
  return holders.size === 1 ? [...holders][0] : undefined;
};

/** The spec in force names this entry, with whatever EIP: not one that it has dropped or replaced. */
export const isWished = ({ addresses }: Wish, { name, vip }: PairAddress): boolean =>
  addresses.some((each) => each.name === name && each.vip === vip);

/**
 * The wanted `status.addresses` for `addresses`; once all have arrived, none is on an ENI of a node that was replaced.
 */
export const addressStatus = (
  pair: HAPair,
  wish: Wish,
  addresses: readonly PairAddress[],
  placement: Placement,
): AddressStatus[] =>
  addresses.map((wanted) => {
    const { view, converged } = placement;
    const recorded = recordOf(pair, wanted);
    const address = entryOf(wanted, publicIPOf(pair, wanted, view));
    const holder = holderOfAddress(address, view, wish, recorded?.holder);
    const networkInterfaceIDs = [
      ...new Set([
        ...(converged && isWished(wish, wanted) ? [] : (recorded?.networkInterfaceIDs ?? [])),
        ...wish.nodes.map(({ networkInterfaceID }) => networkInterfaceID),
      ]),
    ];
    return {
      ...address,
      ...(holder !== undefined && { holder }),
      networkInterfaceIDs,
      ...placementOf(pair, address, recorded, placement),
    };
  });

/** The node where EC2 delivers all of them; absent unless they agree. */
export const commonHolder = (addresses: readonly AddressStatus[]): string | undefined => {
  const holders = new Set(addresses.map(({ holder }) => holder));
  return holders.size === 1 ? [...holders][0] : undefined;
};

/** Everything in EC2 that the pair touches or has touched. */
export const scopeOf = (pair: HAPair, wish: Wish, region: string, view?: EC2View): EC2Scope => {
  const recorded = pair.status?.addresses ?? [];
  const items = [...itemsOf(wish.addresses), ...itemsOf(recorded)];
  return {
    region: pair.spec.region ?? region,
    networkInterfaceIDs: [
      ...new Set([
        ...wish.nodes.map(({ networkInterfaceID }) => networkInterfaceID),
        ...recorded.flatMap(({ networkInterfaceIDs }) => networkInterfaceIDs),
      ]),
    ],
    allocationIDs: [
      ...new Set([
        ...items.flatMap(({ movable, id }) => (movable === EIP ? [id] : [])),
        ...displacedBy(view, wish),
      ]),
    ],
    privateIPAddresses: [...new Set(items.flatMap(({ movable, id }) => (movable === VIP ? [id] : [])))],
  };
};
