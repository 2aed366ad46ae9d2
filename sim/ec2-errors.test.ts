/**
 * A failover whose EC2 call is refused with every code that EC2 is known to answer with, or whose reading shows the past: the
 * cause can be read meanwhile, no call names another node, and the end is right. (test/e2e/ec2-faults: what only a real SDK shows.)
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NODE2, VIP } from '../operator/testing/fixtures.ts';
import { endsWell } from './scenes.ts';
import { World } from './world.ts';

/**
 * EC2 answers each code of a class in turn, the last one until a person could have read the cause (AWS-FACTS, "Errors by what
 * to do"). InvalidParameterValue has many causes, and its text is no contract: it is a class of its own.
 */
type ErrorClass = {
  title: string;
  codes: readonly string[];
  reason: string;
  /** Default: 400, with which AuthFailure is about a resource. */
  httpStatus?: number;
};

const CLASSES: readonly ErrorClass[] = [
  { title: 'throttle', codes: ['RequestLimitExceeded'], reason: 'EC2Throttled' },
  {
    title: "EC2's own side",
    codes: ['InternalFailure', 'ServerInternal', 'Unavailable', 'ServiceUnavailable', 'InternalError'],
    reason: 'EC2Unavailable',
  },
  {
    title: 'credentials or clock',
    codes: ['AuthFailure', 'RequestExpired', 'SignatureDoesNotMatch', 'ExpiredToken'],
    reason: 'EC2CredentialsInvalid',
    httpStatus: 401,
  },
  { title: 'permission', codes: ['UnauthorizedOperation'], reason: 'EC2Unauthorized' },
  {
    title: 'target missing',
    codes: [
      'InvalidNetworkInterfaceId.Malformed',
      'InvalidInstanceID.NotFound',
      'InvalidNetworkInterfaceID.NotFound',
    ],
    reason: 'EC2TargetMissing',
  },
  {
    title: 'EIP missing',
    codes: ['InvalidAddress.NotFound', 'InvalidAddressID.NotFound', 'InvalidAllocationID.NotFound'],
    reason: 'EC2AllocationMissing',
  },
  {
    title: 'held elsewhere',
    codes: ['AuthFailure', 'Resource.AlreadyAssociated', 'InvalidIPAddress.InUse'],
    reason: 'EC2AddressInUse',
  },
  { title: 'quota', codes: ['PrivateIpAddressLimitExceeded'], reason: 'EC2QuotaExceeded' },
  {
    title: 'state',
    codes: ['IncorrectInstanceState', 'Gateway.NotAttached', 'IncorrectState'],
    reason: 'EC2StateConflict',
  },
  { title: 'a parameter', codes: ['InvalidParameterValue'], reason: 'EC2Rejected' },
];

/** More than EC2 is asked while a person reads. */
const FOR_LONG = 1_000;

/** All calls named node2, EC2 delivers there, and the returned node1 stands by. */
const followed = async (world: World): Promise<void> => {
  await world.until('EC2 follows', () => world.isServedBy('node2'), 120_000);
  assert.equal([...new Set(world.moves)], ['node2'], 'no call names another node');
  world.node1.boot();
  await endsWell(world, 'node2');
};

for (const { title, codes, reason, httpStatus = 400 } of CLASSES) {
  test(`error class, ${title}: ${codes.join(', ')}`, async () => {
    const world = await World.converged();
    const { ec2 } = world;
    const last = codes.at(-1) ?? '';
    for (const code of codes)
      for (let count = 0; count < (code === last ? FOR_LONG : 1); count += 1)
        ec2.fates.push({ answer: { code, message: 'refused', httpStatus } });
    world.node1.crash();
    await world.until(
      'the cause can be read',
      () =>
        world.condition('AddressesConverged') === `False ${reason}` &&
        world.message('AddressesConverged').includes(`fails: ${last}:`),
      180_000,
    );
    assert.is(world.condition('Ready'), 'False NotConverged');
    assert.match(world.message('Ready'), `fails: ${last}:`);
    assert.ok(ec2.calls.length >= codes.length, 'each code was answered');
    await world.until('it is told', () => world.told.includes(reason));
    assert.is(world.holder, 'node1', 'a refused call has no effect');
    ec2.fates.length = 0;
    await followed(world);
  });
}

test('the reading after the call is from before it: one call is enough', async () => {
  const world = await World.converged();
  world.node1.crash();
  await world.until('the call is made', () => world.ec2.calls.length === 1);
  world.ec2.staleMs = 600_000;
  await world.pass(1_000);
  world.ec2.staleMs = 0;
  await followed(world);
  assert.is(world.moves.length, 1);
});

test('the reading after the call leaves the VIP out: one call is enough', async () => {
  const world = await World.converged();
  world.node1.crash();
  await world.until('the call is made', () => world.ec2.calls.length === 1);
  world.ec2.omitted.add(NODE2.networkInterfaceID);
  await world.pass(1_000);
  world.ec2.omitted.clear();
  await followed(world);
  assert.is(world.moves.length, 1);
});

test('the call fails and the reading after it is stale: the second call is the last', async () => {
  const world = await World.converged();
  world.ec2.fates.push({ answer: { code: 'InternalError', message: 'ours', httpStatus: 500 } });
  world.node1.crash();
  await world.until('the call is made', () => world.ec2.calls.length === 1);
  world.ec2.staleMs = 600_000;
  await world.until('the second call is made', () => world.ec2.calls.length === 2);
  world.ec2.staleMs = 0;
  await followed(world);
  assert.is(world.moves.length, 2);
  assert.is(world.ec2.holderOf(VIP), NODE2.networkInterfaceID);
});

test('no credentials for four minutes: the cause can be read, and the failover is made within seconds of their return', async () => {
  const world = await World.converged();
  const { ec2 } = world;
  ec2.refusal = {
    code: 'NoCredentials',
    message: 'their source has not answered (role arn:aws:iam::1:role/x)',
  };
  world.node1.crash();
  await world.pass(240_000);
  assert.is(world.condition('AddressesConverged'), 'False EC2CredentialsInvalid');
  assert.match(world.message('Ready'), 'role arn:aws:iam::1:role/x');
  assert.is(world.condition('PreflightPassed'), 'Unknown EC2ReadFailed');
  ec2.refusal = undefined;
  await world.until('EC2 follows', () => world.isServedBy('node2'), 15_000);
  await followed(world);
});

test.run();
