/** Builds whole IPv4 datagrams as a raw socket delivers them: for tests, the simulation and the warm-up, which have no kernel to do it. */

import { parseIPv4Address } from '../../runtime/ipv4.ts';
import { VRRP_PROTOCOL } from './ipv4.ts';

/**
 * `message` behind an IPv4 header without options; its header checksum is zero, as no receiver above the kernel looks at it.
 * @param ttl default 255.
 */
export const ipv4Datagram = (
  message: Uint8Array,
  { source, destination, ttl = 255 }: { source: string; destination: string; ttl?: number },
): Uint8Array => {
  const datagram = new Uint8Array(20 + message.length);
  const view = new DataView(datagram.buffer);
  view.setUint8(0, 0x45);
  view.setUint8(1, 0xc0);
  view.setUint16(2, datagram.length);
  view.setUint8(8, ttl);
  view.setUint8(9, VRRP_PROTOCOL);
  view.setUint32(12, parseIPv4Address(source));
  view.setUint32(16, parseIPv4Address(destination));
  datagram.set(message, 20);
  return datagram;
};
