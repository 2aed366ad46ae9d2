/**
 * A VRRP worker as a program, for tests: reads messages to the worker as JSON lines from stdin and writes what it says as
 * JSON lines to stdout. A password is written as text. The end of stdin stops it.
 */
import { createInterface } from 'node:readline';
import type { ToWorker, WorkerConfig } from '../agent/messages.ts';
import { startVRRPWorker } from '../agent/worker-client.ts';

/** As `ToWorker`, with the password as text. */
export type NodeMessage =
  | Exclude<ToWorker, { type: 'set' }>
  | { type: 'set'; pair: string; config: Omit<WorkerConfig, 'password'> & { password?: string } };

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

const toWorker = (message: NodeMessage): ToWorker => {
  if (message.type !== 'set') return message;
  const { password, ...config } = message.config;
  const secret = password === undefined ? {} : { password: new TextEncoder().encode(password) };
  return { ...message, config: { ...config, ...secret } };
};

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
