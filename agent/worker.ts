/**
 * The VRRP worker thread: all virtual routers of this agent, their sockets and their time. It loops for ever over what may
 * wait for it, never yields to an event loop, and tells the main thread what happened after it has done what cannot wait.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { clearWake, PollSet, tryRealtimeScheduling } from './libc.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { VirtualRouters } from './virtual-routers.ts';

/** What the main thread starts this one with. */
export type WorkerStart = {
  /** An eventfd that becomes readable when a message is posted. */
  wakeFd: number;
  /** Whether to ask for real-time scheduling. */
  realtime: boolean;
};

/** The longest wait: bounds how late a link's loss is seen and how long an end without `stop` takes. */
const LONGEST_WAIT_MS = 1000;

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const run = (): void => {
  if (parentPort === null)
    throw new Error('the VRRP worker was started as a program; it is a thread of the agent');
  const port = parentPort;
  const { wakeFd, realtime: wanted }: WorkerStart = workerData;
  const realtime = wanted && tryRealtimeScheduling();
  const post = (message: FromWorker): void => port.postMessage(message);
  const routers = new VirtualRouters(nowMs, post);
  const nextMessage = (): ToWorker | undefined => receiveMessageOnPort(port)?.message;

  for (;;) {
    for (let message = nextMessage(); message !== undefined; message = nextMessage()) {
      if (message.type === 'stop') {
        routers.stop();
        post({ type: 'stopped' });
        port.close();
        return;
      }
      if (message.type === 'ping') {
        const [lastAdvertAtMs, stats] = [routers.lastAdvertAtMs(), routers.stats()];
        post({ type: 'pong', id: message.id, lastAdvertAtMs, realtime, stats });
      } else routers.handleMessage(message);
    }
    const wait = Math.min(LONGEST_WAIT_MS, routers.nextTimeout() - nowMs());
    const ready = new PollSet([wakeFd, ...routers.descriptors()]).wait(wait);
    if (ready.includes(wakeFd)) clearWake(wakeFd);
    // Everything that has arrived is heard before a timer is believed.
    routers.drain();
    routers.handleTimeouts();
  }
};

run();
