/** Part of a pair's state: the machine's interfaces, and what EC2 delivers here. Written here alone. */
import type { IMDSReading, InterfaceReading } from '../../ports.ts';
import type { Problem } from '../../rules/problem.ts';
import type { Seen } from './seen.ts';

type Part = {
  /** Null: not read yet. */
  interfaces: InterfaceReading | null;
  /** Null: unknown. */
  imds: IMDSReading | null;
  /** As IMDS has listed it last. */
  lastDelivered: readonly string[];
  /** Trouble with an address on the interface. */
  addressTrouble: Problem | null;
};

export type NetworkState = Seen<Part>;

export const initialNetwork = (lastDelivered: readonly string[] = []): NetworkState => ({
  interfaces: null,
  imds: null,
  lastDelivered,
  addressTrouble: null,
});

/** @param reading null: IMDS could not be read */
export const seeIMDS = (state: Part, reading: IMDSReading | null): void => {
  state.imds = reading;
};

export const seeDelivered = (state: Part, delivered: readonly string[]): void => {
  state.lastDelivered = delivered;
};

export const seeInterfaces = (state: Part, reading: InterfaceReading): void => {
  state.interfaces = reading;
};

/** The kernel has done it: no need to wait for the next reading. */
export const setOnInterface = (state: Part, name: string, address: string, present: boolean): void => {
  if (state.interfaces === null) return;
  state.interfaces = {
    ...state.interfaces,
    interfaces: state.interfaces.interfaces.map((entry) => {
      if (entry.name !== name) return entry;
      const others = entry.addresses.filter((known) => known.address !== address);
      const put = { address, prefixLength: 32, scope: 'host' };
      return { ...entry, addresses: present ? [...others, put] : others };
    }),
  };
};

/** @returns whether there is something new to report */
export const setAddressTrouble = (state: Part, trouble: Problem | null): boolean => {
  if (state.addressTrouble?.message === trouble?.message) return false;
  state.addressTrouble = trouble;
  return true;
};
