/** Where addresses are before the first call, from the command line. */
import { assignPrivateIPAddresses } from './addresses.ts';
import { associationID, findAllocation } from './elastic-ips.ts';
import type { State } from './state.ts';

type Placement = { address: string; eni: string; allocation: string | undefined };

const parse = (text: string): Placement => {
  const [address = '', eni = '', allocation] = text.split('=');
  return { address, eni, allocation };
};

/** One call for each ENI, so that ten thousand addresses take no longer than they must. */
const assignAll = (state: State, placements: readonly Placement[]): State => {
  let next = state;
  for (const [eni, some] of Map.groupBy(placements, (each) => each.eni)) {
    const addresses = some.map(({ address }, n) => [`PrivateIpAddress.${n + 1}`, address] as const);
    next = assignPrivateIPAddresses(next, {
      NetworkInterfaceId: eni,
      ...Object.fromEntries(addresses),
    }).state;
  }
  return next;
};

/** As many AssociateAddress would do it, in their order. */
const associateAll = (state: State, placements: readonly Placement[]): State => {
  const associations = new Map<string, { associationID: string; privateIPAddress: string }>();
  let { nextAssociation } = state;
  for (const { address, allocation } of placements) {
    if (allocation !== undefined) {
      const { allocationID } = findAllocation(state, allocation);
      associations.set(allocationID, {
        associationID: associationID(nextAssociation++),
        privateIPAddress: address,
      });
    }
  }
  const elasticIPs = state.elasticIPs.map((eip) => ({
    ...eip,
    association: associations.get(eip.allocationID) ?? eip.association,
  }));
  return { ...state, elasticIPs, nextAssociation };
};

/**
 * Puts addresses on ENIs, with EIPs on them, at the start.
 * @param texts `ADDRESS=ENI` or `ADDRESS=ENI=ALLOCATION`
 * @throws EC2Error when EC2 would refuse the address, or knows no such allocation.
 */
export const place = (state: State, texts: readonly string[]): State => {
  const placements = texts.map(parse);
  return associateAll(assignAll(state, placements), placements);
};
