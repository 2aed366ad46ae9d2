/**
 * Which virtual routers a datagram on their common socket is for. The same virtual router ID may serve two pairs with different
 * peers, so the sender decides between them. What no router there would take is for those that it is a fault of, which count it.
 */

import { parseIPv4Address } from '../../runtime/ipv4.ts';
import { parseIPv4Header } from '../vrrp/ipv4.ts';
import type { VirtualRouterConfig } from '../vrrp/types.ts';

/** What a datagram is matched with. */
export type Route = Pick<VirtualRouterConfig, 'virtualRouterID' | 'peerAddress'>;

/** The routers behind one socket; made anew whenever one of them changes. */
export class Demultiplexer<Router> {
  readonly #byVirtualRouterID = new Map<number, { router: Router; peer: number }[]>();
  readonly #byPeer = new Map<number, Router[]>();

  constructor(routers: Iterable<readonly [Router, Route]>) {
    for (const [router, { virtualRouterID, peerAddress }] of routers) {
      const peer = parseIPv4Address(peerAddress);
      append(this.#byVirtualRouterID, virtualRouterID, { router, peer });
      append(this.#byPeer, peer, router);
    }
  }

  /**
   * In this order: the routers of that ID whose peer has sent it; all routers of that ID (it comes from somebody else); the one
   * router of that peer (it says another ID). Several pairs with that peer: nobody, as it may well be one that is not set up yet.
   */
  recipients(datagram: Uint8Array): readonly Router[] {
    const header = parseIPv4Header(datagram);
    if (header === null) return [];
    const named = this.#byVirtualRouterID.get(datagram[header.headerLength + 1] ?? 0) ?? [];
    const expecting = named.filter(({ peer }) => peer === header.source);
    if (named.length > 0) return (expecting.length > 0 ? expecting : named).map(({ router }) => router);
    const ofPeer = this.#byPeer.get(header.source) ?? [];
    return ofPeer.length === 1 ? ofPeer : [];
  }
}

const append = <Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void => {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
};
