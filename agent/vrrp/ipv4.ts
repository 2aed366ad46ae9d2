/** IPv4 as a VRRP receiver sees it: addresses as unsigned 32-bit numbers, and the header that a raw socket delivers. */

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
 * Dotted decimal to an unsigned 32-bit number; the order of the numbers is the order of RFC 9568's tie-break.
 * @throws RangeError when `text` is no IPv4 address.
 */
export const parseIPv4Address = (text: string): number => {
  const parts = text.split('.');
  const wellFormed = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part));
  if (!wellFormed || parts.some((part) => Number(part) > 255)) {
    throw new RangeError(`"${text}" is not an IPv4 address; four decimal numbers of 0 to 255 are expected`);
  }
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
};

/** Unsigned 32-bit number to dotted decimal. */
export const formatIPv4Address = (value: number): string =>
  `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;

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
