import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { createIMDSClient, pollIMDS } from './imds.ts';

const MAC = '02:00:00:00:00:01';
const FOLDER = `/latest/meta-data/network/interfaces/macs/${MAC}`;

type Context = { server: Server; endpoint: string; imds: ReturnType<typeof createMetadata> };
const test = suite<Context>('imds');

/** What the small metadata service says and has seen. */
const createMetadata = () => ({
  token: 'one',
  tokensGiven: 0,
  silent: false,
  /** Answered by HTTP 500. */
  broken: '',
  paths: [] as string[],
  data: new Map([
    ['/latest/meta-data/instance-id', 'i-1'],
    ['/latest/meta-data/network/interfaces/macs/', `${MAC}/\n`],
    [`${FOLDER}/interface-id`, 'eni-1'],
    [`${FOLDER}/subnet-ipv4-cidr-block`, '10.10.10.0/24'],
    [`${FOLDER}/local-ipv4s`, '10.10.10.11\n10.10.10.10'],
  ]),
});

test.before.each(async (context) => {
  const imds = createMetadata();
  context.imds = imds;
  context.server = createServer((request, response) => {
    const path = request.url ?? '';
    imds.paths.push(path);
    if (imds.silent) return;
    if (request.method === 'PUT' && path === '/latest/api/token') {
      imds.tokensGiven += 1;
      response.end(imds.token);
    } else if (request.headers['x-aws-ec2-metadata-token'] !== imds.token) response.writeHead(401).end();
    else if (path === imds.broken) response.writeHead(500).end();
    else if (imds.data.has(path)) response.end(imds.data.get(path));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => context.server.listen(0, '127.0.0.1', resolve));
  context.endpoint = `http://127.0.0.1:${(context.server.address() as AddressInfo).port}`;
});
test.after.each(({ server }) => {
  server.closeAllConnections();
  server.close();
});

const READING = {
  instanceID: 'i-1',
  networkInterfaces: [
    { networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses: ['10.10.10.11', '10.10.10.10'] },
  ],
};

test('a reading shows each ENI and the addresses delivered to it; one token serves all', async ({
  endpoint,
  imds,
}) => {
  const client = createIMDSClient(endpoint);
  assert.equal(await client.read(), READING);
  imds.data.set(`${FOLDER}/local-ipv4s`, '10.10.10.11');
  assert.equal((await client.read()).networkInterfaces[0]?.addresses, ['10.10.10.11']);
  assert.is(imds.tokensGiven, 1);
  client.close();
});

test('what cannot change is asked for once', async ({ endpoint, imds }) => {
  const client = createIMDSClient(endpoint);
  await client.read();
  imds.paths.length = 0;
  await client.read();
  assert.equal(imds.paths, ['/latest/meta-data/network/interfaces/macs/', `${FOLDER}/local-ipv4s`]);
  client.close();
});

test('an expired token is replaced by a new one', async ({ endpoint, imds }) => {
  const client = createIMDSClient(endpoint);
  await client.read();
  imds.token = 'two';
  assert.equal(await client.read(), READING);
  assert.is(imds.tokensGiven, 2);
  client.close();
});

test('a part that cannot be read is an error, never an empty list', async ({ endpoint, imds }) => {
  const client = createIMDSClient(endpoint);
  imds.broken = `${FOLDER}/local-ipv4s`;
  try {
    await client.read();
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /IMDS GET .*local-ipv4s: HTTP 500/);
  }
  client.close();
});

test('without a list of the ENIs nothing is known', async ({ endpoint, imds }) => {
  const client = createIMDSClient(endpoint);
  imds.data.delete('/latest/meta-data/network/interfaces/macs/');
  try {
    await client.read();
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /IMDS GET .*macs\/: HTTP 404/);
  }
  client.close();
});

test('an ENI that IMDS has no addresses of is here all the same, with addresses unknown, never none', async ({
  endpoint,
  imds,
}) => {
  const client = createIMDSClient(endpoint);
  await client.read();
  imds.data.delete(`${FOLDER}/local-ipv4s`);
  assert.equal((await client.read()).networkInterfaces, [
    { networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses: null },
  ]);
  client.close();
});

test('an ENI without IPv4, and one that leaves while it is read, hide no other', async ({
  endpoint,
  imds,
}) => {
  const [only6, leaving] = ['02:00:00:00:00:06', '02:00:00:00:00:07'];
  const macs = '/latest/meta-data/network/interfaces/macs/';
  imds.data.set(macs, `${MAC}/\n${only6}/\n${leaving}/\n`);
  imds.data.set(`${macs}${only6}/interface-id`, 'eni-6');
  const client = createIMDSClient(endpoint);
  assert.equal((await client.read()).networkInterfaces, [
    ...READING.networkInterfaces,
    { networkInterfaceID: 'eni-6', subnetCIDR: null, addresses: null },
  ]);
  // Its subnet comes a moment after the ENI itself.
  imds.data.set(`${macs}${only6}/subnet-ipv4-cidr-block`, '10.10.20.0/24');
  imds.data.set(`${macs}${only6}/local-ipv4s`, '10.10.20.5');
  assert.equal((await client.read()).networkInterfaces[1], {
    networkInterfaceID: 'eni-6',
    subnetCIDR: '10.10.20.0/24',
    addresses: ['10.10.20.5'],
  });
  client.close();
});

test('silence ends at a deadline', async ({ endpoint, imds }) => {
  const client = createIMDSClient(endpoint, undefined, 50);
  imds.silent = true;
  try {
    await client.read();
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /IMDS PUT \/latest\/api\/token: .*(timeout|aborted)/);
  }
  client.close();
});

test('a proxy of the environment is not used', async ({ endpoint }) => {
  process.env.HTTP_PROXY = 'http://127.0.0.1:9';
  process.env.NODE_USE_ENV_PROXY = '1';
  try {
    const client = createIMDSClient(endpoint);
    assert.is((await client.read()).instanceID, 'i-1');
    client.close();
  } finally {
    delete process.env.HTTP_PROXY;
    delete process.env.NODE_USE_ENV_PROXY;
  }
});

test('when the reason of an outage changes, the log says so once', async () => {
  const clock = createVirtualClock();
  const ending = new AbortController();
  const said: string[] = [];
  const readings: (object | null)[] = [];
  const world = { error: new Error('IMDS PUT /latest/api/token: connect ECONNREFUSED') as Error | null };
  const note = ({ err = '' }: { err?: string }, message: string) => said.push(`${message} ${err}`);
  const polling = pollIMDS({
    client: {
      async read() {
        if (world.error !== null) throw world.error;
        return { instanceID: 'i-1', networkInterfaces: [] };
      },
      close: () => undefined,
    },
    clock,
    log: { info: note, warn: note, error: note },
    onReading: (reading) => readings.push(reading),
    isUrgent: () => false,
    signal: ending.signal,
  });
  await clock.advance(10_000);
  world.error = new Error('IMDS GET /latest/meta-data/network/interfaces/macs/: HTTP 404');
  await clock.advance(10_000);
  world.error = new Error('IMDS GET /latest/meta-data/instance-id: HTTP 404');
  await clock.advance(10_000);
  assert.equal(said, [
    'IMDS could not be read IMDS PUT /latest/api/token: connect ECONNREFUSED',
    'IMDS could not be read IMDS GET /latest/meta-data/network/interfaces/macs/: HTTP 404',
  ]);
  world.error = null;
  await clock.advance(2_000);
  assert.is(said.at(-1), 'IMDS answers again ');
  assert.ok(readings.at(-1));
  ending.abort();
  await clock.advance(2_000);
  await polling;
});

test.run();
