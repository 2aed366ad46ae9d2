/**
 * What can be moved from one node to the other in EC2. A kind of thing is a {@link Movable}; to add one is a file beside vip.ts
 * and eip.ts, its line in {@link itemsOf} and the rows of its actions in ec2/actions.ts.
 */
import type { EC2Call } from '../ec2/actions.ts';
import type { EC2View, NetworkInterface } from '../ec2/types.ts';

/** One side of a pair, as EC2 and people know it. */
export type Side = {
  name: string;
  /** The primary private address of its ENI. */
  address: string;
  networkInterfaceID: string;
};

/** One thing that EC2 can move. */
export type Item = {
  movable: Movable;
  /** Equal for equal things in equal places: an EIP on another private address is another item, not yet right there. */
  key: string;
  /** EC2's name of it: recorded before it is touched, and kept where another pair names it too. */
  id: string;
  /** The VIP that carries it; absent: no other item does. */
  on?: string;
};

/** An item, and the ENIs on which the pair may have put it. */
export type OwnedItem = { item: Item; networkInterfaceIDs: readonly string[] };

/** `Missing`: EC2 does not know the item. `Unknown`: EC2 was not read, from which nothing follows. */
export type Rightness = 'Right' | 'Wrong' | 'TargetMissing' | 'Missing' | 'Unknown';

/** Where EC2 has an item; empty: nowhere that was read. */
export type Whereabouts = { networkInterfaceID?: string; privateIPAddress?: string };

/** A call that takes items off an ENI. */
export type ReleaseStep = { call: EC2Call; items: readonly Item[] };

/** A kind of thing that EC2 can move. Every view is one that has read what it is asked for, unless said otherwise. */
export type Movable = {
  /** Such as `VIP`, for people. */
  name: string;
  /** Its id means something in one Region alone. */
  isRegional: boolean;
  /** Words for an item whose whereabouts are empty. */
  nowhere: string;
  /** One call brings all that are elsewhere; of others each has its own. */
  isBatched: boolean;
  /** An agent puts it up: a node whose interface lacks it must not get it (V5). */
  isOnInterface: boolean;
  /** Whether EC2 delivers `item` to `node`. @param target the node's ENI */
  rightness(view: EC2View, item: Item, node: Side, target: NetworkInterface): Rightness;
  /** @param view may be incomplete. @returns undefined: the item itself was not read */
  whereabouts(view: EC2View, item: Item): Whereabouts | undefined;
  /** Tags of the item itself; absent: its ENI alone bears some. @returns undefined: the item was not read, or is missing */
  tagsOf?(view: EC2View, item: Item): Readonly<Record<string, string>> | undefined;
  /** EC2's name of another item that would lose its place to `item` at `node`. Absent: no kind of item ever does. */
  displaced?(view: EC2View, item: Item, node: Side): string | undefined;
  /** The call that brings `items` to `node`: one item, unless batched. */
  bring(items: readonly Item[], node: Side): EC2Call;
  /** Keys of other items that go along when `items` are moved. */
  followersOf(view: EC2View, items: readonly Item[]): string[];
  /** The view as it must be after a call of `bring`. */
  after(view: EC2View, call: EC2Call): EC2View;
  /** The calls that take `owned` off their ENIs, as far as this view shows them there. */
  release(view: EC2View, owned: readonly OwnedItem[]): ReleaseStep[];
};
