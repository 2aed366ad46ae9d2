import { assignPrivateIPAddresses } from './addresses.ts';
import { associateAddress } from './elastic-ips.ts';
import type { State } from './state.ts';

/**
 * Puts an address on an ENI, with an EIP on it, by the rules of the API itself.
 * @param placement `ADDRESS=ENI` or `ADDRESS=ENI=ALLOCATION`
 * @throws EC2Error when EC2 would refuse it.
 */
export function place(state: State, placement: string): State {
  const [address = '', eni = '', allocation] = placement.split('=');
  const target = { NetworkInterfaceId: eni };
  const assigned = assignPrivateIPAddresses(state, { ...target, 'PrivateIpAddress.1': address }).state;
  return allocation === undefined
    ? assigned
    : associateAddress(assigned, { ...target, AllocationId: allocation, PrivateIpAddress: address }).state;
}
