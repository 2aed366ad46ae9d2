/**
 * A tap on the fabric: prints every VRRP advert that an instance sends, one JSON object per line, so that a report need not
 * take an agent's word for when the last advert left. Runs in the fabric's namespace; ends with SIGTERM.
 */
import koffi from 'koffi';
import { nowMs } from './clock.ts';

/** One advert as it entered the fabric. */
export type SeenAdvert = {
  /** Unix milliseconds with a fraction. */
  atMs: number;
  source: string;
  version: number;
  virtualRouterID: number;
  /** 0: the sender resigns. */
  priority: number;
};

/** Linux `AF_PACKET`, `SOCK_DGRAM | SOCK_CLOEXEC`, and `ETH_P_IP`: what comes in, not what is forwarded out again. */
const AF_PACKET = 17;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const ETH_P_IP = 0x0800;
const VRRP_PROTOCOL = 112;

/** Reads an advert out of an IPv4 packet; undefined: it is none. */
export const readAdvert = (packet: Uint8Array, atMs: number): SeenAdvert | undefined => {
  const headerLength = ((packet[0] ?? 0) & 0x0f) * 4;
  if (packet[9] !== VRRP_PROTOCOL || packet.length < headerLength + 8) return undefined;
  const [versionAndType = 0, virtualRouterID = 0, priority = 0] = packet.subarray(headerLength);
  const source = packet.subarray(12, 16).join('.');
  return { atMs, source, version: versionAndType >> 4, virtualRouterID, priority };
};

/** Listens until it is ended. @throws Error when the socket cannot be opened. */
const listen = (onAdvert: (advert: SeenAdvert) => void): never => {
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const recv = libc.func('long recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)');
  const networkOrder = ((ETH_P_IP & 0xff) << 8) | (ETH_P_IP >> 8);
  const fd = socket(AF_PACKET, SOCK_DGRAM_CLOEXEC, networkOrder) as number;
  if (fd < 0) throw new Error(`The tap could not open a packet socket (errno ${koffi.errno()}).`);
  const buffer = new Uint8Array(256);
  for (;;) {
    const length = recv(fd, buffer, buffer.length, 0) as number;
    const advert = length > 0 ? readAdvert(buffer.subarray(0, length), nowMs()) : undefined;
    if (advert !== undefined) onAdvert(advert);
  }
};

if (import.meta.main) {
  process.stdout.write('{"ready":true}\n');
  listen((advert) => process.stdout.write(`${JSON.stringify(advert)}\n`));
}
