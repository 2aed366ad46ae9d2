/** An EIP: associated with a VIP or, without one, with the primary private address of the holder's ENI. */
import type { Item, Movable, Side } from './movable.ts';

/** @param vip the private address it belongs to; absent: the holder's primary */
export const keyOfEIP = (allocationID: string, vip: string | undefined): string =>
  vip === undefined ? allocationID : `${allocationID} with ${vip}`;

/** The private address that an EIP belongs to when `node` holds it. */
const privateAddressOf = ({ on }: Item, node: Side): string => on ?? node.address;

/** EIPs: each moves with a call of its own, unless its VIP has taken it along. */
export const EIP: Movable = {
  name: 'EIP',
  isRegional: false,
  nowhere: 'associated with nothing',
  isBatched: false,
  isOnInterface: false,

  rightness: ({ elasticIPs }, item, node) => {
    const elasticIP = elasticIPs[item.id];
    if (elasticIP === undefined) return 'Unknown';
    if (elasticIP === null) return 'Missing';
    const isThere =
      elasticIP.networkInterfaceID === node.networkInterfaceID &&
      elasticIP.privateIPAddress === privateAddressOf(item, node);
    return isThere ? 'Right' : 'Wrong';
  },

  whereabouts: ({ elasticIPs }, { id }) => {
    const elasticIP = elasticIPs[id];
    if (elasticIP === undefined) return undefined;
    const { networkInterfaceID, privateIPAddress } = elasticIP ?? {};
    if (networkInterfaceID === undefined) return {};
    return { networkInterfaceID, ...(privateIPAddress !== undefined && { privateIPAddress }) };
  },

  tagsOf: ({ elasticIPs }, { id }) => elasticIPs[id]?.tags,

  displaced: ({ networkInterfaces }, item, node) => {
    const there = networkInterfaces[node.networkInterfaceID]?.privateIPAddresses.find(
      ({ privateIPAddress }) => privateIPAddress === privateAddressOf(item, node),
    );
    const { allocationID } = there?.association ?? {};
    return allocationID === item.id ? undefined : allocationID;
  },

  bring: ([item], node) => {
    if (item === undefined) throw new Error('nothing is to be associated');
    return {
      action: 'AssociateAddress',
      allocationID: item.id,
      networkInterfaceID: node.networkInterfaceID,
      privateIPAddress: privateAddressOf(item, node),
    };
  },

  followersOf: () => [],

  after: (view, call) => {
    if (call.action !== 'AssociateAddress') return view;
    const { allocationID, networkInterfaceID, privateIPAddress } = call;
    const elasticIP = view.elasticIPs[allocationID];
    if (!elasticIP) return view;
    const moved = { ...elasticIP, networkInterfaceID, privateIPAddress };
    return { ...view, elasticIPs: { ...view.elasticIPs, [allocationID]: moved } };
  },

  release: ({ elasticIPs }, owned) =>
    owned.flatMap(({ item, networkInterfaceIDs }) => {
      const { associationID, networkInterfaceID } = elasticIPs[item.id] ?? {};
      const isThere = networkInterfaceID !== undefined && networkInterfaceIDs.includes(networkInterfaceID);
      if (associationID === undefined || !isThere) return [];
      const where = { allocationID: item.id, associationID, networkInterfaceID };
      return [{ call: { action: 'DisassociateAddress', ...where }, items: [item] }];
    }),
};

/** @param vip the VIP that it belongs to; absent: the holder's primary address */
export const eipItem = (allocationID: string, vip: string | undefined): Item => ({
  movable: EIP,
  key: keyOfEIP(allocationID, vip),
  id: allocationID,
  ...(vip !== undefined && { on: vip }),
});
