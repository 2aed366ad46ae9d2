/**
 * A failover whose EC2 calls go wrong in every way the lab knows: the end state is right, EC2 is changed once, and the cause
 * can be read meanwhile. The rows build on each other: each leaves the pair on the other node.
 */
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import type { FaultSpec } from '../../hack/lab/types.ts';
import {
  assertSwitched,
  backup,
  eventReasons,
  eventually,
  masterOf,
  now,
  otherNode,
  settled,
  storyOf,
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

/** How often an Event was told, a series counted once. */
const told = async (stage: Stage, reason: string): Promise<number> =>
  (await eventReasons(stage)).filter((each) => each === reason).length;

for (const { title, faults, calls, tells } of ROWS) {
  row(title, async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const before = await now(stage);
    const toldBefore = tells === undefined ? 0 : await told(stage, tells);
    for (const fault of faults) await stage.world.ec2.fault(fault);
    await stage.world.node(from).killService('agent', 'SIGTERM');
    await settled(stage, to);
    await stage.world.ec2.clearFaults();
    await stage.gone(from, 'agent');
    await stage.world.node(from).startService('agent');
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls });
    if (tells !== undefined) {
      await eventually(`An Event should say ${tells}`, async () =>
        (await told(stage, tells)) > toldBefore ? true : undefined,
      );
    }
  });
}

run();
