/** The SDK and its chain of credentials against an EC2 and an STS on loopback, which have their moods. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import type { EC2API } from './api.ts';
import { FETCH_MS } from './credentials.ts';
import { failureOf } from './errors.ts';
import { connectSDK, type SDKOptions } from './sdk.ts';
import { rawErrorOf } from './shapes.ts';
import type { EC2Result } from './types.ts';

const REGION = 'ap-northeast-1';
const ABROAD = 'eu-south-1';
const ROLE = 'arn:aws:iam::111122223333:role/hapair';
const EIP_OF_A_GATEWAY = 'eipalloc-0000000000000000a';

type Answer = { status: number; body: string };
/** Accepted, and never answered. */
const HANG = 'Hang';

const refused = (status: number, code: string, message: string): Answer => ({
  status,
  body: `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors></Response>`,
});

const sessionUntil = (ms: number): string =>
  `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
  <Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken>
  <Expiration>${new Date(ms).toISOString()}</Expiration></Credentials>
  </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;

const stsRefuses = (code: string, message: string): Answer => ({
  status: code === 'AccessDenied' ? 403 : 400,
  body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code>
  <Message>${message}</Message></Error></ErrorResponse>`,
});

const serveOn = async (answer: (asked: URLSearchParams, authorization: string) => Answer | typeof HANG) => {
  const give = (response: ServerResponse, told: Answer | typeof HANG): void => {
    if (told !== HANG) response.writeHead(told.status, { 'content-type': 'text/xml' }).end(told.body);
  };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    give(response, answer(new URLSearchParams(body), request.headers.authorization ?? ''));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
};

/** What STS answers, one after another; the last one stays. */
let sts: (Answer | typeof HANG)[] = [];
let fetches = 0;
const started = {
  sts: await serveOn(() => {
    fetches += 1;
    const [now = { status: 200, body: sessionUntil(Date.now() + 3_600_000) }] = sts;
    if (sts.length > 1) sts.shift();
    return now;
  }),
  ec2: await serveOn((asked, authorization) => {
    if (authorization.includes(`/${ABROAD}/`))
      return refused(401, 'AuthFailure', 'AWS was not able to validate the provided access credentials');
    if (asked.get('AllocationId') === EIP_OF_A_GATEWAY)
      return refused(400, 'AuthFailure', 'You do not have permission to access the specified resource.');
    return { status: 200, body: '<Response/>' };
  }),
};

const { signal } = new AbortController();
const TOKEN_FILE = new URL('../package.json', import.meta.url).pathname;

const sdk = suite('sdk');
const before = { ...process.env };

/** Connects as a pod with a token file does (IRSA), unless `options` say otherwise. */
const connect = (options: Partial<SDKOptions> = {}): EC2API =>
  connectSDK({
    defaultRegion: REGION,
    endpoint: started.ec2.url,
    clock: createVirtualClock(),
    // A busy machine may need a while for a handshake with itself.
    connectTimeoutMs: 30_000,
    ...options,
  });

sdk.before.each(() => {
  sts = [];
  fetches = 0;
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, {
    AWS_REGION: REGION,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_ROLE_ARN: ROLE,
    AWS_WEB_IDENTITY_TOKEN_FILE: TOKEN_FILE,
    AWS_ENDPOINT_URL_STS: started.sts.url,
  });
});
sdk.after(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, before);
  for (const { server } of Object.values(started)) {
    server.closeAllConnections();
    server.close();
  }
});

/** @throws Error when it does not come to pass. */
const until = async (isDone: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 1_000_000; turn++) {
    if (isDone()) return;
    await new Promise(setImmediate);
  }
  throw new Error('awaited in vain');
};

