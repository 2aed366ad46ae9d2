/**
 * The lab's EC2 against the rules of AWS, row by row of hack/lab/ec2/conformance.yaml, through the real SDK; the rows that
 * have a command line also through the real `aws`.
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import * as ec2 from '@aws-sdk/client-ec2';
import { pino } from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { nowMs } from '../hack/lab/clock.ts';
import type { Latency } from '../hack/lab/ec2/api.ts';
import { ACCESS_KEYS, type AccessKey } from '../hack/lab/ec2/credentials.ts';
import { IMDS } from '../hack/lab/ec2/imds.ts';
import { EC2Server } from '../hack/lab/ec2/server.ts';
import type { LabVPC } from '../hack/lab/types.ts';
import { STANDARD_VPC } from '../hack/lab/vpc.ts';
import { ensureTools } from '../hack/setup/tools.ts';

type KeyName = keyof typeof ACCESS_KEYS | 'unknown' | 'wrongSecret' | 'anonymous';

type Expectation = { status: number; code?: string; message?: string; answer?: unknown; body?: string };

type MetadataRequest = {
  source: string;
  path: string;
  method?: string;
  headers?: Record<string, string>;
  token?: boolean;
  tokenOf?: string;
};

type Row = {
  fact: string;
  name: string;
  vpc?: Partial<LabVPC>;
  initial?: string[];
  latency?: Partial<Latency>;
  given?: Record<string, unknown>[];
  call?: Record<string, object>;
  as?: KeyName;
  extra?: Record<string, string>;
  timeoutMs?: number;
  until?: number;
  clockOffsetMs?: number;
  imds?: MetadataRequest;
  cli?: string;
  expect: Expectation;
  reaches?: string;
  holds?: Record<string, string[]>;
  associated?: Record<string, string | null>;
  mapped?: { routes?: Record<string, string | null>; nat?: Record<string, string | null> };
};

/** What came back: an answer, or the error's code and HTTP status (0: nothing came). */
type Outcome = { status: number; code?: string; message?: string; answer?: unknown };

const PATIENCE_MS = 10_000;

const vpc: LabVPC = {
  ...STANDARD_VPC,
  instances: STANDARD_VPC.instances.map((instance, index) => ({
    ...instance,
    instanceType: 't3.small',
    securityGroupIDs: [['sg-0aaaaaaaaaaaaaaa1', 'sg-0bbbbbbbbbbbbbbb2'][index] ?? ''],
  })),
  elasticIPs: [
    ...STANDARD_VPC.elasticIPs,
    { allocationID: 'eipalloc-0ddddddddddddddd4', publicIP: '203.0.113.11' },
  ],
};

const { tools } = await ensureTools();

const server = new EC2Server({
  vpc,
  latency: { mutatingCallMs: 0, readCallMs: 0, mappingMs: 0, quickReturnMs: [] },
  fabric: { route: async () => undefined, nat: async () => undefined },
  logger: pino({ level: 'silent' }),
  initial: ['10.10.10.10=eni-0aaaaaaaaaaaaaaa1=eipalloc-0ccccccccccccccc3'],
});
const imds = new IMDS(() => ({ vpc: server.api.vpc, mapping: server.mapper.mapped }));
const bound = await server.listen('127.0.0.1', 0);
const endpoint = `http://${bound.host}:${bound.port}`;

const keys: Record<string, Pick<AccessKey, 'id' | 'secret'>> = {
  ...ACCESS_KEYS,
  unknown: { id: 'AKIALABUNKNOWN000001', secret: 'lab-unknown' },
  wrongSecret: { id: ACCESS_KEYS.person.id, secret: 'lab-wrong' },
};

/** A client of the real SDK: one attempt, and no signature at all for `anonymous`. */
function clientOf(name: KeyName, clockOffsetMs: number): ec2.EC2Client {
  const key = keys[name];
  return new ec2.EC2Client({
    endpoint,
    region: vpc.region,
    maxAttempts: 1,
    systemClockOffset: clockOffsetMs,
    credentials: { accessKeyId: key?.id ?? '', secretAccessKey: key?.secret ?? '' },
    ...(key === undefined && { signer: { sign: async (request: never) => request } }),
  });
}

const person = clientOf('person', 0);

