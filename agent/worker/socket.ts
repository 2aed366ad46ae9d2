/** The raw socket of IP protocol 112: unicast adverts out, whole datagrams with their IP header in. It never blocks. */

import { parseIPv4Address } from '../../runtime/ipv4.ts';
import { call, closeDescriptor, mustCall, SystemCallError, sinceArrivalMs } from '../sys/libc.ts';
import { filterPackets } from '../sys/packet-filter.ts';
import { VRRP_PROTOCOL } from '../vrrp/ipv4.ts';

const AF_INET = 2;
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const SOL_IP = 0;
const IP_TOS = 1;
const IP_TTL = 2;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const MSG_DONTWAIT = 0x40;
/** Linux: a datagram's way is found and nothing is sent (`ip_append_data`). */
const MSG_PROBE = 0x10;

/** Internetwork control, as keepalived sends. */
const TOS = 0xc0;
/** RFC 9568 section 5.1.1.3. */
const TTL = 255;
/**
 * A thread that is a little late must not let a Backup's timer begin late. What waited for longer waited for a process that had
 * slept: from when it is heard counts then, as with the wall clock set meanwhile.
 */
const LONGEST_WAITED_MS = 5;
/** Room for some hundred adverts, in case the thread is late; the kernel may grant less. */
const RECEIVE_BUFFER_BYTES = 256 * 1024;
/** Room for some hundred packets of strangers: they are counted, and what does not fit is lost in the kernel at little cost. */
const STRANGERS_BUFFER_BYTES = 64 * 1024;
/** More than a node has pairs. */
const PEERS_KEPT = 1024;
/** The longest VRRP message over IPv4: 255 addresses, header, authentication and the longest IP header. */
const LONGEST_DATAGRAM_BYTES = 60 + 8 + 4 * 255 + 8;
/** A v3 advert of one address. */
const SHORTEST_MESSAGE_BYTES = 12;

const ADVICE = {
  EPERM: 'grant CAP_NET_RAW to the agent',
  EACCES: 'grant CAP_NET_RAW to the agent',
  EADDRNOTAVAIL:
    'the interface does not carry the address; configure it, or correct the address in the HAPair',
  ENODEV: 'there is no such interface; correct its name in the HAPair, or leave it out there',
  EMFILE: 'raise the limit of open files of the agent',
};

/** What a datagram's sender and the sending itself depend on is gone: the interface, its link, or our address on it. */
const LINK_LOST = new Set(['ENODEV', 'ENXIO', 'ENETDOWN', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'EBADF']);

/** What became of a datagram: `linkLost` says that the socket is of no use any more. */
export type SendResult = { ok: true } | { ok: false; error: string; linkLost: boolean };

/** An open socket, bound to one address on one interface; several virtual routers may share it. */
export type VRRPSocket = {
  fd: number;
  /**
   * From now on `receive` hears these senders alone, dotted decimal; the kernel drops or sets aside what others send. Before, or
   * with more senders than a filter can hold, it hears everybody.
   */
  admit(peers: readonly string[]): void;
  /** As `receive`, of senders that are not admitted: nobody is woken for them, and a flood is sampled. */
  receiveStranger(): Uint8Array | null;
  /** Sends one VRRP message to `destination`, dotted decimal. */
  send(destination: string, message: Uint8Array): SendResult;
  /**
   * Goes the way of a message to `destination` as far as its route, and sends nothing: the next one finds it trodden.
   * @returns whether there is such a way
   */
  warmRoute(destination: string): boolean;
  /**
   * The next waiting datagram, valid until the next call; null: none is waiting.
   * @throws SystemCallError when the socket is of no use any more.
   */
  receive(): Uint8Array | null;
  /** How long the datagram that was received last had waited for that, in milliseconds; at most {@link LONGEST_WAITED_MS}. */
  waitedMs(): number;
  close(): void;
};

/**
 * Opens a socket for adverts from `source` over `interfaceName`.
 * @throws SystemCallError naming the step that failed and what to do.
 */
