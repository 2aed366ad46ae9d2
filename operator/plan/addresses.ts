/** `status.addresses`: what the pair owns, recorded before the first EC2 write for it, and where EC2 delivers it. */
import type { AddressStatus, HAPair, PairAddress } from '../../crds/types.ts';
import type { EC2View } from '../../ec2/types.ts';
import { holderOf, itemsOf, rightness } from './places.ts';
import type { Wish } from './types.ts';

/** Recorded addresses that the spec in force no longer names; they are served until the others have arrived. */
export const droppedAddresses = (pair: HAPair, wish: Wish): AddressStatus[] =>
  (pair.status?.addresses ?? []).filter(({ name }) => !wish.addresses.some((wanted) => wanted.name === name));

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

/** The wanted `status.addresses` for `addresses`. */
export const addressStatus = (
  pair: HAPair,
  wish: Wish,
  addresses: readonly PairAddress[],
  view: EC2View | undefined,
): AddressStatus[] =>
  addresses.map(({ name, vip, eipAllocationID }) => {
    const recorded = pair.status?.addresses?.find((each) => each.name === name);
    const elasticIP = eipAllocationID === undefined ? undefined : view?.elasticIPs[eipAllocationID];
    const publicIP = elasticIP?.publicIP ?? recorded?.publicIP;
    const address = {
      name,
      ...(vip !== undefined && { vip }),
      ...(eipAllocationID !== undefined && { eipAllocationID }),
    };
    const holder = holderOfAddress(address, view, wish, recorded?.holder);
    const networkInterfaceIDs = [
      ...new Set([
        ...(recorded?.networkInterfaceIDs ?? []),
        ...wish.nodes.map(({ networkInterfaceID }) => networkInterfaceID),
      ]),
    ];
    return {
      ...address,
      ...(eipAllocationID !== undefined && publicIP !== undefined && { publicIP }),
      ...(holder !== undefined && { holder }),
      networkInterfaceIDs,
    };
  });

/** The node where EC2 delivers all of them; absent unless they agree. */
export const commonHolder = (addresses: readonly AddressStatus[]): string | undefined => {
  const holders = new Set(addresses.map(({ holder }) => holder));
  return holders.size === 1 ? [...holders][0] : undefined;
};