/** Adds form fields that the SDK's own types do not have. */
function addFields(client: ec2.EC2Client, extra: Record<string, string>): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { request?: { body?: string } };
      if (request?.body !== undefined) {
        request.body += `&${new URLSearchParams(extra)}`;
      }
      return next(args);
    },
    { step: 'build', priority: 'high', name: 'addFields' },
  );
}

/** The command of an action with the parameters of a row, which is data: the SDK checks nothing of it. */
function commandOf(action: string, parameters: object): ec2.DescribeAddressesCommand {
  const found: unknown = Object.entries(ec2).find(([name]) => name === `${action}Command`)?.[1];
  assert.type(found, 'function', `the SDK has an action ${action}`);
  return new (found as typeof ec2.DescribeAddressesCommand)(parameters);
}

async function send(
  client: ec2.EC2Client,
  call: Record<string, object>,
  timeoutMs: number,
): Promise<Outcome> {
  const [action = '', parameters = {}] = Object.entries(call)[0] ?? [];
  try {
    const abortSignal = AbortSignal.timeout(timeoutMs);
    return { status: 200, answer: await client.send(commandOf(action, parameters), { abortSignal }) };
  } catch (error) {
    if (error instanceof ec2.EC2ServiceException) {
      return { status: error.$metadata.httpStatusCode ?? 0, code: error.name, message: error.message };
    }
    return { status: 0, code: 'NoAnswer', message: String(error) };
  }
}

async function lab(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${endpoint}/_lab/${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const reply: unknown = await response.json();
  assert.is(response.status, 200, `${method} /_lab/${path}: ${JSON.stringify(reply)}`);
  return reply;
}

/** One step before the call; `fails` beside an action names the error it must meet. */
async function prepare(step: Record<string, unknown>): Promise<void> {
  if (step.fault !== undefined) {
    await lab('POST', 'faults', step.fault);
  } else if (step.instance !== undefined) {
    const { name, state } = step.instance as { name: string; state: string };
    await lab('POST', `instances/${name}`, { state });
  } else if (step.gateway !== undefined) {
    await lab('POST', 'gateway', step.gateway);
  } else {
    const { fails, ...call } = step;
    const outcome = await send(person, call as Record<string, object>, PATIENCE_MS);
    assert.is(outcome.code, fails, `given ${JSON.stringify(step)}: ${outcome.message}`);
  }
}

/** Sends the row's call, repeatedly if it is to meet an error in the end. */
async function callOf(row: Row): Promise<Outcome> {
  const client = clientOf(row.as ?? 'person', row.clockOffsetMs ?? 0);
  if (row.extra !== undefined) {
    addFields(client, row.extra);
  }
  const call = row.call ?? {};
  let outcome = await send(client, call, row.timeoutMs ?? PATIENCE_MS);
  for (let n = 1; n < (row.until ?? 1) && outcome.code === undefined; n++) {
    outcome = await send(client, call, PATIENCE_MS);
  }
  client.destroy();
  return outcome;
}

function tokenFor(source: string): string {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
  return imds.answer({ source, method: 'PUT', path: '/latest/api/token', headers }, nowMs()).body;
}

function metadataOf({ source, path, method = 'GET', headers = {}, token = true, tokenOf }: MetadataRequest) {
  const sent = token ? { 'x-aws-ec2-metadata-token': tokenFor(tokenOf ?? source), ...headers } : headers;
  return imds.answer({ source, method, path, headers: sent }, nowMs());
}

/** Every member of `wanted` is in `found`; lists have the same length; `null` means absent. */
function assertPart(found: unknown, wanted: unknown, where: string): void {
  if (wanted === null) {
    assert.is(found ?? null, null, where);
  } else if (typeof wanted !== 'object' || wanted === undefined) {
    assert.is(found, wanted, where);
  } else {
    assert.type(found, 'object', `${where} is there`);
    const members = Object.entries(found ?? {});
    if (Array.isArray(wanted)) {
      assert.is(members.length, wanted.length, `length of ${where}: ${JSON.stringify(found)}`);
    }
    for (const [name, value] of Object.entries(wanted)) {
      assertPart(members.find(([key]) => key === name)?.[1], value, `${where}.${name}`);
    }
  }
}

function assertOutcome(found: Outcome, { status, code, message, answer }: Expectation): void {
  assert.is(found.status, status, `status; ${found.code}: ${found.message}`);
  if (status !== 0) {
    assert.is(found.code, code);
  }
  assert.ok(found.message?.includes(message ?? '') ?? message === undefined, `message: ${found.message}`);
  if (answer !== undefined) {
    assertPart(found.answer, answer, 'answer');
  }
}

async function assertState({ holds = {}, associated = {} }: Row): Promise<void> {
  if (Object.keys(holds).length > 0) {
    const { NetworkInterfaces = [] } = await person.send(
      new ec2.DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: Object.keys(holds) }),
    );
    const found = NetworkInterfaces.map((eni) => [
      eni.NetworkInterfaceId,
      eni.PrivateIpAddresses?.map((address) => address.PrivateIpAddress),
    ]);
    assert.equal(Object.fromEntries(found), holds);
  }
  if (Object.keys(associated).length > 0) {
    const { Addresses = [] } = await person.send(
      new ec2.DescribeAddressesCommand({ AllocationIds: Object.keys(associated) }),
    );
    const found = Addresses.map((eip) => [eip.AllocationId, eip.PrivateIpAddress ?? null]);
    assert.equal(Object.fromEntries(found), associated);
  }
}

