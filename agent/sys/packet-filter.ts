/** Which senders a raw IPv4 socket hears: a filter of classic BPF (socket(7)), run by the kernel before a packet takes room. */
import koffi from 'koffi';
import { call } from './libc.ts';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;

/** Load a word, jump if equal, return. */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
/** Where an IPv4 header has its source. */
const SOURCE_AT = 12;
/** What a filter returns: how much of the packet is kept. */
const ALL = 0xffff_ffff;
const NOTHING = 0;

/** `struct sock_filter`: code, jumps if true and if false, operand. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

/**
 * Has the socket keep packets of these senders alone, or drop them alone. Once it holds, no packet before it is judged anew.
 * @param sources as `parseIPv4Address` has them
 * @returns whether the kernel has taken the filter; if not (it has no room for so many), the socket hears everybody
 */
export const filterPackets = (fd: number, sources: readonly number[], what: 'keep' | 'drop'): boolean => {
  const [ofThese, ofOthers] = what === 'keep' ? [ALL, NOTHING] : [NOTHING, ALL];
  const program: Instruction[] = [
    [LOAD, 0, 0, SOURCE_AT],
    ...sources.flatMap((source): Instruction[] => [
      [JUMP_EQUAL, 0, 1, source],
      [RETURN, 0, 0, ofThese],
    ]),
    [RETURN, 0, 0, ofOthers],
  ];
  const instructions = bytesOf(program);
  // struct sock_fprog
  const filter = new DataView(new ArrayBuffer(16));
  filter.setUint16(0, program.length, true);
  filter.setBigUint64(8, koffi.address(instructions), true);
  const bytes = new Uint8Array(filter.buffer);
  if (call('setsockopt', fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes, bytes.length).ok) return true;
  call('setsockopt', fd, SOL_SOCKET, SO_DETACH_FILTER, bytes, bytes.length);
  return false;
};

const bytesOf = (program: readonly Instruction[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(8 * program.length));
  for (const [index, [code, ifTrue, ifFalse, operand]] of program.entries()) {
    view.setUint16(8 * index, code, true);
    view.setUint8(8 * index + 2, ifTrue);
    view.setUint8(8 * index + 3, ifFalse);
    view.setUint32(8 * index + 4, operand, true);
  }
  return new Uint8Array(view.buffer);
};
