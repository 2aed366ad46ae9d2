/**
 * A VRRP worker as a program, for tests: reads messages to the worker as JSON lines from stdin and writes what it says as
 * JSON lines to stdout. A password is written as text. The end of stdin stops it.
 */
import { createInterface } from 'node:readline';
import type { ToWorker, WorkerConfig } from '../agent/messages.ts';
import type { AcceptedParameters } from '../agent/vrrp/types.ts';
import { startVRRPWorker } from '../agent/worker-client.ts';

/** With the password as text. */
type Readable<T> = Omit<T, 'password' | 'accept'> & { password?: string };

/** As `ToWorker`, with passwords as text. */
export type NodeMessage =
  | Exclude<ToWorker, { type: 'set' }>
  | {
      type: 'set';
      pair: string;
      config: Readable<WorkerConfig> & { accept?: Readable<AcceptedParameters>[] };
    };

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

const toWorker = (message: NodeMessage): ToWorker => {
  if (message.type !== 'set') return message;
  const { accept, ...config } = message.config;
  const sets = accept === undefined ? {} : { accept: accept.map(toBytes) };
  return { ...message, config: { ...toBytes(config), ...sets } };
};

const toBytes = <T extends { password?: string }>({ password, ...rest }: T) => ({
  ...rest,
  ...(password === undefined ? {} : { password: new TextEncoder().encode(password) }),
});

if (import.meta.main) {
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
    if (message.type === 'ping') say(await worker.ping());
    else worker.send(toWorker(message));
  }
  await worker.stop();
}
