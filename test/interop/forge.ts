/**
 * A third host's packets: `forge.ts JSON`, a {@link Packet}. Prints a line once the first one has left, and goes on until
 * it is ended if there are to be more.
 */
import { mustCall } from '../../agent/sys/libc.ts';
import { VRRP_PROTOCOL } from '../../agent/vrrp/ipv4.ts';
import { parseIPv4Address } from '../../runtime/ipv4.ts';

/** What is sent, and whom it names as its sender. */
export type Packet = {
  source: string;
  destination: string;
  /** Default 255. */
  ttl?: number;
  /** The VRRP message. */
  message: number[];
  /** Default: once. */
  everyMs?: number;
};

const AF_INET = 2;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
/** The header is ours; the kernel fills in its length, its ID and its checksum (raw(7)). */
const IPPROTO_RAW = 255;
const VERSION_AND_LENGTH = 0x45;
const TOS = 0xc0;

const datagramOf = ({ source, destination, ttl = 255, message }: Packet): Uint8Array => {
  const datagram = new Uint8Array(20 + message.length);
  const view = new DataView(datagram.buffer);
  view.setUint8(0, VERSION_AND_LENGTH);
  view.setUint8(1, TOS);
  view.setUint8(8, ttl);
  view.setUint8(9, VRRP_PROTOCOL);
  view.setUint32(12, parseIPv4Address(source));
  view.setUint32(16, parseIPv4Address(destination));
  datagram.set(message, 20);
  return datagram;
};

if (import.meta.main) {
  const packet: Packet = JSON.parse(process.argv[2] ?? '');
  const fd = mustCall('open a raw socket', {}, 'socket', AF_INET, SOCK_RAW_CLOEXEC, IPPROTO_RAW);
  const datagram = datagramOf(packet);
  const destination = Uint8Array.of(
    AF_INET,
    0,
    0,
    0,
    ...packet.destination.split('.').map(Number),
    ...Array(8).fill(0),
  );
  const send = (): void => {
    const what = `send to ${packet.destination}`;
    mustCall(what, {}, 'sendto', fd, datagram, datagram.length, 0, destination, destination.length);
  };
  send();
  process.stdout.write('sent\n');
  if (packet.everyMs !== undefined) setInterval(send, packet.everyMs);
}
