/** IPv4 arithmetic, as far as subnets and rules of security groups need it. */

/** The address as a number; absent: it is none. */
const numberOf = (address: string): number | undefined => {
  const octets = address.split('.').map(Number);
  const isAddress =
    octets.length === 4 && octets.every((octet) => Number.isInteger(octet) && octet >= 0 && octet < 256);
  return isAddress ? octets.reduce((sum, octet) => sum * 256 + octet, 0) : undefined;
};

/** Where in a CIDR block an address lies, from 0; absent: outside, or one of the two is none. */
const offsetIn = (address: string, cidr: string): { offset: number; size: number } | undefined => {
  const [base = '', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const first = numberOf(base);
  const value = numberOf(address);
  if (first === undefined || value === undefined || !Number.isInteger(size)) return undefined;
  const offset = value - (first - (first % size));
  return offset >= 0 && offset < size ? { offset, size } : undefined;
};

export const isInside = (address: string, cidr: string): boolean => offsetIn(address, cidr) !== undefined;

/** The first four addresses of a subnet and the last one are AWS's own (VPC guide, "Subnet CIDR blocks"). */
export const isReserved = (address: string, subnetCIDR: string): boolean => {
  const found = offsetIn(address, subnetCIDR);
  return found !== undefined && (found.offset < 4 || found.offset === found.size - 1);
};
