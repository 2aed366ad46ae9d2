import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AssignPrivateIpAddressesCommand, DescribeAddressesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { pino } from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CallRecord, FaultSpec } from '../types.ts';
import { STANDARD_VPC } from '../vpc.ts';
import { ACCESS_KEYS } from './credentials.ts';
import { EC2Server } from './server.ts';

const WAIT_MS = 5000;

const server = new EC2Server({
  vpc: STANDARD_VPC,
  latency: { mutatingCallMs: 0, readCallMs: 0, mappingMs: 0, quickReturnMs: [] },
  fabric: { route: async () => undefined, nat: async () => undefined },
  logger: pino({ level: 'silent' }),
  initial: ['10.10.10.10=eni-0aaaaaaaaaaaaaaa1=eipalloc-0ccccccccccccccc3'],
});
const { host, port } = await server.listen('127.0.0.1', 0);
const endpoint = `http://${host}:${port}`;

const lab = async (
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> => {
  const response = await fetch(`${endpoint}/_lab/${path}`, {
    method,
    ...(body !== undefined && { body }),
    signal: AbortSignal.timeout(2 * WAIT_MS),
  });
  return { status: response.status, text: await response.text() };
};

const calls = async (query: string): Promise<CallRecord[]> => {
  const { calls: found }: { calls: CallRecord[] } = JSON.parse((await lab('GET', `calls?${query}`)).text);
  return found;
};

const client = new EC2Client({
  endpoint,
  region: STANDARD_VPC.region,
  maxAttempts: 1,
  credentials: { accessKeyId: ACCESS_KEYS.operator.id, secretAccessKey: ACCESS_KEYS.operator.secret },
});

/** The failover's call; resolves to whether it was answered. */
const move = (): Promise<boolean> => {
  const command = new AssignPrivateIpAddressesCommand({
    NetworkInterfaceId: 'eni-0bbbbbbbbbbbbbbb2',
    PrivateIpAddresses: ['10.10.10.10'],
    AllowReassignment: true,
  });
  return client.send(command).then(
    () => true,
    () => false,
  );
};

const moved = (): boolean =>
  server.api.state.networkInterfaces[1]?.addresses.includes('10.10.10.10') === true;

const fault = async (spec: FaultSpec): Promise<void> => {
  assert.is((await lab('POST', 'faults', JSON.stringify(spec))).status, 200);
};

test.before.each(() => server.reset());

test('a call that is held before its effect can be awaited, and cut', async () => {
  await fault({ kind: 'hang-before' });
  const answered = move();
  const [call] = await calls(`since=0&action=AssignPrivateIpAddresses&phase=received&wait=${WAIT_MS}`);
  assert.is(call?.fault, 'hang-before');
  assert.is((await lab('POST', 'release')).text.trim(), '{"released":1}');
  assert.is(await answered, false);
  assert.is(moved(), false);
});

test('or let go on', async () => {
  await fault({ kind: 'hang-before' });
  const answered = move();
  await calls(`phase=received&wait=${WAIT_MS}`);
  await lab('POST', 'release?proceed=true');
  assert.is(await answered, true);
  assert.is(moved(), true);
});

test('a call that is held after its effect can be awaited there: applied but unanswered', async () => {
  await fault({ kind: 'hang-after' });
  const answered = move();
  const [call] = await calls(`phase=effect&wait=${WAIT_MS}`);
  assert.type(call?.effectAtMs, 'number');
  assert.is(call?.answeredAtMs, undefined);
  assert.is(moved(), true);
  await lab('POST', 'release');
  assert.is(await answered, false);
  assert.is((await calls(''))[0]?.status, 0);
});

test('the log tells who called what, when it took effect and when packets followed', async () => {
  await move();
  const [call] = await calls(`phase=mapped&wait=${WAIT_MS}`);
  assert.is(call?.accessKeyID, ACCESS_KEYS.operator.id);
  assert.is(call?.parameters['PrivateIpAddress.1'], '10.10.10.10');
  assert.is(call?.status, 200);
  assert.ok((call?.receivedAtMs ?? Number.NaN) <= (call?.effectAtMs ?? Number.NaN));
  assert.ok((call?.effectAtMs ?? Number.NaN) <= (call?.mappedAtMs ?? Number.NaN));
  assert.equal(await calls(`since=${call?.id}`), []);
});

test('waiting for what does not happen ends', async () => {
  assert.equal(await calls('phase=effect&wait=20'), []);
});

test('a fault hits the action it names, as often as it says, and can be taken back', async () => {
  await fault({ kind: 'throttle', action: 'DescribeAddresses' });
  assert.is(await move(), true);
  await lab('DELETE', 'faults');
  assert.is((await lab('GET', 'faults')).text.trim(), '{"faults":[]}');
  await fault({ kind: 'throttle', count: 2 });
  assert.equal([await move(), await move(), await move()], [false, false, true]);
});

for (const [body, reason] of [
  ['{"kind": "explode"}', 'kind'],
  ['{"kind": "slow", "delayMs": -1}', 'delayMs'],
  ['{"kind": "slow", "action": 5}', 'action'],
  ['{', 'JSON'],
] as const) {
  test(`a fault that makes no sense is refused: ${body}`, async () => {
    const { status, text } = await lab('POST', 'faults', body);
    assert.is(status, 400);
    assert.match(text, reason);
  });
}

test('what the lab does not have is a 404', async () => {
  assert.is((await lab('GET', 'colour')).status, 404);
  assert.is((await lab('GET', 'healthz')).status, 200);
});

test('an instance that does not exist cannot be stopped', async () => {
  assert.is((await lab('POST', 'instances/node3', '{"state": "stopped"}')).status, 400);
  assert.is((await lab('POST', 'instances/node1', '{"state": "stopped"}')).status, 200);
  assert.is(server.api.state.instances[0]?.state, 'stopped');
});

/** What the SDK's own chain makes of a pod's identity, as the real operator has it. */
const describeAsPod = async (): Promise<string> => {
  const dir = mkdtempSync(join(tmpdir(), 'lab-sts-'));
  const tokenFile = join(dir, 'token');
  writeFileSync(tokenFile, 'a token');
  const own = {
    AWS_ROLE_ARN: 'arn:aws:iam::000000000000:role/hapair-operator',
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    AWS_ENDPOINT_URL_STS: endpoint,
  };
  Object.assign(process.env, own);
  const pod = new EC2Client({ endpoint, region: STANDARD_VPC.region, maxAttempts: 1 });
  try {
    const { Addresses = [] } = await pod.send(new DescribeAddressesCommand({}), {
      abortSignal: AbortSignal.timeout(WAIT_MS),
    });
    return `${Addresses.length} address`;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  } finally {
    for (const name of Object.keys(own)) delete process.env[name];
    pod.destroy();
    rmSync(dir, { recursive: true });
  }
};

test("STS gives a pod's identity a session of the role, or refuses as it is told, so often", async () => {
  assert.is(await describeAsPod(), '1 address');
  const mood = { is: 'refusing', status: 400, code: 'InvalidIdentityToken', count: 1 };
  assert.is((await lab('POST', 'moods/credentials', JSON.stringify(mood))).status, 200);
  assert.is(await describeAsPod(), 'InvalidIdentityTokenException');
  assert.is(await describeAsPod(), '1 address');
});

test('the source of credentials may say nothing at all', async () => {
  const role = `${endpoint}/latest/meta-data/iam/security-credentials/`;
  await lab('POST', 'moods/credentials', '{"is": "silent"}');
  const waited = await fetch(role, { signal: AbortSignal.timeout(300) }).catch(({ name }) => name);
  assert.is(waited, 'TimeoutError');
  await lab('POST', 'moods/credentials', '{"is": "well"}');
  assert.is((await fetch(role)).status, 200);
});

for (const [who, body, reason] of [
  ['node3', '{"is": "silent"}', 'node1'],
  ['node1', '{"is": "sad"}', 'silent'],
  ['node1', '{"is": "slow"}', 'delayMs'],
  ['credentials', '{"is": "refusing"}', 'status'],
] as const) {
  test(`a mood that makes no sense is refused: ${who} ${body}`, async () => {
    const { status, text } = await lab('POST', `moods/${who}`, body);
    assert.is(status, 400);
    assert.match(text, reason);
  });
}

test.after(async () => {
  client.destroy();
  await server.close();
});
test.run();