export const openVRRPSocket = (source: string, interfaceName: string): VRRPSocket => {
  const fd = openDescriptor(source, interfaceName, RECEIVE_BUFFER_BYTES);
  try {
    return socketOn(fd, openDescriptor(source, interfaceName, STRANGERS_BUFFER_BYTES), interfaceName);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
};

const openDescriptor = (source: string, interfaceName: string, receiveBufferBytes: number): number => {
  const fd = mustCall(
    'open a raw socket of IP protocol 112',
    ADVICE,
    'socket',
    AF_INET,
    SOCK_RAW_CLOEXEC_NONBLOCK,
    VRRP_PROTOCOL,
  );
  try {
    prepare(fd, source, interfaceName, receiveBufferBytes);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
  return fd;
};

/** Sends and receives over descriptors that are prepared for it. */
export const socketOn = (fd: number, strangersFd: number, interfaceName: string): VRRPSocket => {
  let isFiltered = false;
  const buffer = new Uint8Array(LONGEST_DATAGRAM_BYTES);
  // Written once for each peer; peers come and go, so not without a bound.
  const addresses = new Map<string, Uint8Array>();
  const addressOf = (destination: string): Uint8Array => {
    const known = addresses.get(destination) ?? socketAddress(destination);
    if (addresses.size >= PEERS_KEPT) addresses.clear();
    addresses.set(destination, known);
    return known;
  };
  return {
    fd,
    admit: (peers) => {
      const sources = peers.map(parseIPv4Address);
      isFiltered = filterPackets(strangersFd, sources, 'drop') && filterPackets(fd, sources, 'keep');
      // Both took everything until then: what waits of a peer would be heard twice.
      while (receive(strangersFd, interfaceName, buffer) !== null);
    },
    receiveStranger: () => (isFiltered ? receive(strangersFd, interfaceName, buffer) : null),
    send: (destination, message) => send(fd, interfaceName, destination, addressOf(destination), message),
    warmRoute: (destination) => {
      const address = addressOf(destination);
      const flags = MSG_DONTWAIT | MSG_PROBE;
      return call('sendto', fd, buffer, SHORTEST_MESSAGE_BYTES, flags, address, address.length).ok;
    },
    receive: () => receive(fd, interfaceName, buffer),
    waitedMs: () => {
      const waitedMs = sinceArrivalMs(fd);
      return waitedMs > 0 && waitedMs <= LONGEST_WAITED_MS ? waitedMs : 0;
    },
    close: () => {
      closeDescriptor(fd);
      closeDescriptor(strangersFd);
    },
  };
};

const prepare = (fd: number, source: string, interfaceName: string, receiveBufferBytes: number): void => {
  const set = (what: string, level: number, name: number, value: Uint8Array): void => {
    mustCall(`${what} on the VRRP socket`, ADVICE, 'setsockopt', fd, level, name, value, value.length);
  };
  set(`bind to interface ${interfaceName}`, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${interfaceName}\0`));
  set(`set TTL ${TTL}`, SOL_IP, IP_TTL, int32(TTL));
  set('set the type of service', SOL_IP, IP_TOS, int32(TOS));
  set('size the receive buffer', SOL_SOCKET, SO_RCVBUF, int32(receiveBufferBytes));
  const address = socketAddress(source);
  mustCall(`bind the VRRP socket to ${source}`, ADVICE, 'bind', fd, address, address.length);
  // Has the kernel stamp what arrives from now on.
  sinceArrivalMs(fd);
};

const send = (
  fd: number,
  interfaceName: string,
  destination: string,
  address: Uint8Array,
  message: Uint8Array,
): SendResult => {
  const result = call('sendto', fd, message, message.length, MSG_DONTWAIT, address, address.length);
  if (result.ok) return { ok: true };
  const error = `send an advert to ${destination} over ${interfaceName}: ${result.code} (${result.meaning})`;
  return { ok: false, error, linkLost: LINK_LOST.has(result.code) };
};

const receive = (fd: number, interfaceName: string, buffer: Uint8Array): Uint8Array | null => {
  const result = call('recv', fd, buffer, buffer.length, MSG_DONTWAIT);
  if (result.ok) return buffer.subarray(0, result.value);
  if (LINK_LOST.has(result.code)) {
    throw new SystemCallError(`receive adverts over ${interfaceName}`, result.code, result.meaning);
  }
  // EAGAIN: nothing waits. Anything else is the echo of an earlier send, and was consumed by this call.
  return null;
};

const int32 = (value: number): Uint8Array => new Uint8Array(new Int32Array([value]).buffer);

/** struct sockaddr_in without a port. */
const socketAddress = (address: string): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint32(4, parseIPv4Address(address));
  return bytes;
};
