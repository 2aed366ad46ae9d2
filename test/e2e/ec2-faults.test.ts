/**
 * A failover whose EC2 calls go wrong in every way the lab knows: the end state is right, EC2 is changed once, and the cause
 * can be read meanwhile. The rows build on each other: each leaves the pair on the other node.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { PUBLIC_IP, type Stage, VIP } from '../../hack/demo/stage.ts';
import type { FaultSpec } from '../../hack/lab/types.ts';
import {
  assertSwitched,
  backup,
  conditionOf,
  conditionSays,
  eventually,
  failOver,
  lastCallID,
  masterOf,
  messageOf,
  mutatingCalls,
  networkInterfaceOf,
  now,
  otherNode,
  pairOf,
  settled,
  storyOf,
  timesTold,
  toldAgain,
} from './support.ts';

const { row, run } = storyOf('ec2-faults');

const assign = 'AssignPrivateIpAddresses';
const describe = 'DescribeNetworkInterfaces';

type Row = {
  title: string;
  faults: readonly FaultSpec[];
  /** Mutating calls that are enough, those that failed included. */
  calls: number;
  /** The Event that names the cause; absent: nothing is wrong that a person should hear of. */
  tells?: string;
};

const ROWS: readonly Row[] = [
  {
    title: 'throttled three times',
    faults: [{ action: assign, kind: 'throttle', count: 3 }],
    calls: 4,
    tells: 'EC2Throttled',
  },
  {
    title: "an error of EC2's own side",
    faults: [{ action: assign, kind: 'error', code: 'InternalError' }],
    calls: 2,
    tells: 'EC2Unavailable',
  },
  {
    title: 'a permission that is missing for a while',
    faults: [{ action: assign, kind: 'error', code: 'UnauthorizedOperation', count: 2 }],
    calls: 3,
    tells: 'EC2Unauthorized',
  },
  {
    title: 'no answer in time, without an effect',
    faults: [{ action: assign, kind: 'hang-before' }],
    calls: 2,
    tells: 'EC2TimedOut',
  },
  {
    title: 'no answer in time, after the effect',
    faults: [{ action: assign, kind: 'hang-after' }],
    calls: 1,
    tells: 'EC2TimedOut',
  },
  {
    title: 'the connection is cut',
    faults: [{ action: assign, kind: 'cut' }],
    calls: 2,
  },
  {
    title: 'the reading after the call is from before it',
    faults: [{ action: describe, kind: 'stale', ageMs: 600_000 }],
    calls: 1,
  },
  {
    title: 'the reading after the call leaves the VIP out',
    faults: [{ action: describe, kind: 'omit', address: VIP }],
    calls: 1,
  },
  {
    title: 'the reading after the call fails',
    faults: [
      { action: describe, kind: 'throttle', count: 2 },
      { action: 'DescribeAddresses', kind: 'cut', count: 2 },
    ],
    calls: 1,
  },
  {
    title: 'the call fails and the reading after it is stale',
    faults: [
      { action: assign, kind: 'error', code: 'InternalError' },
      { action: describe, kind: 'stale', ageMs: 600_000 },
    ],
    calls: 2,
  },
];

/**
 * EC2 answers each code of a class in turn, the last one until a person could have read the cause (AWS-FACTS, "Errors by what
 * to do"). InvalidParameterValue has many causes, and its text is no contract: it is a class of its own.
 */
type ErrorClass = { title: string; codes: readonly string[]; reason: string };

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
    codes: ['Resource.AlreadyAssociated', 'InvalidIPAddress.InUse'],
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

/** The master's agent is stopped under these faults; `meanwhile` sees the failover, and afterwards all is well. */
const failOverUnder = async (
  stage: Stage,
  faults: readonly FaultSpec[],
  most: { calls: number },
  meanwhile: () => Promise<unknown> = async () => undefined,
): Promise<void> => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  const before = await now(stage);
  for (const fault of faults) await stage.world.ec2.fault(fault);
  await stage.world.node(from).killService('agent', 'SIGTERM');
  await meanwhile();
  await settled(stage, to);
  await stage.world.ec2.clearFaults();
  await stage.gone(from, 'agent');
  await stage.world.node(from).startService('agent');
  await backup(stage, from);
  await assertSwitched(stage, before, to, most);
};

for (const { title, faults, calls, tells } of ROWS) {
  row(title, async (stage) => {
    const toldBefore = tells === undefined ? 0 : await timesTold(stage, tells);
    await failOverUnder(stage, faults, { calls });
    if (tells !== undefined) {
      await toldAgain(stage, tells, toldBefore);
    }
  });
}

for (const { title, codes, reason } of CLASSES) {
  row(`error class, ${title}: ${codes.join(', ')}`, async (stage) => {
    const [toldBefore, callID] = [await timesTold(stage, reason), await lastCallID(stage)];
    const last = codes.at(-1) ?? '';
    const faults = codes.map((code): FaultSpec => {
      const count = code === last ? FOR_LONG : 1;
      return { action: assign, kind: 'error', code, count };
    });
    await failOverUnder(stage, faults, { calls: FOR_LONG }, async () => {
      const says = `fails: ${last}:`;
      const pair = await conditionSays(stage, 'AddressesConverged', `False ${reason}`, { says });
      assert.is(conditionOf(pair, 'Ready'), 'False NotConverged');
      assert.match(messageOf(pair, 'Ready'), says);
      await stage.world.ec2.clearFaults();
    });
    const answers = (await stage.world.ec2.calls(callID)).flatMap(({ action, errorCode = [] }) =>
      action === assign ? errorCode : [],
    );
    assert.equal([...new Set(answers)], codes, 'each code was answered');
    await toldAgain(stage, reason, toldBefore);
  });
}

row('the whole API is away for a while', async (stage) => {
  await failOverUnder(stage, [{ kind: 'outage' }], { calls: FOR_LONG }, async () => {
    const pair = await conditionSays(stage, 'AddressesConverged', 'False EC2TimedOut');
    assert.is(conditionOf(pair, 'Ready'), 'False NotConverged');
    await stage.world.ec2.clearFaults();
  });
});

/** EC2 is through with a call, whoever still wanted to hear of it. */
const hasEnded = (stage: Stage, id: number): Promise<true> =>
  eventually(
    `EC2 should be through with call ${id}`,
    async () => {
      const log = await readFile(join(stage.world.dir, 'ec2.log'), 'utf8');
      return log.includes(`"call":${id},`) ? true : undefined;
    },
    60_000,
  );

row('T11, a call that takes 30 s: not waited for, and what it does at last is put right', async (stage) => {
  const callID = await lastCallID(stage);
  const toldBefore = await timesTold(stage, 'EC2TimedOut');
  await failOverUnder(stage, [{ action: assign, kind: 'slow', delayMs: 30_000 }], { calls: 2 });
  await toldAgain(stage, 'EC2TimedOut', toldBefore);
  // The slow call names the master of now. Once the other is master, it takes the addresses from it.
  const master = await failOver(stage);
  const slow = (await mutatingCalls(stage, callID)).find(({ fault }) => fault === 'slow');
  await hasEnded(stage, slow?.id ?? 0);
  await eventually(
    `The VIP should be back at ${master}`,
    async () => {
      const { routes, nat } = await stage.world.ec2.settledMapping();
      const isBack = routes[VIP] === networkInterfaceOf(stage, master) && nat[PUBLIC_IP] === VIP;
      const { status } = await pairOf(stage);
      return isBack && status?.holder === master ? true : undefined;
    },
    60_000,
  );
  await settled(stage, master);
});

run();
