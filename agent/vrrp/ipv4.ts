/** The IPv4 header that a raw socket delivers to a VRRP receiver; addresses are unsigned 32-bit numbers. */

/** IP protocol number of VRRP, RFC 9568 section 5.1.1.4. */
export const VRRP_PROTOCOL = 112;

/** The fields of an IPv4 header (RFC 791 section 3.1) that the receive checks look at. */
export type IPv4Header = {
  /** Bytes, options included. */
  headerLength: number;
  /** Bytes, header included. */
  totalLength: number;
  ttl: number;
  protocol: number;
  source: number;
  destination: number;
};

/**
 * Reads the IPv4 header at the start of `datagram`.
 * @returns null when it is no complete IPv4 header.
 */
export const parseIPv4Header = (datagram: Uint8Array): IPv4Header | null => {
  if (datagram.length < 20) return null;
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const headerLength = (view.getUint8(0) & 15) * 4;
  if (view.getUint8(0) >> 4 !== 4 || headerLength < 20 || headerLength > datagram.length) return null;
  return {
    headerLength,
    totalLength: view.getUint16(2),
    ttl: view.getUint8(8),
    protocol: view.getUint8(9),
    source: view.getUint32(12),
    destination: view.getUint32(16),
  };
};
