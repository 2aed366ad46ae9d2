/**
 * A tap on the fabric: prints every probe that leaves it towards an ENI, one JSON object per line, so that a probe counts as
 * lost where the network says that it went nowhere, and not where an answer was late. Runs in the fabric's namespace.
 */
import { execFileSync } from 'node:child_process';
import koffi from 'koffi';
import { PROBE_PORT } from './responder.ts';

/** Where one probe went. */
export type Delivery = {
  /** The private address that it was sent to, or that the internet gateway has made of a public one. */
  target: string;
  /** As the client counts. */
  seq: number;
  /** The fabric's end of the ENI's veth pair. */
  device: string;
};

/** Linux `AF_PACKET`, `SOCK_DGRAM | SOCK_CLOEXEC`, `ETH_P_ALL`, `PACKET_OUTGOING`, `SO_RCVBUFFORCE` of `SOL_SOCKET`. */
const AF_PACKET = 17;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const ETH_P_ALL = 0x0003;
const PACKET_OUTGOING = 4;
const UDP = 17;

/** Reads a probe out of an IPv4 packet; undefined: it is none. */
export const readProbe = (packet: Buffer): { target: string; seq: number } | undefined => {
  const header = ((packet[0] ?? 0) & 0x0f) * 4;
  if (packet[0] === undefined || packet[0] >> 4 !== 4 || packet[9] !== UDP || packet.length < header + 16)
    return undefined;
  if (packet.readUInt16BE(header + 2) !== PROBE_PORT) return undefined;
  const seq = Number(packet.readBigUInt64BE(header + 8));
  return { target: packet.subarray(16, 20).join('.'), seq };
};

/** Names of the devices of this namespace by their numbers. */
const deviceNames = (): Map<number, string> => {
  const links: { ifindex: number; ifname: string }[] = JSON.parse(
    execFileSync('ip', ['-j', 'link'], { encoding: 'utf8' }),
  );
  return new Map(links.map(({ ifindex, ifname }) => [ifindex, ifname]));
};

/** Listens until it is ended. @throws Error when the socket cannot be opened. */
const listen = (onDelivery: (delivery: Delivery) => void): never => {
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const recvfrom = libc.func(
    'long recvfrom(int fd, _Out_ uint8_t *buffer, size_t length, int flags, _Out_ uint8_t *from, _Inout_ uint32_t *size)',
  );
  const devices = deviceNames();
  const fd = socket(AF_PACKET, SOCK_DGRAM_CLOEXEC, ETH_P_ALL << 8) as number;
  if (fd < 0) throw new Error(`The tap could not open a packet socket (errno ${koffi.errno()}).`);
  const buffer = Buffer.alloc(128);
  const from = Buffer.alloc(20); // struct sockaddr_ll
  for (;;) {
    const length = recvfrom(fd, buffer, buffer.length, 0, from, [from.length]) as number;
    if (length <= 0 || from[10] !== PACKET_OUTGOING) continue;
    const probe = readProbe(buffer.subarray(0, length));
    const device = devices.get(from.readInt32LE(4));
    if (probe !== undefined && device !== undefined) onDelivery({ ...probe, device });
  }
};

if (import.meta.main) {
  process.stdout.write('{"ready":true}\n');
  listen((delivery) => process.stdout.write(`${JSON.stringify(delivery)}\n`));
}
