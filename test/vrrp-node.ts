/**
 * A VRRP worker as a program, for tests: reads messages to the worker as JSON lines from stdin and writes what it says as
 * JSON lines to stdout. A password is written as text. `busy` keeps the main thread computing. The end of stdin stops it.
 */
import { createInterface } from 'node:readline';
import type { AcceptedParameters } from '../agent/vrrp/types.ts';
import type { Resume, ToWorker, WorkerConfig } from '../agent/worker/messages.ts';
import { startVRRPWorker } from '../agent/worker/worker-client.ts';

/** With the password as text. */
type Readable<T> = Omit<T, 'password' | 'accept'> & { password?: string };

/** As `ToWorker`, with passwords as text; or an order to the main thread. */
export type NodeMessage =
  /** From now on it computes for so long at a time, and looks at its messages between; 0 ends that. */
  | { type: 'busy'; stretchMs: number }
  | Exclude<ToWorker, { type: 'set' }>
  | {
      type: 'set';
      pair: string;
      resume?: Resume;
      config: Readable<WorkerConfig> & { accept?: Readable<AcceptedParameters>[] };
    };

/** A busy main thread, and a busy machine, answer late. */
const PING_DEADLINE_MS = 60_000;

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

const toWorker = (message: Exclude<NodeMessage, { type: 'busy' }>): ToWorker => {
  if (message.type !== 'set') return message;
  const { accept, ...config } = message.config;
  const sets = accept === undefined ? {} : { accept: accept.map(toBytes) };
  return { ...message, config: { ...toBytes(config), ...sets } };
};

const toBytes = <T extends { password?: string }>({ password, ...rest }: T) => ({
  ...rest,
  ...(password === undefined ? {} : { password: new TextEncoder().encode(password) }),
});

/** A main thread that has always something to do; the VRRP worker must not notice. */
class Busy {
  #stretchMs = 0;
  #timer: NodeJS.Timeout | undefined;

  setStretch(stretchMs: number): void {
    this.#stretchMs = stretchMs;
    clearTimeout(this.#timer);
    if (stretchMs > 0) this.#compute();
  }

  #compute(): void {
    const end = performance.now() + this.#stretchMs;
    while (performance.now() < end);
    this.#timer = setTimeout(() => this.#compute(), 1);
  }
}

if (import.meta.main) {
  const busy = new Busy();
  const worker = startVRRPWorker({
    onMessage: say,
    onExit: (error) => {
      if (error === null) return;
      process.stderr.write(`${error.stack}\n`);
      process.exitCode = 1;
    },
  });
  for await (const line of createInterface({ input: process.stdin })) {
    const message: NodeMessage = JSON.parse(line);
    if (message.type === 'ping') say(await worker.ping(PING_DEADLINE_MS));
    else if (message.type === 'busy') busy.setStretch(message.stretchMs);
    else worker.send(toWorker(message));
  }
  busy.setStretch(0);
  await worker.stop();
}
