import { readFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { connect } from './client.ts';
import { KubeError } from './errors.ts';
import { startScriptedServer, TOKEN } from './testing/scripted-server.ts';
import type { Resource } from './types.ts';

const LEASES: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease' };
const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod' };

const start = async (deadlineMs = 5_000, callConnections = 8) => {
  const server = await startScriptedServer();
  const { kubeconfigPath } = server;
  const client = await connect({ kubeconfigPath, userAgent: 'tester/1', deadlineMs, callConnections });
  const stop = async () => {
    await client.close();
    await server.close();
  };
  return { server, client, [Symbol.asyncDispose]: stop };
};

const errorOf = async (call: Promise<unknown>): Promise<KubeError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, KubeError);
  const seen = `${(error as KubeError).stack}${JSON.stringify(error)}`;
  assert.not.match(seen, TOKEN);
  return error as KubeError;
};

test('a call carries the token, the user agent and the right path', async () => {
  await using world = await start();
  const answer = world.client.get(LEASES, 'kube-system/a');
  const request = await world.server.next();
  assert.is(request.method, 'GET');
  assert.is(request.path, '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/a');
  assert.is(request.headers.authorization, `Bearer ${TOKEN}`);
  assert.is(request.headers['user-agent'], 'tester/1');
  request.json(200, { metadata: { name: 'a' } });
  assert.equal(await answer, { metadata: { name: 'a' } });
});

test('server-side apply goes out as apply-patch+yaml, to the status when asked', async () => {
  await using world = await start();
  const object = { metadata: { name: 'p', namespace: 'n' } };
  const answer = world.client.apply(PODS, object, { fieldManager: 'me', subresource: 'status' });
  const request = await world.server.next();
  assert.is(request.method, 'PATCH');
  assert.is(request.path, '/api/v1/namespaces/n/pods/p/status');
  assert.is(request.headers['content-type'], 'application/apply-patch+yaml');
  assert.is(request.query.get('fieldManager'), 'me');
  assert.is(request.query.get('force'), 'false');
  assert.equal(JSON.parse(request.body), { apiVersion: 'v1', kind: 'Pod', ...object });
  request.json(200, object);
  await answer;
});

const ANSWERS: [status: number, reason: string, kind: KubeError['kind']][] = [
  [400, 'BadRequest', 'Invalid'],
  [403, 'Forbidden', 'Forbidden'],
  [404, 'NotFound', 'NotFound'],
  [409, 'Conflict', 'Conflict'],
  [409, 'AlreadyExists', 'AlreadyExists'],
  [410, 'Expired', 'Gone'],
  [422, 'Invalid', 'Invalid'],
  [500, 'InternalError', 'ServerError'],
  [504, 'Timeout', 'TimedOut'],
];

for (const [status, reason, kind] of ANSWERS) {
  test(`${status} ${reason} is ${kind}, and says what was attempted on what`, async () => {
    await using world = await start();
    const failure = errorOf(world.client.delete(PODS, 'n/p'));
    (await world.server.next()).json(status, { kind: 'Status', reason, message: 'because' });
    const error = await failure;
    assert.is(error.kind, kind);
    assert.is(error.message, `delete Pod n/p: ${status} ${reason}: because`);
  });
}

test('a conflict of field managers says who owns which field', async () => {
  await using world = await start();
  const apply = world.client.apply(PODS, { metadata: { name: 'p', namespace: 'n' } }, { fieldManager: 'me' });
  const failure = errorOf(apply);
  (await world.server.next()).json(409, {
    reason: 'Conflict',
    message: 'Apply failed with 2 conflicts',
    details: {
      causes: [
        {
          reason: 'FieldManagerConflict',
          message: 'conflict with "kubectl-edit" with subresource "status" using v1 at 2026-11-22T10:00:00Z',
          field: '.spec.priority',
        },
        { reason: 'FieldManagerConflict', message: 'conflict with "argo cd"', field: '.spec.vips' },
        { reason: 'FieldValueInvalid', message: 'no conflict', field: '.spec' },
      ],
    },
  });
  const error = await failure;
  assert.is(error.kind, 'Conflict');
  assert.equal(error.conflicts, [
    { manager: 'kubectl-edit', field: '.spec.priority' },
    { manager: 'argo cd', field: '.spec.vips' },
  ]);
});