/** How a request ends; `pending`: not at all, far beyond its bounds. */
const ends = async (
  api: EC2API,
  { region = REGION, allocationID = 'eipalloc-1', timeoutMs = 10_000 } = {},
): Promise<EC2Result | 'pending'> => {
  const sent = api
    .send(region, 'AssociateAddress', { AllocationId: allocationID }, { timeoutMs, signal })
    .then(
      (): EC2Result => ({ ok: true }),
      (error: unknown): EC2Result => failureOf(rawErrorOf(error)),
    );
  const late = new AbortController();
  const pending = new Promise<'pending'>((resolve) => {
    const timer = setTimeout(resolve, 60_000, 'pending');
    late.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  return Promise.race([sent, pending]).finally(() => late.abort());
};

const OK = { ok: true };

sdk(
  'a credentials source that never answers costs a call its bounds at most, and nothing was sent',
  async () => {
    const api = connect({ credentials: () => new Promise(() => undefined), connectTimeoutMs: 50 });
    const told = await ends(api, { timeoutMs: 50 });
    api.close();
    if (told === 'pending' || told.ok) return assert.unreachable(String(told));
    assert.equal([told.class, told.mayHaveHappened], ['CredentialsInvalid', false]);
    assert.match(told.message, ROLE);
  },
);

sdk('an STS that swallows a request costs that call, and the next call asks it afresh', async () => {
  sts = [HANG, { status: 200, body: sessionUntil(Date.now() + 3_600_000) }];
  const clock = createVirtualClock();
  const api = connect({ clock });
  const first = ends(api);
  await until(() => fetches === 1);
  await clock.advance(FETCH_MS);
  const told = await first;
  assert.is(told !== 'pending' && !told.ok && told.class, 'CredentialsInvalid');
  assert.equal(await ends(api), OK);
  api.close();
});

const WORDS = [
  ['InvalidIdentityToken', 'No OpenIDConnect provider found in your account'],
  ['ExpiredTokenException', 'Token expired: current date/time must be before the expiration date/time'],
  ['IDPCommunicationError', 'The identity provider does not answer'],
  ['AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity'],
  ['SomethingUnheardOf', 'said so'],
] as const;

sdk('whatever STS says is told as credentials, with its words, the role and the trust policy', async () => {
  for (const [code, message] of WORDS) {
    sts = [stsRefuses(code, message)];
    const api = connect();
    const told = await ends(api);
    api.close();
    if (told === 'pending' || told.ok) return assert.unreachable(String(told));
    assert.equal([told.class, told.mayHaveHappened], ['CredentialsInvalid', false]);
    for (const text of [code.replace('Exception', ''), message, ROLE, 'trust policy'])
      assert.match(told.message, text);
  }
});

sdk('a token file that is missing is told as credentials, with its path', async () => {
  process.env.AWS_WEB_IDENTITY_TOKEN_FILE = '/nowhere/token';
  const api = connect();
  const told = await ends(api);
  api.close();
  if (told === 'pending' || told.ok) return assert.unreachable(String(told));
  assert.is(told.class, 'CredentialsInvalid');
  assert.match(told.message, '/nowhere/token');
});

sdk(
  "AuthFailure for one pair's EIP leaves everybody's credentials alone, also while STS is away",
  async () => {
    const api = connect();
    assert.equal(await ends(api), OK);
    sts = [HANG];
    for (let n = 0; n < 5; n++) {
      const told = await ends(api, { allocationID: EIP_OF_A_GATEWAY });
      assert.is(told !== 'pending' && !told.ok && told.class, 'AddressInUse');
      assert.equal(await ends(api), OK);
    }
    api.close();
    assert.is(fetches, 1);
  },
);

sdk(
  'AuthFailure in a Region that is not enabled costs the other Regions nothing, also while STS is away',
  async () => {
    const api = connect();
    assert.equal(await ends(api), OK);
    sts = [HANG];
    for (let n = 0; n < 5; n++) {
      const told = await ends(api, { region: ABROAD });
      assert.is(told !== 'pending' && !told.ok && told.class, 'CredentialsInvalid');
      assert.equal(await ends(api), OK);
    }
    await until(() => fetches === 2); // one beside the requests, which is under way
    api.close();
  },
);

sdk.run();
