/**
 * One source address on one interface, and the socket on it that all virtual routers there share: a raw socket receives a
 * copy of every VRRP datagram, so a socket for each would multiply the work. A link that is lost is tried again every second.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Reason } from '../../crds/conditions.ts';
import { messageOf } from '../../runtime/error-text.ts';
import { openVRRPSocket, type VRRPSocket } from './socket.ts';

/** Why a link cannot be used. */
export type LinkFault = { reason: Reason; error: string };

/** A link: up with a socket, or down with a fault. */
export class Link {
  readonly sourceAddress: string;
  readonly interfaceName: string;
  /** The senders that are heard. */
  #peers: readonly string[] = [];
  #state: { socket: VRRPSocket } | { fault: LinkFault };

  /** Tries to open the socket at once. */
  constructor(sourceAddress: string, interfaceName: string) {
    this.sourceAddress = sourceAddress;
    this.interfaceName = interfaceName;
    this.#state = this.#open();
  }

  /** Same key, same link. */
  static key(sourceAddress: string, interfaceName: string): string {
    return `${sourceAddress}%${interfaceName}`;
  }

  get socket(): VRRPSocket | null {
    return 'socket' in this.#state ? this.#state.socket : null;
  }

  get fault(): LinkFault | null {
    return 'fault' in this.#state ? this.#state.fault : null;
  }

  /** Hears these senders alone from now on, dotted decimal; what others send is a stranger's. */
  admit(peers: readonly string[]): void {
    this.#peers = [...new Set(peers)];
    this.socket?.admit(this.#peers);
  }

  /** Looks at interface and address: loses the link, or finds it again. @returns whether anything changed. */
  check(): boolean {
    if (this.socket === null) {
      const before = this.fault?.error;
      this.#state = this.#open();
      return this.fault?.error !== before;
    }
    const missing = this.#missing();
    if (missing !== null) this.lose(missing);
    return missing !== null;
  }

  /** Gives up the socket: what it needs is gone. */
  lose(error: string): void {
    this.close();
    this.#state = { fault: { reason: 'SourceAddressMissing', error } };
  }

  close(): void {
    this.socket?.close();
  }

  #open(): { socket: VRRPSocket } | { fault: LinkFault } {
    const missing = this.#missing();
    if (missing !== null) return { fault: { reason: 'SourceAddressMissing', error: missing } };
    try {
      const socket = openVRRPSocket(this.sourceAddress, this.interfaceName);
      socket.admit(this.#peers);
      return { socket };
    } catch (error) {
      const message = messageOf(error);
      return { fault: { reason: 'InstanceFaulty', error: message } };
    }
  }

  #missing(): string | null {
    return missingOf(networkInterfaces(), this.interfaceName, this.sourceAddress);
  }
}

/**
 * What a link lacks. Node lists an interface only while it is up and has a carrier, and an address that has a label of its
 * own under that label: `eth0:2`. The kernel itself gives such labels, when an interface with several addresses is renamed.
 * @returns null when it lacks nothing
 */
export const missingOf = (
  listed: NodeJS.Dict<Pick<NetworkInterfaceInfo, 'address'>[]>,
  interfaceName: string,
  sourceAddress: string,
): string | null => {
  const labels = Object.keys(listed).filter((label) => label.split(':', 1)[0] === interfaceName);
  if (labels.length === 0) {
    return `interface ${interfaceName} is missing, down or without a carrier; bring it up`;
  }
  return labels.some((label) => listed[label]?.some(({ address }) => address === sourceAddress))
    ? null
    : `interface ${interfaceName} does not carry ${sourceAddress}; configure the address there`;
};
