/**
 * VRRP messages over IPv4: version 2 (RFC 3768 section 5.1, with the simple password of RFC 2338 section 5.3.6) and
 * version 3 (RFC 9568 section 5.2). Decoding never throws and decides before anything else sees the packet.
 */
import type { Checksum, VRRPVersion } from '../../crds/types.ts';
import { formatIPv4Address, parseIPv4Address } from '../../runtime/ipv4.ts';
import { internetChecksum, type PseudoHeader } from './checksum.ts';
import { type IPv4Header, parseIPv4Header, VRRP_PROTOCOL } from './ipv4.ts';
import {
  type AcceptedParameters,
  DEFAULT_MINIMUM_TTL,
  REJECT_CAUSES,
  type RejectCause,
  type VirtualRouterConfig,
} from './types.ts';

const ADVERTISEMENT = 1;
const PRIORITY_OFFSET = 2;
const HEADER_LENGTH = 8;
const AUTH_DATA_LENGTH = 8;
const AUTH_NONE = 0;
const AUTH_PASSWORD = 1;

/** The content of an ADVERTISEMENT. */
export type Advert = {
  version: VRRPVersion;
  virtualRouterID: number;
  /** 0: the sender resigns. */
  priority: number;
  /** v2 carries whole seconds, v3 centiseconds of 12 bits. */
  advertisementIntervalMs: number;
  /** 1 to 255, in the sender's order. */
  addresses: string[];
};

/** How an advert is sealed: what authenticates it and what its checksum covers. */
export type Seal = {
  source: string;
  destination: string;
  /** v3 only. */
  checksum: Checksum;
  /** v2 only. */
  password?: Uint8Array;
};

/** An advert of the peer, or the first check that failed. */
export type DecodeResult =
  | { ok: true; advert: Advert; source: number }
  | { ok: false; cause: RejectCause; source: string };

/** What of a configuration the receive checks compare a packet with. */
export type Expected = Pick<
  VirtualRouterConfig,
  | 'version'
  | 'virtualRouterID'
  | 'checksum'
  | 'password'
  | 'advertisementIntervalMs'
  | 'accept'
  | 'sourceAddress'
  | 'peerAddress'
  | 'minimumTTL'
>;

/** Whether a VRRP message of ours says that its sender resigns. */
export const isResignation = (message: Uint8Array): boolean => message[PRIORITY_OFFSET] === 0;

const inRange = (value: number, low: number, high: number, what: string): number => {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new RangeError(
    `cannot encode a VRRP advert: ${what} is ${value}, not an integer of ${low} to ${high}`,
  );
};

const writeInterval = (view: DataView, advert: Advert, seal: Seal): void => {
  if (advert.version === 2) {
    view.setUint8(4, seal.password === undefined ? AUTH_NONE : AUTH_PASSWORD);
    view.setUint8(5, inRange(advert.advertisementIntervalMs / 1000, 1, 255, 'the v2 interval in seconds'));
  } else {
    view.setUint16(
      4,
      inRange(advert.advertisementIntervalMs / 10, 1, 4095, 'the v3 interval in centiseconds'),
    );
  }
};

/**
 * The VRRP message for `advert`, without an IP header.
 * @throws RangeError when a field does not fit its place in the packet.
 */
export const encodeAdvert = (advert: Advert, seal: Seal): Uint8Array => {
  const count = inRange(advert.addresses.length, 1, 255, 'the number of addresses');
  const authOffset = HEADER_LENGTH + 4 * count;
  const message = new Uint8Array(authOffset + (advert.version === 2 ? AUTH_DATA_LENGTH : 0));
  const view = new DataView(message.buffer);
  view.setUint8(0, (advert.version << 4) | ADVERTISEMENT);
  view.setUint8(1, inRange(advert.virtualRouterID, 1, 255, 'the virtual router ID'));
  view.setUint8(PRIORITY_OFFSET, inRange(advert.priority, 0, 255, 'the priority'));
  view.setUint8(3, count);
  writeInterval(view, advert, seal);
  for (const [index, address] of advert.addresses.entries()) {
    view.setUint32(HEADER_LENGTH + 4 * index, parseIPv4Address(address));
  }
  if (advert.version === 2 && seal.password !== undefined) {
    message.set(seal.password.subarray(0, AUTH_DATA_LENGTH), authOffset);
  }
  const pseudoHeader = coveredPseudoHeader(
    advert.version,
    seal.checksum,
    parseIPv4Address(seal.source),
    parseIPv4Address(seal.destination),
  );
  view.setUint16(6, internetChecksum(message, pseudoHeader));
  return message;
};

const coveredPseudoHeader = (
  version: VRRPVersion,
  checksum: Checksum,
  source: number,
  destination: number,
): PseudoHeader | null => (version === 3 && checksum === 'Pseudoheader' ? { source, destination } : null);

