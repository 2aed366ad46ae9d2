import { createServer, type Server } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createResolver } from '../../runtime/names.ts';
import { runTCPSocket } from './tcp-socket.ts';
import { portOf } from './testing.ts';

const test = suite<{ server: Server; port: number; open: number }>('tcpSocket');
const never = new AbortController().signal;
const resolve = createResolver();

test.before.each(async (context) => {
  context.server = createServer();
  await new Promise<void>((listening) => context.server.listen(0, '127.0.0.1', listening));
  context.port = portOf(context.server);
});
test.after.each(({ server }) => void server.close());

test('an open port passes, by address, by name, and at the own address of the node', async ({ port }) => {
  for (const host of ['127.0.0.1', 'localhost'])
    assert.equal(await runTCPSocket({ port, host }, '192.0.2.1', resolve, never), { result: 'success' });
  assert.equal(await runTCPSocket({ port }, '127.0.0.1', resolve, never), { result: 'success' });
});

test('the connection is closed at once', async ({ port, server }) => {
  const closed = new Promise((done) =>
    server.once('connection', (socket) => socket.resume().once('end', done)),
  );
  await runTCPSocket({ port }, '127.0.0.1', resolve, never);
  await closed;
});

test('a closed port fails and says which', async ({ port, server }) => {
  await new Promise((closed) => server.close(closed));
  const outcome = await runTCPSocket({ port }, '127.0.0.1', resolve, never);
  assert.is(outcome.result, 'failure');
  if (outcome.result === 'success') return;
  assert.is(outcome.cause, 'ECONNREFUSED');
  assert.match(outcome.message, `no connection to 127.0.0.1:${port}: connect ECONNREFUSED`);
});

test('of a name with several addresses each is tried, and a failure says what each said', async ({
  port,
  server,
}) => {
  const both = async (): Promise<string[]> => ['127.0.0.2', '127.0.0.1'];
  const ask = () => runTCPSocket({ port, host: 'app' }, '192.0.2.1', both, never);
  assert.equal(await ask(), { result: 'success' });
  await new Promise((closed) => server.close(closed));
  const outcome = await ask();
  if (outcome.result === 'success') return assert.unreachable();
  assert.is(outcome.cause, 'ECONNREFUSED');
  assert.match(
    outcome.message,
    `connect ECONNREFUSED 127.0.0.2:${port}; connect ECONNREFUSED 127.0.0.1:${port}`,
  );
});

test('a name that nobody knows fails', async ({ port }) => {
  const unknown = (): Promise<never> => Promise.reject(new Error('the name db could not be looked up'));
  const outcome = await runTCPSocket({ port, host: 'db' }, '127.0.0.1', unknown, never);
  assert.is(
    outcome.result === 'failure' && outcome.message,
    `no connection to db:${port}: the name db could not be looked up`,
  );
});

test('told to end while the name is looked up, it gives up', async ({ port }) => {
  const ending = new AbortController();
  const silent = () => new Promise<never>(() => undefined);
  const outcome = runTCPSocket({ port, host: 'db' }, '127.0.0.1', silent, ending.signal);
  ending.abort();
  assert.is((await outcome).result, 'failure');
});

test('told to end, it gives up', async ({ port }) => {
  const outcome = await runTCPSocket({ port }, '127.0.0.1', resolve, AbortSignal.abort());
  assert.is(outcome.result, 'failure');
});

test.run();