/** The fabric is awaited unless the row holds it back by its latency. */
async function assertMapped(row: Row): Promise<void> {
  if (row.mapped !== undefined) {
    const waitMs = row.latency?.mappingMs === undefined ? PATIENCE_MS : 0;
    assertPart(await lab('GET', `mapping?wait=${waitMs}`), row.mapped, 'mapped');
  }
}

async function begin(row: Row): Promise<void> {
  await lab('POST', 'reset', { vpc: row.vpc, latency: row.latency, initial: row.initial });
  for (const step of row.given ?? []) {
    await prepare(step);
  }
}

async function throughSDK(row: Row): Promise<void> {
  await begin(row);
  if (row.imds !== undefined) {
    await assertMapped(row);
    await lab('GET', `mapping?wait=${row.latency === undefined ? PATIENCE_MS : 0}`);
    const { status, body } = metadataOf(row.imds);
    assert.is(status, row.expect.status, body);
    assert.is(body, row.expect.body ?? body);
    return;
  }
  assertOutcome(await callOf(row), row.expect);
  if (row.reaches !== undefined) {
    const action = Object.keys(row.call ?? {})[0];
    await lab('GET', `calls?action=${action}&phase=${row.reaches}&wait=${PATIENCE_MS}`);
  }
  await assertState(row);
  await assertMapped(row);
}

/** Runs `aws ec2 …`, knowing nothing of any configuration of this machine. */
async function aws(line: string): Promise<Outcome> {
  const env = {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: ACCESS_KEYS.person.id,
    AWS_SECRET_ACCESS_KEY: ACCESS_KEYS.person.secret,
    AWS_DEFAULT_REGION: vpc.region,
    AWS_DEFAULT_OUTPUT: 'json',
    AWS_MAX_ATTEMPTS: '1',
    AWS_PAGER: '',
  };
  const argv = ['--endpoint-url', endpoint, 'ec2', ...line.split(' ')];
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  execFile(tools.aws, argv, { env, timeout: 30_000 }, (error, stdout, stderr) => {
    const code = /An error occurred \(([^)]+)\)/.exec(stderr)?.[1];
    if (error === null) {
      resolve({ status: 200, answer: stdout.trim() === '' ? {} : JSON.parse(stdout) });
    } else if (code === undefined) {
      reject(new Error(`aws ${line}: ${stderr || error.message}`));
    } else {
      resolve({ status: 0, code, message: stderr });
    }
  });
  return promise;
}

async function throughCLI(row: Row, line: string): Promise<void> {
  await begin(row);
  const outcome = await aws(line);
  assertOutcome({ ...outcome, status: outcome.code === undefined ? 200 : row.expect.status }, row.expect);
  await assertState(row);
  await assertMapped(row);
}

const table = new URL('../hack/lab/ec2/conformance.yaml', import.meta.url);
const rows: Row[] = parse(await readFile(table, 'utf8'));

const bySDK = suite('EC2 of the lab, through the SDK');
for (const row of rows) {
  bySDK(`${row.fact}: ${row.name}`, () => throughSDK(row));
}
bySDK.run();

const byCLI = suite('EC2 of the lab, through the aws command');
for (const row of rows) {
  const { cli } = row;
  if (cli !== undefined) {
    byCLI(`${row.fact}: ${row.name}`, () => throughCLI(row, cli));
  }
}
byCLI.after(async () => {
  person.destroy();
  await server.close();
});
byCLI.run();