/**
 * Checks and reads a datagram as a raw socket delivers it, IP header included. The checks run in this order, and the first
 * that fails names the cause (RFC 9568 section 7.1, RFC 3768 section 7.1; unicast adds the pinned addresses):
 * IP header, protocol, IP length, destination, source, TTL; message length, version, type, virtual router ID, address
 * count, exact length; then, under any one of the accepted sets, checksum; v2: authentication type, password, interval; v3:
 * an interval that is not zero. When no set lets it in, the cause is that of the set it came furthest under.
 */
export const decodeAdvert = (datagram: Uint8Array, expected: Expected): DecodeResult => {
  const header = parseIPv4Header(datagram);
  if (header === null) return { ok: false, cause: 'IPHeaderInvalid', source: 'unknown' };
  const message = datagram.subarray(header.headerLength);
  const cause =
    checkIP(header, datagram.length, expected) ??
    checkMessage(message, expected) ??
    checkSets(message, header, expected);
  if (cause !== null) return { ok: false, cause, source: formatIPv4Address(header.source) };
  return { ok: true, advert: readAdvert(message, expected.version), source: header.source };
};

const checkIP = (header: IPv4Header, received: number, expected: Expected): RejectCause | null => {
  if (header.protocol !== VRRP_PROTOCOL) return 'ProtocolMismatch';
  if (header.totalLength !== received) return 'IPLengthMismatch';
  if (header.destination !== parseIPv4Address(expected.sourceAddress)) return 'DestinationNotOurs';
  if (header.source !== parseIPv4Address(expected.peerAddress)) return 'SourceNotPeer';
  if (header.ttl < (expected.minimumTTL ?? DEFAULT_MINIMUM_TTL)) return 'TTLTooLow';
  return null;
};

const checkMessage = (message: Uint8Array, expected: Expected): RejectCause | null => {
  const [versionAndType = 0, virtualRouterID = 0, , count = 0] = message;
  if (message.length < HEADER_LENGTH) return 'MessageTooShort';
  if (versionAndType >> 4 !== expected.version) return 'VersionMismatch';
  if ((versionAndType & 15) !== ADVERTISEMENT) return 'TypeUnknown';
  if (virtualRouterID !== expected.virtualRouterID) return 'VirtualRouterIDMismatch';
  if (count === 0) return 'AddressCountInvalid';
  const length = HEADER_LENGTH + 4 * count + (expected.version === 2 ? AUTH_DATA_LENGTH : 0);
  return message.length === length ? null : 'LengthMismatch';
};

const checkSets = (message: Uint8Array, header: IPv4Header, expected: Expected): RejectCause | null => {
  const { version, accept = [expected] } = expected;
  let furthest: RejectCause = 'ChecksumInvalid';
  for (const set of accept) {
    const cause =
      checkChecksum(message, header, version, set.checksum) ??
      (version === 2 ? checkVersion2(message, set) : checkVersion3(message));
    if (cause === null) return null;
    if (REJECT_CAUSES.indexOf(cause) > REJECT_CAUSES.indexOf(furthest)) furthest = cause;
  }
  return furthest;
};

// The configured forms and no other: a receiver that learns from what arrives can be taught a wrong one by one packet.
const checkChecksum = (
  message: Uint8Array,
  { source, destination }: IPv4Header,
  version: VRRPVersion,
  checksum: Checksum,
): RejectCause | null => {
  const pseudoHeader = coveredPseudoHeader(version, checksum, source, destination);
  return internetChecksum(message, pseudoHeader) === 0 ? null : 'ChecksumInvalid';
};

const checkVersion2 = (message: Uint8Array, expected: AcceptedParameters): RejectCause | null => {
  const authType = expected.password === undefined ? AUTH_NONE : AUTH_PASSWORD;
  if (message[4] !== authType) return 'AuthenticationTypeMismatch';
  if (expected.password !== undefined && !passwordMatches(message, expected.password))
    return 'PasswordMismatch';
  if ((message[5] ?? 0) * 1000 !== expected.advertisementIntervalMs) return 'IntervalMismatch';
  return null;
};

const passwordMatches = (message: Uint8Array, password: Uint8Array): boolean =>
  message.subarray(message.length - AUTH_DATA_LENGTH).every((byte, index) => byte === (password[index] ?? 0));

// A Backup that learned an interval of 0 would claim at once.
const checkVersion3 = (message: Uint8Array): RejectCause | null =>
  readCentiseconds(message) === 0 ? 'IntervalInvalid' : null;

// The upper four bits are reserved and ignored, RFC 9568 section 5.2.6.
const readCentiseconds = (message: Uint8Array): number => (((message[4] ?? 0) & 15) << 8) | (message[5] ?? 0);

const readAdvert = (message: Uint8Array, version: VRRPVersion): Advert => {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const addresses = Array.from({ length: view.getUint8(3) }, (_, index) =>
    formatIPv4Address(view.getUint32(HEADER_LENGTH + 4 * index)),
  );
  return {
    version,
    virtualRouterID: view.getUint8(1),
    priority: view.getUint8(PRIORITY_OFFSET),
    advertisementIntervalMs: version === 2 ? view.getUint8(5) * 1000 : readCentiseconds(message) * 10,
    addresses,
  };
};
