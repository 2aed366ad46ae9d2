/** What delivery takes, gives and remembers. Times ending in `Ms` are monotonic. */
import type { EC2Call } from '../ec2/actions.ts';
import type { EC2ErrorClass, EC2Result } from '../ec2/types.ts';
import type { Item, Movable, Whereabouts } from './movable.ts';

/** An item that was right, and where two readings agree that it is instead. */
export type Drift = {
  item: Item;
  where: Whereabouts;
  /** That is an ENI of others: no reader of the pair is told which. */
  isForeign?: true;
};

/**
 * Whose an item is, by what was placed and by the newest view. `Ours`: on an ENI of the pair, or placed by us and nowhere.
 * `Free`: nowhere, and never placed. `Taken`: placed by us, and on a foreign ENI. `Held`: on a foreign ENI, and never placed.
 * `Unread`: never placed, and nobody has read where it is. `Barred`: it is where, or would displace what, the operator may not touch.
 */
export type Standing = 'Ours' | 'Free' | 'Taken' | 'Held' | 'Unread' | 'Barred';

/** A call that moves items to `node`, or releases some from it. */
export type PlannedCall = {
  call: EC2Call;
  /** Whose call it is. */
  movable: Movable;
  node: string;
  term: number;
  /**
   * Place: nobody served before this master. Move: somebody did. Repair: the item had been right under this very master.
   * Release: it is no longer ours to keep.
   */
  purpose: 'Place' | 'Move' | 'Repair' | 'Release';
  /** Keys of the items that the call puts right, or takes away. */
  items: readonly string[];
  /** It moves several at once, which EC2 does as a whole or not at all. */
  isBatch: boolean;
  /** Repair: what two readings agreed on. */
  drift?: readonly Drift[];
};

/** An answered call. */
export type Answer = { result: EC2Result; atMs: number /** 0 to 1, evenly spread. */; random: number };

/** Unbroken failures of calls, as of the last one. */
export type CallFailure = {
  count: number;
  /** Whose turn it is, of the calls that are wanted: it passes on with failures that are an item's own. */
  turn: number;
  class: EC2ErrorClass;
  code: string;
  message: string;
  retryAtMs: number;
  /** True: EC2 must be read before the next call to the same node. */
  readFirst: boolean;
  atMs: number;
};

/** Drift seen once, and when the first reading that showed the item there was taken. */
export type Suspicion = Drift & { seenAtMs: number };

/** What is known of EC2's way to the present authority; written by memory.ts. */
export type DeliveryMemory = {
  /** When the last answered call that may have changed EC2 was answered. */
  answeredAtMs: number;
  /** First EC2 answer to a call for the present authority that worked. */
  firstAnsweredAtMs: number | undefined;
  /** First reading of EC2 that showed every item with the present authority. */
  confirmedAtMs: number | undefined;
  /** Calls known to have worked whose effect the newest view may not show yet. */
  landed: readonly { call: EC2Call; movable: Movable; atMs: number }[];
  /** Items that were right, or put right, under the present authority: wrong again, they are drift. */
  settled: readonly string[];
  /** A call with several items was rejected as a whole. */
  oneByOne: boolean;
  /** Unbroken failures of calls under the present authority, those that release apart. */
  failure: CallFailure | undefined;
  /** Drift seen once, by item key; the second reading must agree, and begin at least 2 s after the first was taken. */
  suspicions: Readonly<Record<string, Suspicion>>;
  /** Identical repairs in a row, by item key: of the same item from the same place. */
  repairs: Readonly<Record<string, { where: Whereabouts; count: number; lastAtMs: number }>>;
  /** Every item was read at the present authority's node, and no call was begun since. */
  converged: boolean;
};

/** What is known of a release; written by release.ts. */
export type ReleaseMemory = {
  /** Items are being released since then; a reading begun earlier says nothing about it. */
  sinceMs: number | undefined;
  /** Unbroken failures of calls that release; that all else is well heals them not. */
  failure: CallFailure | undefined;
  /** When the last release was answered: what is wanted is not concerned by it. */
  answeredAtMs: number | undefined;
  /** When the first reading was taken that showed nothing left to release. */
  goneSinceMs: number | undefined;
};
