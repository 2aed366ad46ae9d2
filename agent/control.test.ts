import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, NotRunning } from './cli/ask.ts';
import { type AgentStatus, type ControlHandlers, controlPath, openControl } from './control.ts';

const PATIENCE_MS = 30_000;

const STATUS: AgentStatus = {
  nodeName: 'node1',
  version: '0.1.0',
  pid: 1,
  startedAt: '2026-11-22T10:00:00Z',
  reloads: 0,
  reloadFailure: null,
  api: { answers: true, error: null, lastContactMilliseconds: 5 },
  realtime: false,
  pairs: [],
};

type Context = { directory: string; path: string; servers: Server[]; replaced: number };
const test = suite<Context>('control');
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'hapair-control-'));
  context.path = controlPath(context.directory);
  context.servers = [];
  context.replaced = 0;
});
test.after.each(({ directory, servers }) => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true });
});

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

const open = async (context: Context, change: Partial<ControlHandlers> = {}): Promise<void> => {
  const handlers: ControlHandlers = {
    status: async () => STATUS,
    claim: async (pair) => ({ pair, refused: pair === 'prod/web' ? null : 'this node serves no such pair' }),
    reload: {
      prepare: async () => null,
      replace: async () => {
        context.replaced += 1;
      },
    },
    ...change,
  };
  context.servers.push(await openControl(context.path, handlers, log));
};

test('status, claim and reload are answered; the socket is for the owner alone', async (context) => {
  await open(context);
  const { path } = context;
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.equal(await ask(path, 'GET /v1/status', PATIENCE_MS), STATUS);
  assert.equal(await ask(path, 'POST /v1/claim?pair=prod%2Fweb', PATIENCE_MS), {
    pair: 'prod/web',
    refused: null,
  });
  assert.equal(await ask(path, 'POST /v1/claim?pair=x', PATIENCE_MS), {
    pair: 'x',
    refused: 'this node serves no such pair',
  });
  assert.equal(await ask(path, 'POST /v1/reload', PATIENCE_MS), { refused: null });
  assert.is(context.replaced, 1, 'the answer was on its way before');
});

test('a reload that is refused replaces nothing', async (context) => {
  const replace = async () => assert.unreachable('replaced');
  await open(context, { reload: { prepare: async () => 'the configuration is wrong', replace } });
  assert.equal(await ask(context.path, 'POST /v1/reload', PATIENCE_MS), {
    refused: 'the configuration is wrong',
  });
});

test('a reload whose client has gone away is done all the same', async (context) => {
  const [asked, gone, replaced] = [0, 0, 0].map(() => Promise.withResolvers<void>());
  await open(context, {
    reload: {
      prepare: async () => {
        asked?.resolve();
        await gone?.promise;
        return null;
      },
      replace: async () => replaced?.resolve(),
    },
  });
  context.servers[0]?.once('connection', (socket) => socket.once('close', () => gone?.resolve()));
  const client = request({ socketPath: context.path, method: 'POST', path: '/v1/reload', agent: false });
  client.on('error', () => undefined).end();
  await asked?.promise;
  client.destroy();
  await replaced?.promise;
});

test('what nobody serves, and what fails, is said', async (context) => {
  await open(context, { status: async () => Promise.reject(new Error('the worker hangs')) });
  const failure = (target: string): Promise<string> =>
    ask(context.path, target, PATIENCE_MS).then(String, ({ message }) => message);
  assert.match(await failure('GET /v1/claim'), /there are GET \/v1\/status/);
  assert.is(await failure('GET /v1/status'), 'the agent says: the worker hangs');
});

test('nobody listens: the agent does not run; what a dead one left is replaced', async (context) => {
  const { path } = context;
  const asked = () =>
    ask(path, 'GET /v1/status', PATIENCE_MS).then(
      () => 'answered',
      (error) => error instanceof NotRunning,
    );
  assert.is(await asked(), true);
  await open(context);
  await open(context);
  assert.is(await asked(), 'answered');
});

test('an answer that does not come is not waited for for ever', async (context) => {
  const { promise, resolve } = Promise.withResolvers<AgentStatus>();
  await open(context, { status: () => promise });
  const message = await ask(context.path, 'GET /v1/status', 50).then(String, (error) => error.message);
  assert.match(message, 'no answer within 50 ms');
  resolve(STATUS);
});

test('a request that is larger than any of ours is refused', async (context) => {
  await open(context);
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const headers = { 'x-large': 'a'.repeat(64 * 1024) };
  request({ socketPath: context.path, path: '/v1/status', headers, agent: false }, (incoming) => {
    resolve(incoming.statusCode);
    incoming.resume();
  })
    .on('error', () => resolve(431))
    .end();
  assert.is(await promise, 431);
});

test('a path that no socket address can hold is refused, and says how long is too long', () => {
  const stateDir = `/${'a'.repeat(96)}`;
  assert.is(Buffer.byteLength(controlPath(stateDir.slice(0, -1))), 107);
  assert.throws(() => controlPath(stateDir), /stateDir: ".*" is too long: .* 108 bytes, and Linux takes 107/);
});

test.run();
