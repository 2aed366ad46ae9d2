/**
 * The VRRP worker thread: all virtual routers of this agent, their sockets and their time. It loops for ever over what may
 * wait for it, never yields to an event loop, and tells the main thread what happened after it has done what cannot wait.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { clearWake, PollSet, tryRealtimeScheduling, yieldToEquals } from '../sys/libc.ts';
import { createClaimWarmUp, warmUp } from './warm-up.ts';
import { WorkerClock } from './worker-clock.ts';
import { WorkerLoop } from './worker-loop.ts';

/** What the main thread starts this one with. */
export type WorkerStart = {
  /** An eventfd that becomes readable when a message is posted. */
  wakeFd: number;
  /** Whether to ask for real-time scheduling. */
  realtime: boolean;
};

const run = (): void => {
  if (parentPort === null)
    throw new Error('the VRRP worker was started as a program; it is a thread of the agent');
  const port = parentPort;
  const { wakeFd, realtime }: WorkerStart = workerData;
  // Before real-time scheduling, as nobody waits for it.
  warmUp();
  const warmUpClaim = createClaimWarmUp();
  const isRealtime = realtime && tryRealtimeScheduling();
  const loop = new WorkerLoop({
    receive: () => receiveMessageOnPort(port)?.message,
    post: (message) => port.postMessage(message),
    clock: new WorkerClock(),
    realtime: isRealtime,
  });
  let poll = new PollSet([wakeFd]);
  const wait = (): void => {
    const descriptors = [wakeFd, ...loop.descriptors()];
    if (!poll.isFor(descriptors)) poll = new PollSet(descriptors);
    const ready = poll.wait(loop.waitMs);
    if (ready.includes(wakeFd)) clearWake(wakeFd);
  };
  let wasAboutToClaim = false;
  do {
    // No sleep then: each turn looks at sockets and messages by itself.
    const { isAboutToClaim } = loop;
    if (!isAboutToClaim) wait();
    else if (!wasAboutToClaim) warmUpClaim();
    // Elections of other agents on this machine would wait until the claim is made.
    else if (isRealtime) yieldToEquals();
    wasAboutToClaim = isAboutToClaim;
  } while (loop.turn());
  port.close();
};

run();
