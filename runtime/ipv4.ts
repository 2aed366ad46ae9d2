/** IPv4 addresses as unsigned 32-bit numbers, whose order is that of the addresses. */

/**
 * Parses dotted decimal into an unsigned 32-bit number.
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

/** Writes an unsigned 32-bit number as dotted decimal. */
export const formatIPv4Address = (value: number): string =>
  `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
