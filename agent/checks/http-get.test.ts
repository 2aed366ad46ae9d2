import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { issueCertificate } from '../../hack/controlplane/pki.ts';
import { createResolver } from '../../runtime/names.ts';
import { runHTTPGet } from './http-get.ts';
import { portOf } from './testing.ts';

type Context = { server: Server; port: number; asked: string[]; answer: RequestListener };
const test = suite<Context>('httpGet');
const never = new AbortController().signal;
const resolve = createResolver();

const ask = (port: number, change: object = {}, signal = never) =>
  runHTTPGet(
    { port, path: '/', scheme: 'HTTP', ...change },
    { sourceAddress: '127.0.0.1', resolve, quotes: true, signal },
  );

test.before.each(async (context) => {
  context.asked = [];
  context.answer = (_request, response) => void response.end('well');
  context.server = createServer((request, response) => {
    context.asked.push(`${request.headers.host?.split(':')[0]}${request.url}`);
    context.answer(request, response);
  });
  await new Promise<void>((listening) => context.server.listen(0, '127.0.0.1', listening));
  context.port = portOf(context.server);
});
test.after.each(({ server }) => {
  server.closeAllConnections();
  server.close();
});

for (const [status, result] of [
  [200, 'success'],
  [204, 'success'],
  [304, 'success'],
  [399, 'success'],
  [400, 'failure'],
  [404, 'failure'],
  [503, 'failure'],
] as const) {
  test(`status ${status} is ${result}`, async (context) => {
    context.answer = (_request, response) => void response.writeHead(status).end();
    assert.is((await ask(context.port)).result, result);
  });
}

test('path and host as the check says; the host defaults to the own address of the node', async (context) => {
  await ask(context.port, { path: '/healthz?deep=1' });
  await ask(context.port, { host: 'localhost' });
  assert.equal(context.asked, ['127.0.0.1/healthz?deep=1', 'localhost/']);
});

test('a failure says what was asked, and the beginning of what was answered', async (context) => {
  context.answer = (_request, response) =>
    void response.writeHead(503).end(`no\n  database\n${'x'.repeat(9_000)}`);
  const outcome = await ask(context.port, { path: '/healthz' });
  if (outcome.result === 'success') return assert.unreachable();
  assert.is(outcome.cause, 'HTTP 503');
  assert.match(
    outcome.message,
    `GET http://127.0.0.1:${context.port}/healthz is answered by 503, no database xxx`,
  );
  assert.ok(outcome.message.length < 300);
});

test('unless the owner of the node says so, nothing of the answer is told', async (context) => {
  context.answer = (_request, response) => void response.writeHead(503).end('secret');
  const { port } = context;
  const options = { sourceAddress: '127.0.0.1', resolve, quotes: false, signal: never };
  const outcome = await runHTTPGet({ port, path: '/', scheme: 'HTTP' }, options);
  if (outcome.result === 'success') return assert.unreachable();
  assert.is(outcome.message, `GET http://127.0.0.1:${port}/ is answered by 503`);
});

test("a path of two slashes asks the check's own host and port", async (context) => {
  const asked: string[] = [];
  const stranger = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end();
  });
  await new Promise<void>((listening) => stranger.listen(0, '127.0.0.1', listening));
  stranger.unref();
  const place = `127.0.0.1:${portOf(stranger)}`;
  for (const path of [`//${place}/x`, `/\\${place}/x`, `//user:pw@${place}/x`, '//'])
    assert.equal(await ask(context.port, { path, host: 'localhost' }), { result: 'success' });
  assert.equal(asked, []);
  assert.equal(context.asked, [
    `localhost//${place}/x`,
    `localhost//${place}/x`,
    `localhost//user:pw@${place}/x`,
    'localhost//',
  ]);
  stranger.close();
});

