/**
 * Whatever the programs reach by name they reach although getaddrinfo(3), which Node asks in libuv's threads, never answers: it
 * is replaced here. A file of its own for that.
 */
import dns from 'node:dns';
import promises from 'node:dns/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const waiting: string[] = [];
const { lookup: ask } = dns;
Object.assign(dns, {
  // Addresses pass through it as well, and wait for nothing.
  lookup: (name: string, ...rest: unknown[]) =>
    isIP(name) === 0 ? void waiting.push(name) : Reflect.apply(ask, dns, [name, ...rest]),
});
Object.assign(promises, {
  lookup: (name: string) => {
    waiting.push(name);
    return new Promise(() => undefined);
  },
});
syncBuiltinESMExports();

const { runHTTPGet } = await import('../agent/checks/http-get.ts');
const { runTCPSocket } = await import('../agent/checks/tcp-socket.ts');
const { createIMDSClient } = await import('../agent/node/imds.ts');
const { connectSurroundings } = await import('../operator/surroundings.ts');
const { createResolver, lookupBy } = await import('../runtime/names.ts');

/** No answer on loopback takes so long. */
const PATIENCE_MS = 20_000;
const resolve = createResolver();
const lookup = lookupBy(resolve);

const startServer = async (listener: RequestListener) => {
  const server = createServer(listener);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { port, close };
};

test('a check of localhost goes on passing while getaddrinfo never answers', async () => {
  const { port, close } = await startServer((_request, response) => void response.end('well'));
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const asked = { port, host: 'localhost' };
  const options = { sourceAddress: '192.0.2.1', resolve, quotes: false, signal };
  const http = runHTTPGet({ ...asked, path: '/', scheme: 'HTTP' }, options);
  assert.equal(await http, { result: 'success' });
  assert.equal(await runTCPSocket(asked, '192.0.2.1', resolve, signal), { result: 'success' });
  close();
});

/** As an operator has them, with a kubeconfig for an API server on this port. */
const surroundingsFor = async (port: number) => {
  const dir = mkdtempSync(join(tmpdir(), 'hapair-names-'));
  const kubeconfigPath = join(dir, 'config');
  const kubeconfig = {
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server: `http://localhost:${port}` } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user: {} }],
  };
  writeFileSync(kubeconfigPath, JSON.stringify(kubeconfig));
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const config = {
    ...{ kubeconfigPath, region: 'eu-central-1', namespace: 'hapair-system', version: '0.1.0' },
    ...{ agentUsernameTemplate: '<node>', http: { bindAddress: 'localhost', port: 0 } },
  };
  const surroundings = await connectSurroundings(config, log);
  const close = async (): Promise<void> => {
    await surroundings.kube.close();
    await surroundings.electorKube.close();
    rmSync(dir, { recursive: true });
  };
  return { dir, surroundings, close };
};

test('the API server is reached by name while getaddrinfo never answers', async () => {
  const server = await startServer((_request, response) => void response.end('{"metadata": {"name": "a"}}'));
  const { surroundings, close } = await surroundingsFor(server.port);
  const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod' };
  for (const client of [surroundings.kube, surroundings.electorKube])
    assert.equal(await client.get(pods, 'n/a', { timeoutMs: PATIENCE_MS }), { metadata: { name: 'a' } });
  await close();
  server.close();
});

test('EC2 is reached, and STS for its credentials, while getaddrinfo never answers', async () => {
  const server = await startServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    response.end(body.includes('Action=AssumeRoleWithWebIdentity') ? CREDENTIALS : NO_ADDRESSES);
  });
  const { dir, surroundings, close } = await surroundingsFor(server.port);
  const token = join(dir, 'token');
  writeFileSync(token, 'token');
  const endpoint = `http://localhost:${server.port}`;
  Object.assign(process.env, {
    AWS_REGION: 'eu-central-1',
    AWS_ROLE_ARN: 'arn:aws:iam::111111111111:role/hapair',
    AWS_WEB_IDENTITY_TOKEN_FILE: token,
    AWS_ENDPOINT_URL_STS: endpoint,
    AWS_ENDPOINT_URL_EC2: endpoint,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  });
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) delete process.env[name];
  const api = surroundings.connectEC2({});
  const options = { timeoutMs: PATIENCE_MS, signal: new AbortController().signal };
  const { Addresses = [] } = await api.send('eu-central-1', 'DescribeAddresses', {}, options);
  assert.equal(Addresses, []);
  api.close();
  await close();
  server.close();
});

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
const CREDENTIALS = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
    <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`;
const NO_ADDRESSES = `<DescribeAddressesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>a</requestId><addressesSet/>
</DescribeAddressesResponse>`;

test('instance metadata is read while getaddrinfo never answers', async () => {
  const { port, close } = await startServer(({ url = '' }, response) => {
    response.end(url.endsWith('/macs/') ? '' : 'i-0aaaaaaaaaaaaaaa1');
  });
  const client = createIMDSClient(`http://localhost:${port}`, lookup, PATIENCE_MS);
  assert.equal(await client.read(), { instanceID: 'i-0aaaaaaaaaaaaaaa1', networkInterfaces: [] });
  client.close();
  close();
});

test('metrics are served while getaddrinfo never answers', async () => {
  const { surroundings, close } = await surroundingsFor(1);
  const metrics = { contentType: 'text/plain', text: async () => '' };
  const server = await surroundings.serve?.({ healthz: [], readyz: [], metrics });
  assert.ok((server?.port ?? 0) > 0);
  await server?.close();
  await close();
});

test('nobody has asked getaddrinfo', () => assert.equal(waiting, []));

test.run();
