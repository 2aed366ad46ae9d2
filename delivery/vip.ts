/** A VIP: a secondary private IPv4 address of an ENI. An EIP that is associated with it moves with it. */
import type { EC2View, ElasticIP, NetworkInterface } from '../ec2/types.ts';
import { keyOfEIP } from './eip.ts';
import type { Item, Movable, OwnedItem, ReleaseStep } from './movable.ts';

const has = (networkInterface: NetworkInterface | null, vip: string): boolean =>
  networkInterface?.privateIPAddresses.some(({ privateIPAddress }) => privateIPAddress === vip) ?? false;

/** The EIPs that, by this view, are associated with one of `vips`. */
const elasticIPsOn = (view: EC2View, vips: readonly string[]): ElasticIP[] =>
  Object.values(view.elasticIPs).flatMap((elasticIP) =>
    elasticIP?.privateIPAddress !== undefined && vips.includes(elasticIP.privateIPAddress) ? [elasticIP] : [],
  );

const assign = (view: EC2View, networkInterfaceID: string, vips: readonly string[]): EC2View => {
  const all = Object.values(view.networkInterfaces).flatMap((each) => each?.privateIPAddresses ?? []);
  const arrived = vips.map(
    (vip) =>
      all.find(({ privateIPAddress }) => privateIPAddress === vip) ?? {
        privateIPAddress: vip,
        primary: false,
      },
  );
  const networkInterfaces: EC2View['networkInterfaces'] = {};
  for (const [id, each] of Object.entries(view.networkInterfaces)) {
    const rest =
      each?.privateIPAddresses.filter(({ privateIPAddress }) => !vips.includes(privateIPAddress)) ?? [];
    const privateIPAddresses = id === networkInterfaceID ? [...rest, ...arrived] : rest;
    networkInterfaces[id] = each && { ...each, privateIPAddresses };
  }
  const elasticIPs = { ...view.elasticIPs };
  for (const each of elasticIPsOn(view, vips))
    elasticIPs[each.allocationID] = { ...each, networkInterfaceID };
  return { ...view, networkInterfaces, elasticIPs };
};

/** One call for each ENI, for all that it has; never for its primary address. */
const unassign = (view: EC2View, owned: readonly OwnedItem[]): ReleaseStep[] => {
  const ids = [...new Set(owned.flatMap(({ networkInterfaceIDs }) => networkInterfaceIDs))];
  return ids.flatMap((networkInterfaceID) => {
    const addresses = view.networkInterfaces[networkInterfaceID]?.privateIPAddresses ?? [];
    const items = addresses.flatMap(({ primary, privateIPAddress }) => {
      const found = owned.find(
        ({ item, networkInterfaceIDs }) =>
          item.id === privateIPAddress && networkInterfaceIDs.includes(networkInterfaceID),
      );
      return found && !primary ? [found.item] : [];
    });
    const privateIPAddresses = items.map(({ id }) => id);
    const call = { action: 'UnassignPrivateIpAddresses', networkInterfaceID, privateIPAddresses } as const;
    return items.length === 0 ? [] : [{ call, items }];
  });
};

/** VIPs: all that are elsewhere move with one call. */
export const VIP: Movable = {
  name: 'VIP',
  isRegional: true,
  nowhere: 'on no ENI of the pair',
  isBatched: true,
  isOnInterface: true,

  rightness: (_view, { id }, _node, target) => (has(target, id) ? 'Right' : 'Wrong'),

  whereabouts: ({ networkInterfaces, holders }, { id }) => {
    const all = Object.values(networkInterfaces);
    const holder = all.find((each) => has(each, id));
    if (holder) return { networkInterfaceID: holder.networkInterfaceID };
    // Without an ENI there is no subnet to look in.
    if (!all.some((each) => each !== null)) return {};
    // The same address in another subnet is another address. What the ENIs themselves say they do not have is not there.
    const stranger = holders[id]?.find(
      ({ networkInterfaceID, subnetID }) =>
        !(networkInterfaceID in networkInterfaces) && all.some((each) => each?.subnetID === subnetID),
    );
    if (stranger) return { networkInterfaceID: stranger.networkInterfaceID };
    return holders[id] === undefined ? undefined : {};
  },

  bring: (items, { networkInterfaceID }) => ({
    action: 'AssignPrivateIpAddresses',
    networkInterfaceID,
    privateIPAddresses: items.map(({ id }) => id),
  }),

  followersOf: (view, items) =>
    elasticIPsOn(
      view,
      items.map(({ id }) => id),
    ).map(({ allocationID, privateIPAddress }) => keyOfEIP(allocationID, privateIPAddress)),

  after: (view, call) =>
    call.action === 'AssignPrivateIpAddresses'
      ? assign(view, call.networkInterfaceID, call.privateIPAddresses)
      : view,

  release: unassign,
};

/** @param vip the address */
export const vipItem = (vip: string): Item => ({ movable: VIP, key: vip, id: vip });
