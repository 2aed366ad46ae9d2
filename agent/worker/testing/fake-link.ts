/** A link in memory: what tests see of adverts, and how they let datagrams arrive. */

import { ipv4Datagram } from '../../vrrp/datagrams.ts';
import { encodeAdvert } from '../../vrrp/packet.ts';
import type { VirtualRouterConfig } from '../../vrrp/types.ts';
import type { LinkFault } from '../link.ts';
import type { WorkerConfig } from '../messages.ts';
import type { RouterLink } from '../virtual-routers.ts';

/** What was sent, and where to. */
export type SentAdvert = { destination: string; virtualRouterID: number; priority: number };

export class FakeLink implements RouterLink {
  readonly sourceAddress: string;
  /** Every advert so far. */
  readonly sent: SentAdvert[] = [];
  /** Where it was warmed to send to. */
  readonly warmed: string[] = [];
  /** Datagrams that wait in the socket; a function: there is always one more. */
  waiting: Uint8Array[] | (() => Uint8Array) = [];
  /** Of senders that were not admitted. */
  strangers: Uint8Array[] = [];
  /** Who may be heard, as it was said last. */
  admitted: readonly string[] = [];
  /** How long each of them has waited. */
  waitedMs = 0;
  /** What the next look at the link finds. */
  trouble: LinkFault | null = null;
  /** How often it was looked at. */
  looks = 0;
  isClosed = false;
  #fault: LinkFault | null = null;

  constructor(sourceAddress: string) {
    this.sourceAddress = sourceAddress;
  }

  get fault(): LinkFault | null {
    return this.#fault;
  }

  get socket(): RouterLink['socket'] {
    if (this.#fault !== null) return null;
    return {
      fd: 0,
      send: (destination, message) => {
        const [, virtualRouterID = 0, priority = 0] = message;
        this.sent.push({ destination, virtualRouterID, priority });
        return { ok: true };
      },
      warmRoute: (destination) => this.warmed.push(destination) > 0,
      receive: () => (typeof this.waiting === 'function' ? this.waiting() : (this.waiting.shift() ?? null)),
      admit: () => undefined,
      receiveStranger: () => this.strangers.shift() ?? null,
      waitedMs: () => this.waitedMs,
      close: () => undefined,
    };
  }

  admit(peers: readonly string[]): void {
    this.admitted = peers;
  }

  check(): boolean {
    this.looks++;
    const before = this.#fault;
    this.#fault = this.trouble;
    return before?.error !== this.#fault?.error;
  }

  lose(error: string): void {
    this.#fault = { reason: 'SourceAddressMissing', error };
  }

  close(): void {
    this.isClosed = true;
  }
}

/** An advert that the peer of `config` sends, changed in what is named. */
export const advertOfPeer = (
  config: VirtualRouterConfig,
  changes: Partial<Pick<VirtualRouterConfig, 'priority' | 'virtualRouterID' | 'peerAddress'>> = {},
): Uint8Array => {
  const { version, virtualRouterID, priority, advertisementIntervalMs, checksum, peerAddress, vips } = {
    ...config,
    ...changes,
  };
  const route = { source: peerAddress, destination: config.sourceAddress };
  const content = { version, virtualRouterID, priority, advertisementIntervalMs, addresses: vips };
  return ipv4Datagram(encodeAdvert(content, { ...route, checksum }), route);
};

/** What a pair runs as, but for `changes`. */
export const routerConfig = (changes: Partial<WorkerConfig> = {}): WorkerConfig => ({
  version: 3,
  virtualRouterID: 51,
  priority: 100,
  advertisementIntervalMs: 1000,
  checksum: 'Pseudoheader',
  sourceAddress: '10.0.0.1',
  peerAddress: '10.0.0.2',
  interface: 'eth0',
  vips: ['10.0.0.100'],
  ...changes,
});

/** Its master-down interval. */
export const MASTER_DOWN_MS = 3609.375;
