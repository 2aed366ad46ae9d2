/**
 * `kill -9` of the operator after each step of a failover and of a planned switch, and of an agent: what is stored in
 * Kubernetes and EC2 is enough to go on from. The rows build on each other: each leaves the pair on the other node.
 */
import * as assert from 'uvu/assert';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { between, lost } from '../../hack/lab/outage.ts';
import { agentLog } from './agent-log.ts';
import { forbid, isReadBack, isReportRead, startWatched, type Watched } from './operator.ts';
import {
  assertSwitched,
  type Before,
  backup,
  edit,
  eventually,
  instanceOf,
  interfaceOf,
  lastCallID,
  masterOf,
  mutatingCalls,
  now,
  otherNode,
  PATIENCE_MS,
  pairOf,
  settled,
  storyOf,
} from './support.ts';

const { row, run } = storyOf('operator-kill');

let operator: Watched | undefined;

const running = (): Watched => {
  if (operator === undefined) throw new Error('No operator was started by a row yet.');
  return operator;
};

const start = async (stage: Stage): Promise<void> => {
  operator = await startWatched(stage);
};

/** A step of a failover after which the operator is killed. */
type Step = {
  title: string;
  /** Mutating calls, the one that is cut included. */
  calls: number;
  /** Before the master resigns. */
  prepare?(stage: Stage): Promise<void>;
  /** Resolves once the step is reached; nothing beyond it can happen before the kill. */
  reached(stage: Stage, to: string, before: Before): Promise<void>;
  /** Before the restart. */
  tidy?(stage: Stage): Promise<void>;
};

const assign = 'AssignPrivateIpAddresses';

const reachedPhase = async (stage: Stage, phase: 'received' | 'effect', sinceID: number): Promise<void> => {
  const calls = await stage.lab.ec2.waitForCall({ action: assign, phase, sinceID, waitMs: PATIENCE_MS });
  assert.is(calls.length, 1, `${assign} should be ${phase}`);
};

let allow: (() => Promise<void>) | undefined;

const STEPS: readonly Step[] = [
  {
    // This operator never gets an answer to a reading, and without a view of EC2 it makes no call: it has read the new
    // master's report, and no call exists.
    title: 'report read, no call sent',
    calls: 1,
    prepare: async (stage) => {
      await stage.product.killOperator();
      for (const action of ['DescribeNetworkInterfaces', 'DescribeAddresses'])
        await stage.lab.ec2.fault({ action, kind: 'hang-before', count: 1_000 });
      await start(stage);
    },
    reached: async (stage, to, { callID }) => {
      await running().until('The report should be read', isReportRead(to));
      assert.equal(await mutatingCalls(stage, callID), []);
    },
    tidy: ({ lab }) => lab.ec2.clearFaults(),
  },
  {
    // EC2 holds the call without an effect; the caller's death cuts it for good.
    title: 'call sent, not applied',
    calls: 2,
    prepare: ({ lab }) => lab.ec2.fault({ action: assign, kind: 'hang-before' }),
    reached: (stage, _to, { callID }) => reachedPhase(stage, 'received', callID),
  },
  {
    // EC2 has moved the addresses and holds the answer, which the caller's death cuts.
    title: 'call applied, unanswered',
    calls: 1,
    prepare: ({ lab }) => lab.ec2.fault({ action: assign, kind: 'hang-after' }),
    reached: (stage, _to, { callID }) => reachedPhase(stage, 'effect', callID),
  },
  {
    // While EC2 holds the answer, the operator loses its permission to write status: it gets the answer and a reading that
    // agrees, and cannot write what it knows.
    title: 'read back, status not written',
    calls: 1,
    prepare: ({ lab }) => lab.ec2.fault({ action: assign, kind: 'hang-after' }),
    reached: async (stage, to, { callID }) => {
      await reachedPhase(stage, 'effect', callID);
      allow = await forbid(stage, 'hapairs/status');
      await stage.lab.ec2.release(true);
      await running().until('EC2 should be read', isReadBack(to));
      assert.is.not((await pairOf(stage)).status?.holder, to, 'status was not written');
    },
    tidy: async () => allow?.(),
  },
  {
    title: 'status written',
    calls: 1,
    reached: async (stage, to) => void (await settled(stage, to)),
  },
];

for (const { title, calls, prepare, reached, tidy } of STEPS) {
  row(`operator, failover: ${title}`, async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const before = await now(stage);
    await prepare?.(stage);
    await stage.lab.node(from).killService('agent', 'SIGTERM');
    await reached(stage, to, before);
    await stage.product.killOperator();
    await tidy?.(stage);
    await start(stage);
    await running().until('The operator should start', ({ port }) => port !== undefined);
    await settled(stage, to);
    await stage.gone(from, 'agent');
    await stage.lab.node(from).startService('agent');
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls });
  });
}

/** How often the agents have yielded. */
const yields = (stage: Stage): number =>
  ['node1', 'node2']
    .flatMap((node) => agentLog(stage, node))
    // The order is logged when it is obeyed, and with its time when the election has left Master for it.
    .filter(({ reason, at }) => reason === 'YieldOrdered' && at !== undefined).length;

