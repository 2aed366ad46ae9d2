/**
 * Starts a program for which setgroups(2) succeeds and does nothing: `keepalived.ts PROGRAM ARGUMENT…`. keepalived calls it
 * before every notify script and gives the script up when it fails, as it does in a user namespace made without privileges
 * (user_namespaces(7)); there is but one group in it. The program takes this process's place and its PID.
 */
import { basename } from 'node:path';
import koffi from 'koffi';

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;

/** Numbers of x86-64, the only machine that the set-up takes. */
const AUDIT_ARCH_X86_64 = 0xc000003e;
const SETGROUPS = 116;

/** Of classic BPF: load a word, jump if equal, return. */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;

/** Where `struct seccomp_data` has them. */
const NUMBER_AT = 0;
const ARCH_AT = 4;

const SECCOMP_RET_ALLOW = 0x7fff0000;
/** With errno 0: the call is not made, and its caller is told that it succeeded. */
const SECCOMP_RET_ERRNO = 0x00050000;

/** `struct sock_filter`: code, jump if true, jump if false, operand. */
const FILTER = [
  [LOAD, 0, 0, ARCH_AT],
  [JUMP_EQUAL, 0, 3, AUDIT_ARCH_X86_64],
  [LOAD, 0, 0, NUMBER_AT],
  [JUMP_EQUAL, 0, 1, SETGROUPS],
  [RETURN, 0, 0, SECCOMP_RET_ERRNO],
  [RETURN, 0, 0, SECCOMP_RET_ALLOW],
] as const;

const filterBytes = (): Uint8Array => {
  const view = new DataView(new ArrayBuffer(8 * FILTER.length));
  for (const [index, [code, ifTrue, ifFalse, operand]] of FILTER.entries()) {
    view.setUint16(8 * index, code, true);
    view.setUint8(8 * index + 2, ifTrue);
    view.setUint8(8 * index + 3, ifFalse);
    view.setUint32(8 * index + 4, operand, true);
  }
  return new Uint8Array(view.buffer);
};

/** The filter stays on this thread through execve(2). @throws Error when the kernel refuses it. */
const ignoreSetgroups = (): void => {
  koffi.struct('sock_fprog', { len: 'uint16_t', filter: 'const uint8_t *' });
  const prctl = koffi
    .load('libc.so.6')
    .func('int prctl(int option, unsigned long mode, const sock_fprog *program)');
  const program = { len: FILTER.length, filter: filterBytes() };
  if (Number(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)) !== 0)
    throw new Error(`The kernel refuses a seccomp filter (errno ${koffi.errno()}).`);
};

const [program = '', ...args] = process.argv.slice(2);
ignoreSetgroups();
if (process.execve === undefined) throw new Error('This Node has no execve.');
process.execve(program, [basename(program), ...args], process.env);
