/** What foreign ENIs have of a pair's addresses: told to the operator's own readers alone, for a pair's readers may be anybody. */
import type { HAPair } from '../../crds/types.ts';
import { itemsOf } from '../../delivery/items.ts';
import type { Item } from '../../delivery/movable.ts';
import type { EC2View } from '../../ec2/types.ts';
import { standingOf } from './ownership.ts';
import type { ForeignMemory, PlanEvent, Wish } from './types.ts';

/** Nothing was told. */
export const NOTHING_FOREIGN: ForeignMemory = { told: '' };

/** The wanted items that the pair never had and somebody else has, by EC2's names. */
export const heldByOthers = (pair: HAPair, wish: Wish, view: EC2View | undefined): string[] =>
  itemsOf(wish.addresses).flatMap((item) => (standingOf(pair, wish, view, item) === 'Held' ? [item.id] : []));

/** Such as `10.10.10.10 is on eni-0… of i-0… (account 123456789012)`. */
const whoHas = (view: EC2View, item: Item): string => {
  const { networkInterfaceID } = item.movable.whereabouts(view, item) ?? {};
  const found = Object.values(view.holders)
    .flat()
    .find((each) => each.networkInterfaceID === networkInterfaceID);
  const { instanceID, ownerID } = found ?? {};
  const of = instanceID === undefined ? '' : ` of ${instanceID}`;
  return `${item.id} is on ${networkInterfaceID}${of}${ownerID === undefined ? '' : ` (account ${ownerID})`}`;
};

/** Remembers what foreign ENIs have, and tells it once. */
export const foreignNews = (
  pair: HAPair,
  wish: Wish,
  view: EC2View | undefined,
  memory: ForeignMemory,
): { memory: ForeignMemory; forOperator: PlanEvent[] } => {
  if (view === undefined) return { memory, forOperator: [] };
  const foreign = itemsOf(wish.addresses).filter((item) =>
    ['Held', 'Taken'].includes(standingOf(pair, wish, view, item)),
  );
  const told = foreign.map((item) => whoHas(view, item)).join(', ');
  if (told === '' || told === memory.told) return { memory: { told }, forOperator: [] };
  const { namespace, name } = pair.metadata;
  const message = `HAPair ${namespace}/${name} names what an ENI has that is none of the pair's: ${told}.`;
  return { memory: { told }, forOperator: [{ type: 'Warning', reason: 'AddressHeldElsewhere', message }] };
};