test('the address that a host stands for is what may be asked or not', async () => {
  const hosts: string[] = [];
  const refuse = async (host: string): Promise<never> => {
    hosts.push(host);
    throw new Error('not allowed');
  };
  const options = { sourceAddress: '10.10.10.11', resolve: refuse, quotes: false, signal: never };
  for (const host of ['2130706433', '0x7f.1', '::1', 'LOCALHOST'])
    assert.is((await runHTTPGet({ port: 80, path: '/', scheme: 'HTTP', host }, options)).result, 'failure');
  await runHTTPGet({ port: 80, path: '/', scheme: 'HTTP' }, options);
  assert.equal(hosts, ['127.0.0.1', '127.0.0.1', '::1', 'localhost', '10.10.10.11']);
});

test('told to end while the name is looked up, it ends', async ({ port }) => {
  const ending = new AbortController();
  const options = {
    ...{ sourceAddress: '127.0.0.1', quotes: false, signal: ending.signal },
    resolve: () => new Promise<never>(() => undefined),
  };
  const outcome = runHTTPGet({ port, path: '/', scheme: 'HTTP', host: 'db' }, options);
  ending.abort();
  assert.is((await outcome).result, 'failure');
});

test('a redirect to the same host is followed, and its answer counts', async (context) => {
  context.answer = ({ url }, response) => {
    if (url === '/') response.writeHead(302, { Location: '/login' }).end();
    else response.writeHead(500).end();
  };
  assert.is((await ask(context.port)).result, 'failure');
  assert.equal(context.asked, ['127.0.0.1/', '127.0.0.1/login']);
});

test('a redirect to another host passes as it is, and nobody is asked there', async (context) => {
  context.answer = (_request, response) =>
    void response.writeHead(301, { Location: `http://localhost:${context.port}/other` }).end();
  assert.is((await ask(context.port)).result, 'success');
  assert.equal(context.asked, ['127.0.0.1/']);
});

test('redirects without end fail', async (context) => {
  context.answer = (_request, response) => void response.writeHead(302, { Location: '/' }).end();
  const outcome = await ask(context.port);
  assert.match(outcome.result === 'failure' ? outcome.message : '', 'redirects more than 10 times');
  assert.is(context.asked.length, 11);
});

test('an answer without end is not read to the end', async (context) => {
  const closed = Promise.withResolvers<void>();
  context.answer = (_request, response) => {
    response.on('close', () => closed.resolve());
    const flood = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', flood);
    flood();
  };
  assert.is((await ask(context.port)).result, 'success');
  await closed.promise;
});

for (const [title, answer] of [
  ['no answer', () => undefined],
  [
    'half an answer',
    (_request, response) => void response.writeHead(200, { 'Content-Length': 10 }).write('half'),
  ],
] as [string, RequestListener][]) {
  test(`${title} is none, and what waits for it ends when it is told to`, async (context) => {
    const ending = new AbortController();
    const asked = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    context.answer = (request, response) => {
      response.on('close', () => gone.resolve());
      answer(request, response);
      asked.resolve();
    };
    const outcome = ask(context.port, {}, ending.signal);
    await asked.promise;
    ending.abort();
    assert.is((await outcome).result, 'failure');
    await gone.promise;
  });
}

test('an answer that breaks off is a failure', async (context) => {
  context.answer = ({ socket }, response) => {
    response.writeHead(200, { 'Content-Length': 10 }).write('half', () => socket.destroy());
  };
  assert.is((await ask(context.port)).result, 'failure');
});

test('what is no HTTP is a failure', async (context) => {
  context.answer = ({ socket }) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n');
  const outcome = await ask(context.port);
  assert.match(outcome.result === 'failure' ? outcome.message : '', /GET http:.*Parse Error/);
});

test('HTTPS: the certificate is not verified', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'hapair-check-'));
  const { certFile, keyFile } = await issueCertificate(dir, 'self', { commonName: 'somebody else' });
  const server = createSecureServer(
    { cert: readFileSync(certFile), key: readFileSync(keyFile) },
    (_request, response) => void response.end('well'),
  );
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  assert.equal(await ask(portOf(server), { scheme: 'HTTPS' }), { result: 'success' });
  assert.is((await ask(portOf(server), { scheme: 'HTTP' })).result, 'failure');
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

test.run();
