/**
 * Sees every VRRP advert that enters any switch of the world, and prints one line for each: Unix milliseconds as the kernel
 * stamped them, source address, virtual router ID, priority. The stamp is the kernel's, so it does not matter how late this
 * program reads. Ends with SIGTERM.
 */
import koffi from 'koffi';
import { readAdvert } from '../../lab/adverts.ts';

const AF_PACKET = 17;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** Only a socket for every protocol sees a packet before the switch takes it. In network order. */
const ETH_P_ALL = 0x0300;

const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;
const SO_RCVBUF = 8;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const PACKET_IGNORE_OUTGOING = 23;
/** ioctl(2): `struct timespec` of the packet that was received last; the first call switches the stamps on. */
const SIOCGSTAMPNS = 0x8907;

/** Room for seconds of lateness. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;
/** What was seen is told at most so much later. */
const FLUSH_MS = 100;

const libc = koffi.load('libc.so.6');
const calls = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  recv: libc.func('long recv(int fd, void *buffer, size_t length, int flags)'),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *value)'),
};

const int32 = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);

const open = (): number => {
  const fd: number = calls.socket(AF_PACKET, SOCK_DGRAM_CLOEXEC, ETH_P_ALL);
  if (fd < 0) throw new Error(`The tap could not open a packet socket (errno ${koffi.errno()}).`);
  const set = (level: number, name: number, value: Uint8Array): boolean =>
    calls.setsockopt(fd, level, name, value, value.length) === 0;
  const must = (what: string, done: boolean): void => {
    if (!done) throw new Error(`The tap could not ${what} (errno ${koffi.errno()}).`);
  };
  must('leave out what goes out', set(SOL_PACKET, PACKET_IGNORE_OUTGOING, int32(1)));
  const room = int32(RECEIVE_BUFFER_BYTES);
  must('size its buffer', set(SOL_SOCKET, SO_RCVBUFFORCE, room) || set(SOL_SOCKET, SO_RCVBUF, room));
  const timeval = new Uint8Array(BigInt64Array.of(0n, BigInt(FLUSH_MS * 1000)).buffer);
  must('bound its wait', set(SOL_SOCKET, SO_RCVTIMEO, timeval));
  calls.ioctl(fd, SIOCGSTAMPNS, new Uint8Array(16));
  return fd;
};

const listen = (fd: number): never => {
  const packet = new Uint8Array(256);
  const stamp = new BigInt64Array(2);
  const stampBytes = new Uint8Array(stamp.buffer);
  const statistics = new Uint32Array(2);
  const statisticsBytes = new Uint8Array(statistics.buffer);
  let lines = '';
  let flushedAtMs = performance.now();
  for (;;) {
    const length: number = calls.recv(fd, packet, packet.length, 0);
    if (length > 0) {
      calls.ioctl(fd, SIOCGSTAMPNS, stampBytes);
      const [seconds = 0n, nanoseconds = 0n] = stamp;
      const atMs = Number(seconds) * 1000 + Number(nanoseconds) / 1e6;
      const advert = readAdvert(packet.subarray(0, length), atMs);
      if (advert !== undefined)
        lines += `${atMs} ${advert.source} ${advert.virtualRouterID} ${advert.priority}\n`;
    }
    if (performance.now() - flushedAtMs < FLUSH_MS) continue;
    flushedAtMs = performance.now();
    calls.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, statisticsBytes, int32(8));
    const [, dropped = 0] = statistics;
    if (dropped > 0) lines += `dropped ${dropped}\n`;
    if (lines !== '') process.stdout.write(lines);
    lines = '';
  }
};

if (import.meta.main) {
  const fd = open();
  process.stdout.write('ready\n');
  listen(fd);
}
