/** How what the operator remembers of a pair begins, and changes when it calls EC2 and when EC2 answers. */
import { NO_DELIVERY, withCallAnswered, withCallBegun } from '../../delivery/memory.ts';
import { NO_RELEASE, withReleaseAnswered } from '../../delivery/release.ts';
import type { Answer, PlannedCall } from '../../delivery/types.ts';
import { NO_AUTHORITY } from './authority.ts';
import { NO_CALLS, withAnswered, withBegun, withDeferred } from './calls.ts';
import { NO_PROBE } from './damping.ts';
import { NO_DELETION } from './deletion.ts';
import { NO_FAILBACK } from './failback.ts';
import { NOTHING_FOREIGN } from './foreign.ts';
import { NO_CONFLICT, withConflict } from './instances.ts';
import { NO_PACE } from './pace.ts';
import { NO_QUESTION } from './reading.ts';
import type { PairMemory } from './types.ts';

/** The memory of a pair that this process has never seen. */
export const emptyMemory = (nowMs: number): PairMemory => ({
  firstSeenMs: nowMs,
  authority: NO_AUTHORITY,
  calls: NO_CALLS,
  delivery: NO_DELIVERY,
  release: NO_RELEASE,
  deletion: NO_DELETION,
  damping: NO_PROBE,
  failback: NO_FAILBACK,
  reading: NO_QUESTION,
  pace: NO_PACE,
  instances: NO_CONFLICT,
  foreign: NOTHING_FOREIGN,
});

/** A call is begun. @throws Error when one is unanswered (S5) */
export const callStarted = (memory: PairMemory, call: PlannedCall, nowMs: number): PairMemory => ({
  ...memory,
  calls: withBegun(memory.calls, call, nowMs),
  delivery: withCallBegun(memory.delivery, call, nowMs),
});

/** A wanted call must wait for its turn in the call budget. */
export const callDeferred = (memory: PairMemory, nowMs: number): PairMemory => ({
  ...memory,
  calls: withDeferred(memory.calls, nowMs),
});

/** The begun call is answered, or given up as unanswered. @throws Error when none was begun (S5) */
export const callAnswered = (memory: PairMemory, answer: Answer): PairMemory => {
  const { calls, delivery, release, authority } = memory;
  const { unanswered: call } = calls;
  if (!call) throw new Error('S5 single step: an answer arrived to a call that was never begun');
  if (call.purpose === 'Release') {
    return {
      ...memory,
      calls: withAnswered(calls, call, answer.result, release.failure),
      release: withReleaseAnswered(release, call, answer),
    };
  }
  return {
    ...memory,
    calls: withAnswered(calls, call, answer.result, delivery.failure),
    delivery: withCallAnswered(delivery, call, answer, authority.head?.node === call.node),
  };
};

/** An instance was written: nobody's fields are in the way. */
export const instanceWritten = (memory: PairMemory): PairMemory => ({ ...memory, instances: NO_CONFLICT });

/** An instance was not written: others own fields of it, in words. */
export const instanceRefused = (memory: PairMemory, conflict: string): PairMemory => ({
  ...memory,
  instances: withConflict(conflict),
});
