/** Where the pair's addresses are, by a reading of EC2, and where they should be. */
import type { PairAddress, PairNode } from '../../crds/types.ts';
import type { EC2Call } from '../../ec2/actions.ts';
import type { EC2View, ElasticIP } from '../../ec2/types.ts';

/** One thing EC2 can move. A VIP takes the EIP that is associated with it along. */
export type Item =
  | { kind: 'VIP'; key: string; vip: string }
  | {
      kind: 'EIP';
      key: string;
      allocationID: string /** Absent: the holder's primary address. */;
      vip?: string;
    };

/** An EIP on another private address is another item: the same EIP, but not yet right there. */
const keyOfEIP = (allocationID: string, vip: string | undefined): string =>
  vip === undefined ? allocationID : `${allocationID} with ${vip}`;

/** `Unknown`: EC2 was not read, from which nothing follows. */
export type Rightness = 'Right' | 'Wrong' | 'TargetMissing' | 'AllocationMissing' | 'Unknown';

/** The items of a list of addresses, VIPs first: an EIP can be associated only with a VIP that is there. */
export const itemsOf = (addresses: readonly PairAddress[]): Item[] => {
  const items: Item[] = [];
  for (const { vip } of addresses) if (vip !== undefined) items.push({ kind: 'VIP', key: vip, vip });
  for (const { vip, eipAllocationID } of addresses) {
    if (eipAllocationID === undefined) continue;
    const key = keyOfEIP(eipAllocationID, vip);
    const item = { kind: 'EIP', key, allocationID: eipAllocationID } as const;
    items.push(vip === undefined ? item : { ...item, vip });
  }
  return items;
};

/** The private address that an EIP belongs to when `node` holds it. */
export const privateAddressOf = (item: Item, node: PairNode): string => item.vip ?? node.address;

/** Whether EC2, by this view, delivers `item` to `node`. */
export const rightness = (view: EC2View | undefined, item: Item, node: PairNode): Rightness => {
  const target = view?.networkInterfaces[node.networkInterfaceID];
  if (view === undefined || target === undefined) return 'Unknown';
  if (target === null) return 'TargetMissing';
  if (item.kind === 'VIP') {
    return target.privateIPAddresses.some((address) => address.privateIPAddress === item.vip)
      ? 'Right'
      : 'Wrong';
  }
  const elasticIP = view.elasticIPs[item.allocationID];
  if (elasticIP === undefined) return 'Unknown';
  if (elasticIP === null) return 'AllocationMissing';
  const there =
    elasticIP.networkInterfaceID === node.networkInterfaceID &&
    elasticIP.privateIPAddress === privateAddressOf(item, node);
  return there ? 'Right' : 'Wrong';
};

/** The node to which EC2 delivers `item`; absent: to neither, or not known. */
export const holderOf = (
  view: EC2View | undefined,
  item: Item,
  nodes: readonly PairNode[],
): string | undefined => nodes.find((node) => rightness(view, item, node) === 'Right')?.name;

/** Where EC2 has `item`, in words; equal places give equal words. */
export const whereabouts = (view: EC2View | undefined, item: Item): string => {
  if (item.kind === 'EIP') {
    const elasticIP = view?.elasticIPs[item.allocationID];
    if (elasticIP?.networkInterfaceID === undefined) return 'associated with nothing';
    return `on ${elasticIP.networkInterfaceID} (${elasticIP.privateIPAddress})`;
  }
  const holder = Object.values(view?.networkInterfaces ?? {}).find((networkInterface) =>
    networkInterface?.privateIPAddresses.some((address) => address.privateIPAddress === item.vip),
  );
  return holder ? `on ${holder.networkInterfaceID}` : 'on no ENI of the pair';
};

/** The EIPs that, by this view, are associated with one of `vips` and so move with it. */
const followersOf = (view: EC2View | undefined, vips: readonly string[]): ElasticIP[] =>
  Object.values(view?.elasticIPs ?? {}).flatMap((elasticIP) =>
    elasticIP?.privateIPAddress !== undefined && vips.includes(elasticIP.privateIPAddress) ? [elasticIP] : [],
  );

/** Keys of all items that a move of `vips` puts right: the VIPs and what follows them. */
export const movedKeys = (view: EC2View | undefined, vips: readonly string[]): string[] => [
  ...vips,
  ...followersOf(view, vips).map(({ allocationID, privateIPAddress }) =>
    keyOfEIP(allocationID, privateIPAddress),
  ),
];

const assign = (view: EC2View, networkInterfaceID: string, vips: readonly string[]): EC2View => {
  const moved = Object.values(view.networkInterfaces).flatMap(
    (each) =>
      each?.privateIPAddresses.filter(({ privateIPAddress }) => vips.includes(privateIPAddress)) ?? [],
  );
  const arrived = vips.map(
    (vip) =>
      moved.find(({ privateIPAddress }) => privateIPAddress === vip) ?? {
        privateIPAddress: vip,
        primary: false,
      },
  );
  const followers = followersOf(view, vips);
  return {
    ...view,
    networkInterfaces: Object.fromEntries(
      Object.entries(view.networkInterfaces).map(([id, each]) => {
        if (each === null) return [id, each];
        const rest = each.privateIPAddresses.filter(
          ({ privateIPAddress }) => !vips.includes(privateIPAddress),
        );
        return [
          id,
          { ...each, privateIPAddresses: id === networkInterfaceID ? [...rest, ...arrived] : rest },
        ];
      }),
    ),
    elasticIPs: Object.fromEntries(
      Object.entries(view.elasticIPs).map(([id, each]) => [
        id,
        each !== null && followers.includes(each) ? { ...each, networkInterfaceID } : each,
      ]),
    ),
  };
};

const associate = (view: EC2View, call: EC2Call & { action: 'AssociateAddress' }): EC2View => {
  const { allocationID, networkInterfaceID, privateIPAddress } = call;
  const elasticIP = view.elasticIPs[allocationID];
  if (!elasticIP) return view;
  const moved = { ...elasticIP, networkInterfaceID, privateIPAddress };
  return { ...view, elasticIPs: { ...view.elasticIPs, [allocationID]: moved } };
};

/** The view as it must be after calls that are known to have worked. A belief justifies a call, never `Ready`. */
export const believe = (view: EC2View, calls: readonly EC2Call[]): EC2View =>
  calls.reduce((belief, call) => {
    if (call.action === 'AssignPrivateIpAddresses')
      return assign(belief, call.networkInterfaceID, call.privateIPAddresses);
    return call.action === 'AssociateAddress' ? associate(belief, call) : belief;
  }, view);
