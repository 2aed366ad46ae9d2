/**
 * The agent under a filter of system calls as an older systemd has it: `refused-calls.ts ARGUMENT…`. What that does not know is
 * answered with ENOSYS, as hapair-agent.service asks for. The agent takes this process's place and its PID.
 */
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;

/** Of classic BPF: load a word, jump if equal, return. */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
/** Where `struct seccomp_data` has the number of the call. */
const NUMBER_AT = 0;
const ENOSYS = 38;
const SECCOMP_RET_ALLOW = 0x7fff_0000;
const SECCOMP_RET_ERRNO = 0x0005_0000;

/** io_uring_setup, _enter and _register, clone3 and close_range have the same numbers everywhere; then rseq and statx. */
const EVERYWHERE = [425, 426, 427, 435, 436];
const OF_MACHINE: Partial<Record<string, { rseq: number; statx: number }>> = {
  x64: { rseq: 334, statx: 332 },
  arm64: { rseq: 293, statx: 291 },
};

const refuse = (numbers: readonly number[]): void => {
  const program = [
    [LOAD, 0, 0, NUMBER_AT],
    ...numbers.flatMap((number) => [
      [JUMP_EQUAL, 0, 1, number],
      [RETURN, 0, 0, SECCOMP_RET_ERRNO | ENOSYS],
    ]),
    [RETURN, 0, 0, SECCOMP_RET_ALLOW],
  ];
  const filter = new DataView(new ArrayBuffer(8 * program.length));
  for (const [index, [code = 0, ifTrue = 0, ifFalse = 0, operand = 0]] of program.entries()) {
    filter.setUint16(8 * index, code, true);
    filter.setUint8(8 * index + 2, ifTrue);
    filter.setUint8(8 * index + 3, ifFalse);
    filter.setUint32(8 * index + 4, operand, true);
  }
  koffi.struct('sock_fprog', { len: 'uint16_t', filter: 'const uint8_t *' });
  const libc = koffi.load('libc.so.6');
  const prctl = libc.func('int prctl(int option, unsigned long mode, const sock_fprog *program)');
  const bytes = new Uint8Array(filter.buffer);
  if (Number(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, { len: program.length, filter: bytes })) !== 0)
    throw new Error(`The kernel refuses a seccomp filter (errno ${koffi.errno()}).`);
  const syscall = libc.func('long syscall(long number, long a, long b, long c, long d, long e)');
  for (const number of numbers) {
    const result = Number(syscall(number, -1, 0, 0, 0, 0));
    if (result !== -1 || koffi.errno() !== ENOSYS) throw new Error(`Call ${number} is not refused.`);
  }
};

const machine = OF_MACHINE[process.arch];
if (machine === undefined || process.execve === undefined) throw new Error('Not on this machine.');
refuse([...EVERYWHERE, machine.rseq, machine.statx]);
const agent = fileURLToPath(new URL('../agent/main.ts', import.meta.url));
process.execve(process.execPath, [process.execPath, agent, ...process.argv.slice(2)], process.env);
