/**
 * A failover whose EC2 calls go wrong between the SDK and EC2: the end state is right, EC2 is changed once, and the cause can
 * be read meanwhile. What only depends on the answer is in sim/ec2-errors. Each row leaves the pair on the other node.
 */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import type { FaultSpec } from '../../hack/lab/types.ts';
import {
  assertSwitched,
  backup,
  conditionOf,
  conditionSays,
  masterOf,
  now,
  otherNode,
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
    title: 'the reading after the call fails',
    faults: [
      { action: describe, kind: 'throttle', count: 2 },
      { action: 'DescribeAddresses', kind: 'cut', count: 2 },
    ],
    calls: 1,
  },
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
  for (const fault of faults) await stage.lab.ec2.fault(fault);
  await stage.lab.node(from).killService('agent', 'SIGTERM');
  await meanwhile();
  await settled(stage, to);
  await stage.lab.ec2.clearFaults();
  await stage.gone(from, 'agent');
  await stage.lab.node(from).startService('agent');
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

row('the whole API is away for a while', async (stage) => {
  await failOverUnder(stage, [{ kind: 'outage' }], { calls: FOR_LONG }, async () => {
    const pair = await conditionSays(stage, 'AddressesConverged', 'False EC2TimedOut');
    assert.is(conditionOf(pair, 'Ready'), 'False NotConverged');
    await stage.lab.ec2.clearFaults();
  });
});

run();
