/**
 * One source address on one interface, and the socket on it that all virtual routers there share: a raw socket receives a
 * copy of every VRRP datagram, so a socket for each would multiply the work. A link that is lost is tried again every second.
 */
import { networkInterfaces } from 'node:os';
import type { Reason } from '../crds/conditions.ts';
import { openVRRPSocket, type VRRPSocket } from './socket.ts';

/** Why a link cannot be used. */
export type LinkFault = { reason: Reason; error: string };

/** A link: up with a socket, or down with a fault. */
export class Link {
  readonly sourceAddress: string;
  readonly interfaceName: string;
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
      return { socket: openVRRPSocket(this.sourceAddress, this.interfaceName) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { fault: { reason: 'InstanceFaulty', error: message } };
    }
  }

  /** Node lists an interface only while it is up and has a carrier. */
  #missing(): string | null {
    const addresses = networkInterfaces()[this.interfaceName];
    if (addresses === undefined) {
      return `interface ${this.interfaceName} is missing, down or without a carrier; bring it up`;
    }
    return addresses.some(({ address }) => address === this.sourceAddress)
      ? null
      : `interface ${this.interfaceName} does not carry ${this.sourceAddress}; configure the address there`;
  }
}
