/** AssignPrivateIpAddresses and UnassignPrivateIpAddresses, with EC2's semantics (AWS-FACTS, "Moving the VIP"). */
import { isIPv4 } from 'node:net';
import type { Outcome } from './action.ts';
import { EC2Error, invalidValue } from './errors.ts';
import { INSTANCE_TYPES } from './instance-types.ts';
import { flag, list, type Parameters, required } from './parameters.ts';
import { elasticIPOf, holderOf, type NetworkInterface, type State, withElasticIPs } from './state.ts';

/** @throws EC2Error when the id is malformed or unknown. */
export const findNetworkInterface = (state: State, id: string): NetworkInterface => {
  if (!/^eni-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id))
    throw new EC2Error('InvalidNetworkInterfaceId.Malformed', `Invalid id: "${id}" (expecting "eni-...")`);
  const found = state.networkInterfaces.find((eni) => eni.networkInterfaceID === id);
  if (found === undefined) {
    throw new EC2Error(
      'InvalidNetworkInterfaceID.NotFound',
      `The networkInterface ID '${id}' does not exist`,
    );
  }
  return found;
};

const toNumber = (address: string): number =>
  address.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);

const toAddress = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');

/** First address and number of addresses of a CIDR block. */
export const blockOf = (cidr: string): { first: number; size: number } => {
  const [base = '', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const first = toNumber(base);
  return { first: first - (first % size), size };
};

/** EC2 keeps the first four addresses of a subnet and the last one to itself. */
const isReserved = (cidr: string, address: string): boolean => {
  const { first, size } = blockOf(cidr);
  const offset = toNumber(address) - first;
  return offset < 4 || offset === size - 1;
};

const checkAddress = (state: State, address: string): void => {
  if (!isIPv4(address))
    throw invalidValue(`Value (${address}) for parameter privateIpAddress is invalid. Invalid IPv4 address.`);
  const { first, size } = blockOf(state.vpc.cidr);
  const offset = toNumber(address) - first;
  if (offset < 0 || offset >= size)
    throw invalidValue("Address does not fall within the subnet's address range");
  if (isReserved(state.vpc.cidr, address))
    throw invalidValue(`Address ${address} is in subnet's reserved address range`);
};

/** Addresses that EC2 chooses itself, for SecondaryPrivateIpAddressCount. */
const freeAddresses = (state: State, count: number): string[] => {
  const { first, size } = blockOf(state.vpc.cidr);
  const free: string[] = [];
  for (let offset = 4; offset < size - 1 && free.length < count; offset++) {
    const address = toAddress(first + offset);
    if (holderOf(state, address) === undefined) free.push(address);
  }
  if (free.length < count) {
    throw new EC2Error(
      'InsufficientFreeAddressesInSubnet',
      'There are not enough free addresses in the subnet to satisfy the request.',
    );
  }
  return free;
};

const wantedAddresses = (state: State, parameters: Parameters): string[] => {
  const named = list(parameters, 'PrivateIpAddress');
  const count = parameters.SecondaryPrivateIpAddressCount;
  if (named.length > 0 && count !== undefined) {
    throw new EC2Error(
      'InvalidParameterCombination',
      'The parameters privateIpAddress and secondaryPrivateIpAddressCount cannot be used together',
    );
  }
  if (count !== undefined) {
    if (!/^[1-9]\d{0,2}$/.test(count))
      throw invalidValue(`Value (${count}) for parameter secondaryPrivateIpAddressCount is invalid.`);
    return freeAddresses(state, Number(count));
  }
  if (named.length === 0) {
    throw new EC2Error(
      'MissingParameter',
      'Either secondaryPrivateIpAddressCount or privateIpAddress must be specified',
    );
  }
  return [...new Set(named)];
};

const checkMovable = (
  state: State,
  target: NetworkInterface,
  addresses: string[],
  reassign: boolean,
): void => {
  for (const address of addresses) {
    checkAddress(state, address);
    const holder = holderOf(state, address);
    if (holder?.addresses[0] === address)
      throw invalidValue(`[${address}] is the primary private IP address of ${holder.networkInterfaceID}`);
  }
  const elsewhere = addresses.filter((address) => {
    const holder = holderOf(state, address);
    return holder !== undefined && holder.networkInterfaceID !== target.networkInterfaceID;
  });
  if (elsewhere.length > 0 && !reassign)
    throw invalidValue(`[${elsewhere.join(', ')}] assigned, but move is not allowed.`);
};

/** Assigns private addresses to an ENI, all or none: every check comes before the first change. */
export const assignPrivateIPAddresses = (state: State, parameters: Parameters): Outcome => {
  const target = findNetworkInterface(state, required(parameters, 'NetworkInterfaceId'));
  const wanted = wantedAddresses(state, parameters);
  checkMovable(state, target, wanted, flag(parameters, 'AllowReassignment', false));
  const added = wanted.filter((address) => !target.addresses.includes(address));
  const limit =
    target.instanceType === null ? undefined : INSTANCE_TYPES[target.instanceType]?.ipv4AddressesPerInterface;
  if (limit !== undefined && target.addresses.length + added.length > limit) {
    throw new EC2Error(
      'PrivateIpAddressLimitExceeded',
      `Number of private addresses will exceed limit (${limit} for ${target.instanceType}).`,
    );
  }
  const answer = {
    networkInterfaceId: target.networkInterfaceID,
    assignedPrivateIpAddressesSet: added.map((privateIpAddress) => ({ privateIpAddress })),
    return: true,
  };
  if (added.length === 0) return { state, answer };
  const networkInterfaces = state.networkInterfaces.map((eni) =>
    eni === target
      ? { ...eni, addresses: [...eni.addresses, ...added] }
      : { ...eni, addresses: eni.addresses.filter((address) => !added.includes(address)) },
  );
  return { state: { ...state, networkInterfaces }, answer };
};

/** Unassigns private addresses of an ENI, all or none. An EIP on an address that goes loses its association. */
export const unassignPrivateIPAddresses = (state: State, parameters: Parameters): Outcome => {
  const target = findNetworkInterface(state, required(parameters, 'NetworkInterfaceId'));
  const gone = list(parameters, 'PrivateIpAddress');
  if (gone.length === 0)
    throw new EC2Error('MissingParameter', 'The request must contain the parameter privateIpAddress');
  if (gone.some((address) => !target.addresses.includes(address))) {
    throw invalidValue(
      `Some of the specified addresses are not assigned to interface ${target.networkInterfaceID}`,
    );
  }
  if (gone.some((address) => address === target.addresses[0]))
    throw invalidValue(`[${target.addresses[0]}] is the primary address and cannot be unassigned`);
  const networkInterfaces = state.networkInterfaces.map((eni) =>
    eni === target ? { ...eni, addresses: eni.addresses.filter((address) => !gone.includes(address)) } : eni,
  );
  const orphans = gone.map((address) => elasticIPOf(state, address));
  const elasticIPs = state.elasticIPs.map((eip) =>
    orphans.includes(eip) ? { ...eip, association: null } : eip,
  );
  return { state: withElasticIPs({ ...state, networkInterfaces }, elasticIPs), answer: { return: true } };
};
