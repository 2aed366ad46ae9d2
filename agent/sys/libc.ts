/**
 * The few calls of libc that Node lacks, through koffi. A call blocks its thread and cannot be interrupted, so only
 * non-blocking descriptors and bounded waits belong here. Linux alone.
 */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const calls = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  sendto: libc.func(
    'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  recv: libc.func('long recv(int fd, void *buffer, size_t length, int flags)'),
  read: libc.func('long read(int fd, void *buffer, size_t length)'),
  write: libc.func('long write(int fd, const void *data, size_t length)'),
  close: libc.func('int close(int fd)'),
  flock: libc.func('int flock(int fd, int operation)'),
  // Variadic in C; an int is passed alike on Linux.
  fcntl: libc.func('int fcntl(int fd, int command, int argument)'),
  memfd_create: libc.func('int memfd_create(const char *name, unsigned int flags)'),
  execve: libc.func('int execve(const char *path, const char **argv, const char **envp)'),
  ppoll: libc.func('int ppoll(void *fds, unsigned long count, const void *timeout, const void *signals)'),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *argument)'),
  eventfd: libc.func('int eventfd(unsigned int value, int flags)'),
  clock_gettime: libc.func('int clock_gettime(int clock, void *time)'),
  sched_setscheduler: libc.func('int sched_setscheduler(int pid, int policy, const void *parameters)'),
  sched_getscheduler: libc.func('int sched_getscheduler(int pid)'),
  sched_yield: libc.func('int sched_yield()'),
  setpriority: libc.func('int setpriority(int which, uint32_t who, int priority)'),
  prctl: libc.func(
    'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  ),
  // For calls that an older libc has no name for.
  syscall: libc.func('long syscall(long number, unsigned long a, unsigned long b, unsigned long c)'),
  waitpid: libc.func('int waitpid(int pid, void *status, int options)'),
};
export type SystemCall = keyof typeof calls;

/** A call of the operating system that failed; `code` is the errno name, such as `EPERM`. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly code: string;

  /** @param attempt what was attempted on what, such as `bind 10.10.10.11`; `advice` what to do about it. */
  constructor(attempt: string, code: string, meaning: string, advice?: string) {
    super(`${attempt}: ${code} (${meaning})${advice === undefined ? '' : `; ${advice}`}`);
    this.code = code;
  }
}

/** Numbers, buffers and C strings; an array of strings ends with null. */
type Argument = number | string | Uint8Array | readonly (string | null)[] | null;

/** How a call ended: its result, or the errno name with its meaning. */
export type CallResult = { ok: true; value: number } | { ok: false; code: string; meaning: string };

const EAGAIN = 11;
/** The one failure that is an everyday answer, so its words are made once. */
const NOTHING_WAITS: CallResult = {
  ok: false,
  code: getSystemErrorName(-EAGAIN),
  meaning: getSystemErrorMessage(-EAGAIN),
};

/** Makes one call; never throws for what the call answers. */
export const call = (name: SystemCall, ...args: Argument[]): CallResult => {
  const value = Number(calls[name](...args));
  if (value >= 0) return { ok: true, value };
  const errno = koffi.errno();
  if (errno === EAGAIN) return NOTHING_WAITS;
  return { ok: false, code: getSystemErrorName(-errno), meaning: getSystemErrorMessage(-errno) };
};

/** Advice by errno name, for a call that must not fail. */
export type Advice = Readonly<Record<string, string>>;

/**
 * As {@link call}, for a call that must not fail.
 * @throws SystemCallError naming `attempt`, with the advice for that errno.
 */
export const mustCall = (attempt: string, advice: Advice, name: SystemCall, ...args: Argument[]): number => {
  const result = call(name, ...args);
  if (result.ok) return result.value;
  throw new SystemCallError(attempt, result.code, result.meaning, advice[result.code]);
};

const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** A descriptor that {@link wake} makes readable: it ends another thread's wait. */
export const openWake = (): number => mustCall('create an eventfd', {}, 'eventfd', 0, EFD_CLOEXEC_NONBLOCK);

/** Ends the wait of the thread that polls `wakeFd`. A full counter (EAGAIN) means it is awake already. */
export const wake = (wakeFd: number): void => {
  const result = call('write', wakeFd, ONE, ONE.length);
  if (!result.ok && result.code !== 'EAGAIN') {
    throw new SystemCallError('wake the VRRP worker', result.code, result.meaning);
  }
};

/** Makes `wakeFd` wait again. */
export const clearWake = (wakeFd: number): void => {
  call('read', wakeFd, new Uint8Array(8), 8);
};

/** Closes a descriptor; an error leaves it closed all the same on Linux. */
export const closeDescriptor = (fd: number): void => {
  call('close', fd);
};

const POLLIN = 1;

/** A fixed set of descriptors to wait for. */
export class PollSet {
  readonly #fds: readonly number[];
  readonly #table: DataView;
  readonly #tableBytes: Uint8Array;
  readonly #timeout = new BigInt64Array(2);
  readonly #timeoutBytes = new Uint8Array(this.#timeout.buffer);