test('429 tells how long to wait', async () => {
  await using world = await start();
  const failure = errorOf(world.client.get(PODS, 'n/p'));
  (await world.server.next()).json(429, { reason: 'TooManyRequests' }, { 'retry-after': '7' });
  const error = await failure;
  assert.is(error.kind, 'Throttled');
  assert.is(error.retryAfterMs, 7_000);
});

test('of an error answer no more is read than its bound, whether it names its length or not', async () => {
  await using world = await start();
  const message = 'x'.repeat(1024 * 1024);
  for (const headers of [{ 'transfer-encoding': 'chunked' }, {}]) {
    const failure = errorOf(world.client.get(PODS, 'n/p'));
    (await world.server.next()).json(500, { message }, headers);
    const error = await failure;
    assert.is(error.kind, 'ServerError');
    assert.ok(error.message.length < 1_000, `${error.message.length} characters`);
  }
});

test('what an error answer quotes of others is cut, and holds no control characters', async () => {
  await using world = await start();
  const failure = errorOf(world.client.get(PODS, 'n/p'));
  (await world.server.next()).json(403, {
    reason: 'Forbidden',
    message: `\u001b[31mno\n${'x'.repeat(100_000)}`,
  });
  const { message } = await failure;
  assert.match(message, 'get Pod n/p: 403 Forbidden: [31mno xxx');
  assert.ok(message.length < 2_200, `${message.length} characters`);
});

test('a server that says nothing is TimedOut at the deadline', async () => {
  await using world = await start(50);
  const failure = errorOf(world.client.get(PODS, 'n/p'));
  await world.server.next();
  const error = await failure;
  assert.is(error.kind, 'TimedOut');
  assert.is(error.message, 'get Pod n/p: no answer within 50 ms');
});

test('a connection that breaks, or that nobody takes, is Unreachable', async () => {
  const world = await start();
  const broken = errorOf(world.client.get(PODS, 'n/p'));
  (await world.server.next()).reset();
  assert.is((await broken).kind, 'Unreachable');
  await world.server.close();
  assert.is((await errorOf(world.client.get(PODS, 'n/p'))).kind, 'Unreachable');
  await world.client.close();
});

test("the caller's signal ends a call as Aborted", async () => {
  await using world = await start();
  const stop = new AbortController();
  const failure = errorOf(world.client.get(PODS, 'n/p', { signal: stop.signal }));
  await world.server.next();
  stop.abort();
  assert.is((await failure).kind, 'Aborted');
});

test('an answer that is no JSON is not quoted', async () => {
  await using world = await start();
  const failure = errorOf(world.client.get(PODS, 'n/p'));
  const request = await world.server.next();
  request.open();
  request.write(`{"data": ${TOKEN}`);
  request.end();
  assert.is((await failure).message, 'get Pod n/p: the answer is not JSON');
});

test('a refused token is read again from its file, once', async () => {
  await using world = await start();
  const answer = world.client.get(PODS, 'n/p');
  const stale = await world.server.next();
  await writeFile(world.server.tokenPath, 'rotated\n');
  stale.json(401, { reason: 'Unauthorized' });
  const fresh = await world.server.next();
  assert.is(fresh.headers.authorization, 'Bearer rotated');
  fresh.json(200, { metadata: { name: 'p' } });
  await answer;

  const failure = errorOf(world.client.get(PODS, 'n/p'));
  (await world.server.next()).json(401, {});
  (await world.server.next()).json(401, { reason: 'Unauthorized', message: 'Unauthorized' });
  assert.is((await failure).kind, 'Unauthorized');
});

test('a token file that is missing is an error that names the file', async () => {
  await using world = await start();
  await rm(world.server.tokenPath);
  const error = await errorOf(world.client.get(PODS, 'n/p'));
  assert.is(error.kind, 'Unauthorized');
  assert.ok(error.message.startsWith('get Pod n/p: read the credentials of user "tester": ENOENT'));
  assert.ok(error.message.endsWith(world.server.tokenPath));
});

test('patient: without a usable kubeconfig each call is refused, until there is one', async () => {
  await using world = await start();
  const { kubeconfigPath } = world.server;
  const text = await readFile(kubeconfigPath, 'utf8');
  await writeFile(kubeconfigPath, 'nonsense: [');
  const options = { kubeconfigPath, userAgent: 'tester/1' };
  assert.is((await errorOf(connect(options))).kind, 'Invalid');
  const client = await connect({ ...options, patient: true });
  try {
    const error = await errorOf(client.get(PODS, 'n/p'));
    assert.is(error.kind, 'Unauthorized');
    assert.match(error.message, `get Pod n/p: kubeconfig ${kubeconfigPath}: not YAML`);
    await writeFile(kubeconfigPath, text);
    const answer = client.get(PODS, 'n/p');
    (await world.server.next()).json(200, { metadata: { name: 'p' } });
    await answer;
  } finally {
    await client.close();
  }
});

