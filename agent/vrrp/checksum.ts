/** The Internet checksum (RFC 1071), with and without the pseudo-header of RFC 9568 section 5.2.8. */
import { VRRP_PROTOCOL } from './ipv4.ts';

/** The addresses that a pseudo-header carries, as unsigned 32-bit numbers. */
export type PseudoHeader = { source: number; destination: number };

const sumOfAddress = (address: number): number => (address >>> 16) + (address & 0xffff);

/**
 * The checksum of `message`, whose own checksum field must be zero to compute one; over a message that carries its
 * right checksum the result is 0.
 * @param pseudoHeader null: the message alone.
 */
export const internetChecksum = (message: Uint8Array, pseudoHeader: PseudoHeader | null): number => {
  let sum = 0;
  if (pseudoHeader !== null) {
    sum += sumOfAddress(pseudoHeader.source) + sumOfAddress(pseudoHeader.destination);
    sum += VRRP_PROTOCOL + message.length;
  }
  for (let index = 0; index < message.length; index += 2) {
    sum += ((message[index] ?? 0) << 8) | (message[index + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};
