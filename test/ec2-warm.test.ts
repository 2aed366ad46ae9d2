/**
 * A failover finds everything ready: after minutes in which only the periodic readings ran, the call that moves addresses
 * opens no connection and fetches no credentials first. With the real SDK, its own credentials chain, and the lab's EC2.
 */
import { pino } from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEC2 } from '../ec2/client.ts';
import { connectSDK } from '../ec2/sdk.ts';
import { EC2Server } from '../hack/lab/ec2/server.ts';
import { STANDARD_VPC } from '../hack/lab/vpc.ts';
import { systemClock } from '../runtime/clock.ts';

const MINUTE_MS = 60_000;
const ENI = ['eni-0aaaaaaaaaaaaaaa1', 'eni-0bbbbbbbbbbbbbbb2'] as const;
const VIP = '10.10.10.10';
const ALLOCATION = 'eipalloc-0ccccccccccccccc3';
const PAIR = { region: STANDARD_VPC.region, networkInterfaceIDs: ENI, allocationIDs: [ALLOCATION] };
const MOVE = {
  action: 'AssignPrivateIpAddresses',
  networkInterfaceID: ENI[1],
  privateIPAddresses: [VIP],
} as const;
const call = { ...MOVE, privateIPAddresses: [...MOVE.privateIPAddresses] };
const { signal } = new AbortController();

const server = new EC2Server({
  vpc: STANDARD_VPC,
  latency: { mutatingCallMs: 0, readCallMs: 0, mappingMs: 0, quickReturnMs: [] },
  fabric: { route: async () => undefined, nat: async () => undefined },
  logger: pino({ level: 'silent' }),
  initial: [`${VIP}=${ENI[0]}=${ALLOCATION}`],
});
const { host, port } = await server.listen('127.0.0.1', 0);
const endpoint = `http://${host}:${port}`;

/** Only the instance's role gives credentials, as on an EC2 instance. */
process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = endpoint;
for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE']) {
  delete process.env[name];
}
process.env.AWS_CONFIG_FILE = '/dev/null';
process.env.AWS_SHARED_CREDENTIALS_FILE = '/dev/null';

const warm = suite('warm');

/** An adapter whose clock on the wall can be put forward; the sessions' ends are on the real one. */
const adapter = () => {
  const wall = { aheadMs: 0 };
  const api = connectSDK({
    defaultRegion: STANDARD_VPC.region,
    endpoint,
    clock: { ...systemClock, wall: () => systemClock.wall() + wall.aheadMs },
  });
  const ec2 = createEC2({ api, clock: systemClock });
  return { ec2, wall };
};

const read = async (ec2: ReturnType<typeof adapter>['ec2']): Promise<void> => {
  const { failure } = await ec2.read(PAIR, 'Watch', signal);
  assert.is(failure, undefined, failure?.message);
};

const used = () => ({ connections: server.connectionsOpened, sessions: server.api.sessions.issued });

warm.before.each(() => server.reset());

warm(
  'after five minutes of readings alone, a move opens no connection and fetches no credentials',
  async () => {
    const { ec2, wall } = adapter();
    server.api.sessions.lifetimeMs = 14 * MINUTE_MS;
    await read(ec2);
    assert.is(used().sessions, 1);
    server.api.sessions.lifetimeMs = 60 * MINUTE_MS;
    for (let n = 0; n < 10; n++) {
      wall.aheadMs += 30_000;
      await read(ec2);
    }
    assert.is(used().sessions, 2, 'the readings renewed credentials that were to end within ten minutes');
    const before = used();
    assert.equal(await ec2.call(STANDARD_VPC.region, call, signal), { ok: true });
    assert.equal(used(), before);
    ec2.close();
  },
);

warm('credentials that end in the middle cost one refused call: the next one has new ones', async () => {
  const { ec2 } = adapter();
  await read(ec2);
  server.api.sessions.endAll();
  const refused = await ec2.call(STANDARD_VPC.region, call, signal);
  if (refused.ok) assert.unreachable();
  else assert.equal([refused.class, refused.mayHaveHappened], ['CredentialsInvalid', false]);
  assert.equal(await ec2.call(STANDARD_VPC.region, call, signal), { ok: true });
  ec2.close();
});

warm.after(() => server.close());
warm.run();
