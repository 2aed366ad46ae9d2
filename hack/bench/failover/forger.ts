/**
 * Runs on a Master's instance: waits for the Master's next advert, and 30 ms later sends its peer a resignation in the
 * Master's name. The peer becomes Master a skew time after that, before the Master's next advert can tell it better.
 * Usage: `forger.ts SOURCE PEER`. Ends when that is done.
 */
import { networkInterfaces } from 'node:os';
import koffi from 'koffi';
import { resignationOf, vrrpFrom } from './forge.ts';

/** After the advert: later than the peer has handled it, long before the next one. */
const DELAY_MS = 30;

/** Linux: `AF_PACKET`, `AF_INET`, socket types with `SOCK_CLOEXEC`, and `ETH_P_ALL`, which shows what leaves as well. */
const AF_PACKET = 17;
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const ETH_P_ALL = 0x0003;
const VRRP_PROTOCOL = 112;
const IPPROTO_IP = 0;
const IP_TOS = 1;
const IP_TTL = 2;
/** As VRRP wants them: TTL 255 (RFC 3768 section 5.2.3), internetwork control as keepalived sends. */
const OPTIONS = [
  [IP_TTL, 255],
  [IP_TOS, 0xc0],
] as const;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const uint8_t *address, uint32_t length)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, const int *value, uint32_t length)',
);
const recv = libc.func('long recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)');
const sendto = libc.func(
  'long sendto(int fd, const uint8_t *data, size_t length, int flags, const uint8_t *address, uint32_t size)',
);

/** @throws Error that names the attempt when the call failed. */
const must = (attempt: string, result: unknown): number => {
  if (Number(result) < 0) throw new Error(`${attempt} failed (errno ${koffi.errno()}).`);
  return Number(result);
};

/** `struct sockaddr_in`, port 0. */
const addressOf = (text: string): Uint8Array =>
  Uint8Array.of(AF_INET, 0, 0, 0, ...text.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0);

const overhear = (source: string): Uint8Array => {
  const networkOrder = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);
  const fd = must('A packet socket', socket(AF_PACKET, SOCK_DGRAM_CLOEXEC, networkOrder));
  process.stdout.write('{"ready":true}\n');
  const buffer = new Uint8Array(256);
  for (;;) {
    const length = must('Listening', recv(fd, buffer, buffer.length, 0));
    const message = vrrpFrom(buffer.subarray(0, length), source);
    if (message !== undefined && message[2] !== 0) return message;
  }
};

const send = (message: Uint8Array, source: string, peer: string): void => {
  const fd = must('A raw socket', socket(AF_INET, SOCK_RAW_CLOEXEC, VRRP_PROTOCOL));
  const size = addressOf(source).length;
  must(`Binding to ${source}`, bind(fd, addressOf(source), size));
  for (const [name, value] of OPTIONS) must('An option', setsockopt(fd, IPPROTO_IP, name, [value], 4));
  must(`Sending to ${peer}`, sendto(fd, message, message.length, 0, addressOf(peer), size));
};

const [source = '', peer = ''] = process.argv.slice(2);
if (!Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === source)))
  throw new Error(`${source} is no address of this instance.`);
const advert = overhear(source);
await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
send(resignationOf(advert), source, peer);