test('a kubeconfig that names another server is used from the next call on, and watches of the old one end', async () => {
  await using world = await start();
  await using other = await start();
  const watch = world.client.openWatch(PODS, {}, { resourceVersion: '1', timeoutSeconds: 60 });
  (await world.server.next()).open();
  const ended = errorOf((await watch)[Symbol.asyncIterator]().next());
  await writeFile(world.server.kubeconfigPath, 'nonsense: [');
  const kept = world.client.get(PODS, 'n/p');
  (await world.server.next()).json(200, {});
  await kept;
  await writeFile(world.server.kubeconfigPath, await readFile(other.server.kubeconfigPath));
  const answer = world.client.get(PODS, 'n/p');
  (await other.server.next()).json(200, {});
  await answer;
  assert.is((await ended).kind, 'Unreachable');
});

test('a call that an exec plugin keeps waiting names it; a kubeconfig put in its place is used at once', async () => {
  await using world = await start();
  const { kubeconfigPath } = world.server;
  const good = await readFile(kubeconfigPath, 'utf8');
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sleep', args: ['600'] };
  const config = parse(good);
  await writeFile(
    kubeconfigPath,
    stringify({ ...config, users: [{ name: config.users[0].name, user: { exec } }] }),
  );
  const client = await connect({ kubeconfigPath, userAgent: 'tester/1', deadlineMs: 100 });
  const { kind, message } = await errorOf(client.get(PODS, 'n/p'));
  assert.is(kind, 'TimedOut');
  assert.is(message, 'get Pod n/p: no answer from the exec plugin sleep within 100 ms');
  await writeFile(kubeconfigPath, good);
  const answer = client.get(PODS, 'n/p', { timeoutMs: 5_000 });
  (await world.server.next()).json(200, {});
  await answer;
  await client.close();
});

test('a list follows its pages, and starts over when its token expires', async () => {
  await using world = await start();
  const answer = world.client.list(PODS, { namespace: 'n', labelSelector: 'app=web' });
  const first = await world.server.next();
  assert.is(first.query.get('limit'), '100');
  assert.is(first.query.get('labelSelector'), 'app=web');
  assert.not(first.query.has('resourceVersion'));
  first.json(200, {
    metadata: { resourceVersion: '1', continue: 'c1' },
    items: [{ metadata: { name: 'old' } }],
  });
  const expired = await world.server.next();
  assert.is(expired.query.get('continue'), 'c1');
  expired.json(410, { reason: 'Expired' });
  const again = await world.server.next();
  assert.not(again.query.has('continue'));
  again.json(200, {
    metadata: { resourceVersion: '2', continue: 'c2' },
    items: [{ metadata: { name: 'a' } }],
  });
  (await world.server.next()).json(200, {
    metadata: { resourceVersion: '2', continue: '' },
    items: [{ metadata: { name: 'b' } }],
  });
  assert.equal(await answer, {
    items: [
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } },
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'b' } },
    ],
    resourceVersion: '2',
  });
});

test('calls one after another share one or two connections; many at once share eight', async () => {
  await using world = await start();
  for (let call = 0; call < 20; call++) {
    const answer = world.client.get(PODS, 'n/p');
    (await world.server.next()).json(200, {});
    await answer;
  }
  assert.ok(world.server.connections() <= 2);
  const answers = Array.from({ length: 40 }, () => world.client.get(PODS, 'n/p'));
  for (const _ of answers) (await world.server.next()).json(200, {});
  await Promise.all(answers);
  assert.ok(world.server.connections() <= 8);
});

test('the number of connections for calls can be set, and bounds the calls in flight', async () => {
  await using world = await start(5_000, 2);
  const answers = Array.from({ length: 6 }, () => world.client.get(PODS, 'n/p'));
  const [first, second] = [await world.server.next(), await world.server.next()];
  assert.is(world.server.waiting(), 0);
  for (const request of [first, second]) request.json(200, {});
  for (let count = 2; count < answers.length; count++) (await world.server.next()).json(200, {});
  await Promise.all(answers);
  assert.is(world.server.connections(), 2);
});

test.run();
