/**
 * Keeps a lab for the command line: started by `up`, it reports its progress over IPC, then takes commands on a loopback
 * port from whoever shows its token. The lab ends with it.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Command, execute } from './commands.ts';
import { type Lab, startLab } from './lab.ts';
import { installProduct, type Product } from './product.ts';
import { readState, removeState, writeState } from './state.ts';
import type { LatencyProfile } from './types.ts';

/** What `up` asks for. */
export type DaemonOptions = { profile: LatencyProfile; product: boolean };
/** What `up` hears of it. */
export type DaemonSays = { type: 'log'; line: string } | { type: 'up' } | { type: 'failed'; message: string };

const COMMAND_BYTES = 1024 * 1024;
const WATCH_MS = 1_000;

const say = (message: DaemonSays): void => {
  if (process.connected) process.send?.(message);
};

const main = async (options: DaemonOptions): Promise<void> => {
  const state = readState();
  if (state === undefined) throw new Error('The daemon is started by `up` alone.');
  const onLog = (line: string): void => say({ type: 'log', line });
  // Whoever starts it and goes away before it is up wants it no more.
  const abandoned = (): void => {
    removeState();
    process.exit(1);
  };
  process.once('disconnect', abandoned);
  const lab = await startLab({ dir: state.dir, profile: options.profile, kube: true, onLog });
  try {
    const product = options.product ? await installProduct(lab, { onLog }) : undefined;
    if (product === undefined) await lab.startControllerManager();
    const port = await serve(lab, product, state.token);
    writeState({ ...state, pid: process.pid, port, userNamespace: lab.userNamespace });
  } catch (error) {
    await lab.down();
    throw error;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end(lab, 0));
  setInterval(() => {
    if (lab.ended() !== undefined) void end(lab, 1);
  }, WATCH_MS);
  process.removeListener('disconnect', abandoned);
  say({ type: 'up' });
  if (process.connected) process.disconnect();
};

const end = async (lab: Lab, code: number): Promise<void> => {
  await lab.down();
  removeState();
  process.exit(code);
};

const serve = async (lab: Lab, product: Product | undefined, token: string): Promise<number> => {
  const server = createServer((request, response) => void answer(request, response, lab, product, token));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

const answer = async (
  request: IncomingMessage,
  response: ServerResponse,
  lab: Lab,
  product: Product | undefined,
  token: string,
): Promise<void> => {
  const reply = (status: number, text: string): void => void response.writeHead(status).end(text);
  if (!isAllowed(request, token)) return reply(401, 'not for you');
  try {
    const command = JSON.parse(await bodyOf(request)) as Command;
    if (command.word === 'down') {
      await lab.down();
      removeState();
      response.once('close', () => process.exit(0));
      return reply(200, 'nothing of the lab is left');
    }
    reply(200, await execute(lab, command, product));
  } catch (error) {
    reply(400, error instanceof Error ? error.message : String(error));
  }
};

const isAllowed = (request: IncomingMessage, token: string): boolean => {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
};

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > COMMAND_BYTES) throw new Error('The command is too long.');
  }
  return text;
};

await main(JSON.parse(process.argv[2] ?? '{}') as DaemonOptions).catch((error: unknown) => {
  removeState();
  say({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exit(1);
});