  constructor(fds: readonly number[]) {
    this.#fds = fds;
    this.#table = new DataView(new ArrayBuffer(8 * fds.length));
    this.#tableBytes = new Uint8Array(this.#table.buffer);
    for (const [index, fd] of fds.entries()) {
      this.#table.setInt32(8 * index, fd, true);
      this.#table.setInt16(8 * index + 4, POLLIN, true);
    }
  }

  /** Whether it waits for these and no others, in this order. */
  isFor(fds: readonly number[]): boolean {
    return fds.length === this.#fds.length && fds.every((fd, index) => fd === this.#fds[index]);
  }

  /**
   * Waits until one of them is readable or in error, at most `timeoutMs` (with a fraction: the kernel counts nanoseconds).
   * @returns those that are; none after the time or a signal.
   */
  wait(timeoutMs: number): number[] {
    const nanoseconds = BigInt(Math.ceil(Math.max(0, timeoutMs) * 1e6));
    this.#timeout[0] = nanoseconds / 1_000_000_000n;
    this.#timeout[1] = nanoseconds % 1_000_000_000n;
    const result = call('ppoll', this.#tableBytes, this.#fds.length, this.#timeoutBytes, null);
    if (!result.ok && result.code !== 'EINTR') {
      throw new SystemCallError(`wait for ${this.#fds.length} descriptors`, result.code, result.meaning);
    }
    if (!result.ok || result.value === 0) return [];
    return this.#fds.filter((_, index) => this.#table.getInt16(8 * index + 6, true) !== 0);
  }
}

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;
const timespec = new DataView(new ArrayBuffer(16));
const timespecBytes = new Uint8Array(timespec.buffer);

const timespecMs = (): number =>
  Number(timespec.getBigInt64(0, true)) * 1e3 + Number(timespec.getBigInt64(8, true)) / 1e6;

/** Milliseconds since the machine was started, suspensions included, with a fraction. */
export const boottimeMs = (): number => {
  mustCall('read the clock', {}, 'clock_gettime', CLOCK_BOOTTIME, timespecBytes);
  return timespecMs();
};

/** ioctl(2): `struct timespec` of the packet received last, by the wall clock; the first call has the kernel stamp them. */
const SIOCGSTAMPNS = 0x8907;

/** How long ago the packet arrived that was received last from this socket, in milliseconds; 0: the kernel does not know. */
export const sinceArrivalMs = (fd: number): number => {
  if (!call('ioctl', fd, SIOCGSTAMPNS, timespecBytes).ok) return 0;
  const arrivedAtMs = timespecMs();
  mustCall('read the clock', {}, 'clock_gettime', CLOCK_REALTIME, timespecBytes);
  return timespecMs() - arrivedAtMs;
};

const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** What a process in real time starts is scheduled as usual. */
const SCHED_RESET_ON_FORK = 0x40000000;
const REALTIME_PRIORITY = 50;
/** Before every ordinary thread, after everything else that is in real time. */
const LEAST_REALTIME_PRIORITY = 1;

/** sched_setscheduler(2) of this thread. @returns whether it was granted */
const schedule = (policy: number, priority: number): boolean =>
  call('sched_setscheduler', 0, policy, new Uint8Array(new Int32Array([priority]).buffer)).ok;

/** Asks for real-time scheduling of this thread alone, with CAP_SYS_NICE or RLIMIT_RTPRIO. @returns whether it was granted. */
export const tryRealtimeScheduling = (): boolean => schedule(SCHED_RR, REALTIME_PRIORITY);

/** Lets other threads of the same real-time priority have the processor first (sched_yield(2)), and nobody else. */
export const yieldToEquals = (): void => {
  call('sched_yield');
};

/**
 * Starts a process, with no ordinary thread getting in between where the system permits (CAP_SYS_NICE or RLIMIT_RTPRIO). fork(2) holds
 * the memory map of the whole process, and a VRRP worker that touches its memory meanwhile waits for it, in real time or not: a busy
 * machine kept such a fork waiting for 27 ms, without this. The new process is an ordinary one, of niceness 0. An agent that was
 * given another policy as a whole keeps it.
 * @param start does nothing else: what takes long keeps others from the processor
 */
export const forkUnpreempted = <T>(start: () => T): T => {
  const { value } = { value: -1, ...call('sched_getscheduler', 0) };
  const isOrdinary = (value & ~SCHED_RESET_ON_FORK) === SCHED_OTHER;
  const isGranted = isOrdinary && schedule(SCHED_RR | SCHED_RESET_ON_FORK, LEAST_REALTIME_PRIORITY);
  try {
    return start();
  } finally {
    // Only CAP_SYS_NICE may clear the flag; left behind, it changes nothing for an ordinary thread.
    if (isGranted && !schedule(SCHED_OTHER, 0)) schedule(SCHED_OTHER | SCHED_RESET_ON_FORK, 0);
  }
};
