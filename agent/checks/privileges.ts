/**
 * What a process that the agent starts may not have of it: its priority, its place before the OOM killer, its capabilities, its
 * descriptors.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { killGroup, type StartProcess } from '../../runtime/child.ts';
import { call, forkUnpreempted } from '../sys/libc.ts';
import type { Leftovers } from './leftovers.ts';

/**
 * Makes what starts such processes: a check's command, a credential plugin, a look-up of a name. With its end each one's group
 * ends, and whatever it has left behind elsewhere.
 */
export const createUnprivilegedStart = (leftovers: Leftovers): StartProcess => {
  keepDescriptors();
  return (program, args, options) => {
    leftovers.prepare();
    const child = withoutAmbientCapabilities(() =>
      forkUnpreempted(() => spawn(program, args, { ...options, detached: true })),
    );
    const { pid } = child;
    if (pid === undefined) return child;
    leftovers.started(pid);
    offerToOOMKiller(pid);
    child.once('exit', () => {
      killGroup(pid);
      leftovers.ended(pid);
    });
    return child;
  };
};

const PRIO_PGRP = 1;
/** As nice(1) adds by default: a tenth of an ordinary process's share, so that a check is still answered on a busy node. */
const NICENESS = 10;

/** Of a process that leads a group, and of all it has started since. */
export const lowerPriority = (pid: number): void => {
  // ESRCH: it has ended already.
  call('setpriority', PRIO_PGRP, pid, NICENESS);
};

/**
 * The agent may be the last that the kernel ends when memory is out (`OOMScoreAdjust=` of its unit). A command that eats it up
 * is to be no later than any other process. To raise the score needs no capability.
 */
const offerToOOMKiller = (pid: number): void => {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '0');
  } catch {
    // It has ended already, or has become somebody else's.
  }
};

const SYS_CLOSE_RANGE = 436;
const [FIRST, LAST] = [3, 0xffff_ffff];
const CLOSE_RANGE_CLOEXEC = 4;

/**
 * Whatever this process has open from now on closes in every program it starts. Node sees to that for what it opens itself, but
 * not for all that whoever started the agent has left open. Linux 5.11; an older kernel leaves those to the commands.
 */
const keepDescriptors = (): void => {
  call('syscall', SYS_CLOSE_RANGE, FIRST, LAST, CLOSE_RANGE_CLOEXEC);
};

const PR_CAP_AMBIENT = 47;
const [IS_SET, RAISE, LOWER] = [1, 2, 3];
/** `CAP_LAST_CAP` of any kernel so far is below it; the kernel answers EINVAL beyond its own. */
const CAPABILITIES = 64;

/**
 * Starts a process without the capabilities that an agent which is not root hands to `ip`: CAP_NET_ADMIN and CAP_NET_RAW.
 * Ambient capabilities are the calling thread's own, so the VRRP worker notices nothing.
 */
const withoutAmbientCapabilities = <T>(start: () => T): T => {
  const held = ambientCapabilities();
  for (const capability of held) call('prctl', PR_CAP_AMBIENT, LOWER, capability, 0, 0);
  try {
    return start();
  } finally {
    for (const capability of held) call('prctl', PR_CAP_AMBIENT, RAISE, capability, 0, 0);
  }
};

const ambientCapabilities = (): number[] => {
  const held: number[] = [];
  for (let capability = 0; capability < CAPABILITIES; capability += 1) {
    const answer = call('prctl', PR_CAP_AMBIENT, IS_SET, capability, 0, 0);
    if (!answer.ok) break;
    if (answer.value === 1) held.push(capability);
  }
  return held;
};
