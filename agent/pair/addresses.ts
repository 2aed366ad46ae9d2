/** Where the pair's addresses are on this machine, and what its VIP rule asks of the interface. */
import { type VRRPInstanceSpec, vipsOf } from '../../crds/types.ts';
import type { IMDSReading, InterfaceReading, NodeAddress, NodeInterface } from '../ports.ts';
import type { Problem } from '../rules/problem.ts';
import {
  awaitedVIPs,
  isForeignForm,
  isOurForm,
  type Network,
  planVIPs,
  refuseVIP,
  type VIPPlan,
} from '../rules/vip.ts';
import type { PairState } from './state.ts';

/** The interface that carries the source address, if any does. */
export const carrierOf = (
  interfaces: InterfaceReading | null,
  spec: Pick<VRRPInstanceSpec, 'sourceAddress' | 'interface'>,
): NodeInterface | undefined =>
  interfaces?.interfaces.find(
    ({ name, addresses }) =>
      (spec.interface === undefined || spec.interface === name) &&
      addresses.some(({ address }) => address === spec.sourceAddress),
  );

/** Addresses that this agent put on an interface which the pair has left since; `name` is that interface. */
export const strandedAddresses = (state: PairState): { name: string; addresses: string[] } => {
  const { added, interface: name } = state.record;
  const spec = state.loaded?.spec;
  const left = name !== null && spec !== undefined && interfaceNameOf(state, spec) !== name;
  const found = left ? state.interfaces?.interfaces.find((entry) => entry.name === name) : undefined;
  const present = found?.addresses.filter((entry) => !isForeignForm(entry)) ?? [];
  const isThere = (address: string) => present.some((entry) => entry.address === address);
  return { name: name ?? '', addresses: added.filter(isThere) };
};

/** The name of the pair's interface: as the spec says, as seen now, or as seen last. */
export const interfaceNameOf = (state: PairState, spec: VRRPInstanceSpec): string | null =>
  spec.interface ?? carrierOf(state.interfaces, spec)?.name ?? state.record.interface;

const networkInterfaceOf = (imds: IMDSReading | null, spec: VRRPInstanceSpec) =>
  imds?.networkInterfaces.find(({ networkInterfaceID }) => networkInterfaceID === spec.networkInterfaceID);

/** Every address that EC2 delivers to the pair's ENI; null: unknown, or the ENI is not here. */
export const deliveredTo = (imds: IMDSReading | null, spec: VRRPInstanceSpec): string[] | null =>
  networkInterfaceOf(imds, spec)?.addresses ?? null;

/** IMDS has shown the ENI on this instance, now or before IMDS became unreadable. */
export const isVerified = (state: PairState, spec: VRRPInstanceSpec): boolean =>
  state.imds === null
    ? state.record.verifiedNetworkInterfaceID === spec.networkInterfaceID
    : networkInterfaceOf(state.imds, spec) !== undefined;

/** The subnet a VIP must lie in: EC2's if IMDS was read, else as the interface is configured. */
export const networkOf = (state: PairState, spec: VRRPInstanceSpec): Network | undefined => {
  const own = carrierOf(state.interfaces, spec)?.addresses.find(
    ({ address }) => address === spec.sourceAddress,
  );
  if (own === undefined) return undefined;
  const cidrLength = Number(networkInterfaceOf(state.imds, spec)?.subnetCIDR?.split('/')[1] ?? Number.NaN);
  const prefixLength = Number.isInteger(cidrLength) ? cidrLength : own.prefixLength;
  return { address: own.address, prefixLength, reserved: state.interfaces?.reserved ?? [] };
};

/** Why a VIP may not go on the interface; null: no objection, or the subnet is not known. */
const whyNot = (vip: string, network: Network | undefined): string | null =>
  network === undefined ? null : refuseVIP(vip, network);

/** The first VIP that may not go on the interface. */
export const refusal = (state: PairState, spec: VRRPInstanceSpec): Problem | null => {
  const network = networkOf(state, spec);
  const message = vipsOf(spec)
    .map((vip) => whyNot(vip, network))
    .find((why) => why !== null);
  return message === undefined ? null : { reason: 'AddressRefused', message };
};

/** The interface that VIPs go on, if it is there: the one that carries the source address, or did when last seen. */
export const vipInterfaceOf = (state: PairState): NodeInterface | undefined => {
  const spec = state.loaded?.spec ?? state.record.spec;
  const name = spec ? interfaceNameOf(state, spec) : state.record.interface;
  return state.interfaces?.interfaces.find((entry) => entry.name === name);
};

const entriesOn = (state: PairState): NodeAddress[] => vipInterfaceOf(state)?.addresses ?? [];

/** Every address on the pair's interface. */
export const onInterface = (state: PairState): string[] => entriesOn(state).map(({ address }) => address);

/** Addresses that this agent put up, but for those that somebody else has put there in another form since. */
export const ownAddresses = (state: PairState): string[] =>
  state.record.added.filter((address) => {
    const found = entriesOn(state).filter((entry) => entry.address === address);
    return found.length === 0 || !found.every(isForeignForm);
  });

/** VIPs that only an agent can have put on the interface, although nothing says so any more: its file was lost. */
export const orphanAddresses = (state: PairState): string[] => {
  const vips = [
    ...(state.loaded ? vipsOf(state.loaded.spec) : []),
    ...(state.lastKnownReport?.vipsOnInterface ?? []),
  ];
  return entriesOn(state)
    .filter((entry) => isOurForm(entry) && vips.includes(entry.address))
    .map(({ address }) => address)
    .filter((address) => !state.record.added.includes(address));
};

/** What the VIP rule asks of the interface now. */
export const vipPlan = (state: PairState, nowMs: number): VIPPlan => {
  const present = onInterface(state);
  const added = ownAddresses(state);
  if (state.abandoned) return { add: [], remove: added.filter((address) => present.includes(address)) };
  const spec = state.loaded?.spec;
  if (spec === undefined || state.gone || state.interfaces === null) return { add: [], remove: [] };
  const plan = planVIPs({
    state: state.election,
    claim: spec.claim,
    vips: vipsOf(spec),
    delivered: deliveredTo(state.imds, spec),
    lastDelivered: state.lastDelivered,
    onInterface: present,
    added,
    awaited: awaitedVIPs(vipsOf(spec), state.formerClaim, nowMs),
  });
  if (vipInterfaceOf(state) === undefined) return { ...plan, add: [] };
  if (carrierOf(state.interfaces, spec) === undefined) {
    // Without the own address nobody can say which VIP would hijack what, but EC2 vouches for what it delivers.
    const delivered = deliveredTo(state.imds, spec) ?? state.lastDelivered;
    return { ...plan, add: plan.add.filter((vip) => delivered.includes(vip)) };
  }
  const network = networkOf(state, spec);
  // One that may not go up keeps no other from it.
  return { ...plan, add: plan.add.filter((vip) => whyNot(vip, network) === null) };
};

/** True when all VIPs of the spec are on the interface; those that may not go there do not count, unless there are no others. */
export const vipsUp = (state: PairState): boolean => {
  const spec = state.loaded?.spec;
  if (spec === undefined || vipsOf(spec).length === 0) return true;
  const present = onInterface(state);
  const network = networkOf(state, spec);
  const possible = vipsOf(spec).filter((vip) => whyNot(vip, network) === null);
  return possible.length > 0 && possible.every((vip) => present.includes(vip));
};