const yieldTermOf = async (stage: Stage, node: string): Promise<number> =>
  (await instanceOf(stage, node))?.spec.yieldTerm ?? 0;

/** The order, or its end (0), is written to the node's VRRPInstance. */
const given = (stage: Stage, node: string, term: number | undefined): Promise<true> =>
  eventually(`yieldTerm of ${node} should be ${term}`, async () =>
    (await yieldTermOf(stage, node)) === term ? true : undefined,
  );

const reportsMaster = (stage: Stage, node: string): Promise<true> =>
  eventually(`${node} should report Master`, async () =>
    (await instanceOf(stage, node))?.status?.state === 'Master' ? true : undefined,
  );

/** By a changed preferredNode, or by requestedAt where it is preferred already. */
const order = async (stage: Stage, node: string): Promise<void> => {
  const isPreferred = (await pairOf(stage)).spec.preferredNode === node;
  const requestedAt = new Date().toISOString().replace(/\.\d+/, '');
  await edit(stage, isPreferred ? { failback: { requestedAt } } : { preferredNode: node });
};

/** A moment of a planned switch at which the operator is killed and started again. */
type Interruption = { title: string; interrupt(stage: Stage, from: string, to: string): Promise<void> };

/** The master's agent is cut from the API server: it is asked, and cannot know. */
const orderUnheard = async (stage: Stage, from: string, to: string): Promise<void> => {
  const term = (await pairOf(stage)).status?.term;
  await stage.lab.cut(`${from}-api`);
  await order(stage, to);
  await given(stage, from, term);
  await stage.product.killOperator();
};

const INTERRUPTIONS: readonly Interruption[] = [
  {
    // Without the permission to write VRRPInstances the order can only be recorded.
    title: 'yieldTerm recorded, not written',
    interrupt: async (stage, from, to) => {
      const allowInstances = await forbid(stage, 'vrrpinstances');
      await order(stage, to);
      await eventually('The order should be recorded', async () =>
        (await pairOf(stage)).status?.failback?.yieldTerm ? true : undefined,
      );
      assert.is(await yieldTermOf(stage, from), 0, 'the order was not given');
      await stage.product.killOperator();
      await allowInstances();
      await start(stage);
    },
  },
  {
    title: 'yieldTerm written, switched while the operator is dead',
    interrupt: async (stage, from, to) => {
      await orderUnheard(stage, from, to);
      await stage.lab.heal(`${from}-api`);
      await reportsMaster(stage, to);
      await start(stage);
    },
  },
  {
    title: 'yieldTerm written, restarted before the agent sees it',
    interrupt: async (stage, from, to) => {
      await orderUnheard(stage, from, to);
      await start(stage);
      await running().until('The report should be read', isReportRead());
      await stage.lab.heal(`${from}-api`);
    },
  },
];

for (const { title, interrupt } of INTERRUPTIONS) {
  row(`operator, planned switch: ${title}`, async (stage) => {
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const [before, yieldsBefore] = [await now(stage), yields(stage)];
    await interrupt(stage, from, to);
    await stage.pair.until(
      'The order should be consumed',
      ({ failbackReason, holder, ready }) =>
        failbackReason === 'SwitchoverCompleted' && holder === to && ready === 'True',
      PATIENCE_MS,
    );
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls: 1, reason: 'SwitchoverRequested' });
    assert.is(yields(stage) - yieldsBefore, 1, 'S9: the order yields once');
    await given(stage, from, 0);
  });
}

row('agent of the master: the other takes over, the restarted one does not take it back', async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  const before = await now(stage);
  await stage.lab.node(from).killService('agent');
  await settled(stage, to);
  await stage.gone(from, 'agent');
  assert.match(await interfaceOf(stage, from), VIP, 'nobody was there to take the VIP off');
  await stage.lab.node(from).startService('agent');
  await backup(stage, from);
  await eventually('The restarted agent should take its old VIP off', async () =>
    (await interfaceOf(stage, from)).includes(VIP) ? undefined : true,
  );
  await assertSwitched(stage, before, to, { calls: 1 });
});

row('agent of the standby: nothing moves and no probe is lost', async (stage) => {
  const holder = await masterOf(stage);
  const standby = otherNode(holder);
  const [fromMs, callID, before] = [nowMs(), await lastCallID(stage), await backup(stage, standby)];
  await stage.lab.node(standby).killService('agent');
  await stage.gone(standby, 'agent');
  await stage.lab.node(standby).startService('agent');
  await eventually('The restarted agent should report', async () => {
    const status = (await instanceOf(stage, standby))?.status;
    return status?.state === 'Backup' && status.since !== before.status?.since ? true : undefined;
  });
  const { lan, internet } = await stage.evidence();
  assert.is(lost(between(lan, fromMs, nowMs())), 0);
  assert.is(lost(between(internet, fromMs, nowMs())), 0);
  assert.equal(await mutatingCalls(stage, callID), []);
  assert.is(await masterOf(stage), holder);
});

run();
