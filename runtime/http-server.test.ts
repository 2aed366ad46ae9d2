import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type HTTPServer, serve } from './http-server.ts';
import type { Log } from './log.ts';

const errors: (string | undefined)[] = [];
const log: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: ({ reason }: { reason?: string }) => errors.push(reason),
};

let server: HTTPServer;
let problem: string | undefined;

test.before(async () => {
  server = await serve({
    bindAddress: '127.0.0.1',
    port: 0,
    healthz: [{ name: 'a', problem: () => problem }],
    readyz: [
      {
        name: 'b',
        problem: () => {
          throw new Error('a check that breaks');
        },
      },
    ],
    metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
    log,
  });
});
test.after(() => server.close());

const ask = async (path: string, method = 'GET') => {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    allow: response.headers.get('allow'),
    body: await response.text(),
  };
};

test('metrics, health and nothing else', async () => {
  assert.equal(await ask('/metrics'), {
    status: 200,
    type: 'text/plain; version=0.0.4',
    allow: null,
    body: 'up 1\n',
  });
  assert.is((await ask('/healthz')).body, 'ok');
  assert.is((await ask('/healthz?verbose')).body, '[+]a ok\nhealthz check passed\n');
  problem = 'broken';
  const { status, body } = await ask('/healthz');
  problem = undefined;
  assert.is(status, 500);
  assert.is(body, '[-]a failed: broken\nhealthz check failed\n');
  assert.is((await ask('/')).status, 404);
  assert.is((await ask('//')).status, 404);
  assert.is((await ask('/metrics', 'HEAD')).body, '');
  const post = await ask('/metrics', 'POST');
  assert.is(post.status, 405);
  assert.is(post.allow, 'GET, HEAD');
});

test('a check that throws is an answer and a line in the log, not the end of the server', async () => {
  assert.is((await ask('/readyz')).status, 500);
  assert.equal(errors, ['HTTPRequestFailed']);
  assert.is((await ask('/healthz')).status, 200);
});

test('a port that is taken is an error at the start', async () => {
  const second = serve({
    bindAddress: '127.0.0.1',
    port: server.port,
    healthz: [],
    readyz: [],
    metrics: { contentType: '', text: async () => '' },
    log,
  });
  const code = await second.then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code,
  );
  assert.is(code, 'EADDRINUSE');
});

test.run();
