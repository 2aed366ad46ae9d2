/**
 * The VIP rule of DESIGN.md, "On the node": in every state a VIP is on the interface if this node is Master, or `claim` is
 * `Always`, or IMDS lists it here; an unknown IMDS changes nothing.
 */
import type { VRRPInstanceSpec, VRRPState } from '../../crds/types.ts';
import { parseIPv4Address } from '../../runtime/ipv4.ts';

/** What decides which VIPs belong on the interface. */
export type VIPInput = {
  /** As the election has it, settled or not: a claim puts its VIP up while it still listens. */
  state: VRRPState;
  claim: VRRPInstanceSpec['claim'];
  /** Those of the spec. */
  vips: readonly string[];
  /** The ENI's addresses as IMDS shows them; null: it could not be read. */
  delivered: readonly string[] | null;
  /** The newest reading of IMDS that succeeded in this process; empty: none has. */
  lastDelivered: readonly string[];
  /** Every IPv4 address on the interface. */
  onInterface: readonly string[];
  /** Addresses this agent added itself, now or before a restart, and that nobody has put up in another form since. */
  added: readonly string[];
  /** VIPs that EC2 may be about to deliver here, see {@link awaitedVIPs}. */
  awaited: readonly string[];
};

/**
 * How long EC2 may take to follow a report of Master that has been overtaken: a call and a slow mapping (moving back within a
 * minute has taken up to 16 s).
 */
export const ARRIVAL_MS = 20_000;

/** A report of Master that this node has taken back. */
export type FormerClaim = {
  /** Monotonic time at which this node ceased to be Master. */
  leftAtMs: number;
  /** What IMDS has listed here at any time since the claim began. */
  arrived: readonly string[];
};

/**
 * VIPs that EC2 may be about to deliver here because this node had reported Master a moment ago: without them on the
 * interface the packets would meet a closed door. What has arrived once leaves when IMDS says so.
 */
export const awaitedVIPs = (vips: readonly string[], former: FormerClaim | null, nowMs: number): string[] =>
  former === null || nowMs - former.leftAtMs >= ARRIVAL_MS
    ? []
    : vips.filter((vip) => !former.arrived.includes(vip));

/** In which form an address is on an interface. */
export type AddressForm = {
  prefixLength: number;
  /** Absent: not known. */
  scope?: string;
};

/**
 * The form in which an agent puts a VIP up, and no DHCP client, boot script or person does: with its file lost, an agent
 * still knows a leftover of its own by it.
 */
export const isOurForm = ({ prefixLength, scope }: AddressForm): boolean =>
  prefixLength === 32 && scope === 'host';

/** Somebody else has put this address up, whatever an agent remembers. */
export const isForeignForm = ({ prefixLength, scope = 'host' }: AddressForm): boolean =>
  prefixLength !== 32 || scope !== 'host';

/** What is to be done to the interface. */
export type VIPPlan = { add: string[]; remove: string[] };

/**
 * Which addresses to put on the interface and which to take off.
 * An address this agent did not add itself is never taken off, whatever the spec says. A VIP that has left the spec, but is
 * still delivered here, stays until EC2 has moved it.
 */
export const planVIPs = (input: VIPInput): VIPPlan => {
  const { state, claim, vips, delivered, lastDelivered, onInterface, added, awaited } = input;
  const servesAll = state === 'Master' || claim === 'Always';
  const deliveredHere = (address: string) => (delivered ?? lastDelivered).includes(address);
  const belongs = (address: string) => deliveredHere(address) || (servesAll && vips.includes(address));

  const ours = [...new Set([...vips, ...added])];
  return {
    add: ours.filter((address) => belongs(address) && !onInterface.includes(address)),
    remove:
      delivered === null
        ? []
        : added.filter(
            (address) => onInterface.includes(address) && !belongs(address) && !awaited.includes(address),
          ),
  };
};

/** The subnet of the interface that carries the source address. */
export type Network = {
  /** The node's own address. */
  address: string;
  prefixLength: number;
  /** Default gateways and name servers: a /32 on the interface would hijack them. */
  reserved: readonly string[];
};

/**
 * Why a VIP may not go on the interface: it lies outside the subnet, where EC2 would refuse it, or it is an address the
 * node needs for itself.
 * @returns null when there is no objection
 */
export const refuseVIP = (vip: string, { address, prefixLength, reserved }: Network): string | null => {
  const size = 2 ** (32 - prefixLength);
  const first = Math.floor(parseIPv4Address(address) / size) * size;
  const offset = parseIPv4Address(vip) - first;
  if (offset < 0 || offset >= size)
    return `VIP ${vip} lies outside the subnet of ${address}/${prefixLength}; choose an address of that subnet`;
  if (vip === address)
    return `VIP ${vip} is the node's own address; choose one that no instance has as its primary`;
  if (reserved.includes(vip))
    return `VIP ${vip} is the node's gateway or name server; choose another address`;
  if (size > 2 && (offset === 0 || offset === size - 1))
    return `VIP ${vip} is the network or broadcast address of ${address}/${prefixLength}; choose another address`;
  return null;
};
