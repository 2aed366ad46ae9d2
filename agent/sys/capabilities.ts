/** What the kernel permits this process and the programs it runs (capabilities(7)). */
import { readFileSync } from 'node:fs';

const CAP_NET_ADMIN = 1n << 12n;

/**
 * Why `ip`, run by this process, may not change an address. It takes CAP_NET_ADMIN over from its parent only if that is an
 * ambient capability, or if root runs it.
 * @param status content of `/proc/<pid>/status`
 * @returns null when it may, or when the kernel does not say
 */
export const whyNoChanges = (status: string): string | null => {
  const field = (name: string): string | undefined =>
    new RegExp(String.raw`^${name}:\s+(\S+)`, 'm').exec(status)?.[1];
  const has = (set: string): boolean =>
    (BigInt(`0x${field(set) ?? CAP_NET_ADMIN.toString(16)}`) & CAP_NET_ADMIN) !== 0n;
  if (!has('CapEff'))
    return 'the agent lacks CAP_NET_ADMIN, so it cannot put a VIP on an interface; grant it (systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW)';
  if (has('CapAmb') || field('Uid') === '0') return null;
  return 'CAP_NET_ADMIN of the agent does not reach the ip command; grant it as an ambient capability (systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW)';
};

/** {@link whyNoChanges} of this process; it cannot gain what it lacks, so once is enough. */
export const whyNoChangesHere = (): string | null => whyNoChanges(readFileSync('/proc/self/status', 'utf8'));
