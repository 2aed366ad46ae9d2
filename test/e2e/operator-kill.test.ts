/**
 * `kill -9` of the operator after each step of a failover and of a planned switch, and of an agent: what is stored in
 * Kubernetes and EC2 is enough to go on from. The rows build on each other: each leaves the pair on the other node.
 */
import { readFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { callAPI } from '../../hack/kube/api.ts';
import { within } from '../../hack/lab/handles.ts';
import { between, lost } from '../../hack/lab/outage.ts';
import {
  assertSwitched,
  type Before,
  backup,
  edit,
  eventually,
  instanceOf,
  lastCallID,
  mutatingCalls,
  now,
  openPair,
  otherNode,
  PATIENCE_MS,
  pairOf,
  read,
  settled,
} from './support.ts';

/** One line of the operator's log. */
type Line = { msg: string; node?: string; term?: number };

/** A running operator whose log can be waited on. */
type Watched = { until(what: string, wanted: (line: Line) => boolean): Promise<Line> };

type Context = { stage?: Stage; operator?: Watched; broken?: string };
const test = suite<Context>('kill -9');

/** One row; after one that failed the pair is in no state to judge the next by. */
const row = (title: string, act: (context: Context) => Promise<void>): void => {
  test(title, async (context) => {
    if (context.broken !== undefined) throw new Error(`Not tried, for this failed: ${context.broken}`);
    context.broken = title;
    await act(context);
    delete context.broken;
  });
};

const nowMs = (): number => performance.timeOrigin + performance.now();

const sceneOf = ({ stage, operator }: Context): { stage: Stage; operator: Watched } => {
  if (stage === undefined || operator === undefined) throw new Error('The stage was not opened.');
  return { stage, operator };
};

async function startWatched({ product }: Stage): Promise<Watched> {
  const lines: Line[] = [];
  const looks = new Set<() => void>();
  const onLine = (text: string): void => {
    if (!text.startsWith('{')) return;
    lines.push(JSON.parse(text));
    for (const look of looks) look();
  };
  await product.startOperator({}, { onLine });
  return {
    until: async (what, wanted) => {
      const found = Promise.withResolvers<Line>();
      const look = (): void => {
        const line = lines.find(wanted);
        if (line !== undefined) found.resolve(line);
      };
      looks.add(look);
      look();
      return within(found.promise, PATIENCE_MS, what).finally(() => looks.delete(look));
    },
  };
}

const masterOf = async (stage: Stage): Promise<string> => {
  const master = (await pairOf(stage)).status?.master;
  if (master === undefined) throw new Error('Nobody is master.');
  return master;
};

/** Takes a permission from the operator until the returned function gives it back; both are in force on return. */
async function forbid(stage: Stage, resource: string): Promise<() => Promise<void>> {
  const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/hapair-operator';
  const { kubeconfigPath } = stage.world;
  const stored = await read<{ rules: { resources: string[]; verbs: string[] }[] }>(stage, role);
  const rules = stored?.rules ?? [];
  const patchVerb = async (changed: typeof rules, allowed: boolean): Promise<void> => {
    const contentType = 'application/merge-patch+json';
    const answer = await callAPI(kubeconfigPath, 'PATCH', role, { body: { rules: changed }, contentType });
    assert.is(answer.status, 200);
    await eventually(`patch of ${resource} should be ${allowed ? 'allowed' : 'forbidden'}`, async () => {
      const isAllowed = await mayPatch(stage, resource);
      return isAllowed === allowed ? true : undefined;
    });
  };
  // A rule must have a verb.
  const without = rules.map((rule) =>
    rule.resources.includes(resource)
      ? { ...rule, verbs: rule.verbs.map((verb) => (verb === 'patch' ? 'get' : verb)) }
      : rule,
  );
  await patchVerb(without, false);
  return () => patchVerb(rules, true);
}

async function mayPatch(stage: Stage, resource: string): Promise<boolean> {
  const [name = '', subresource] = resource.split('/');
  const spec = {
    user: `system:serviceaccount:${stage.product.namespace}:hapair-operator`,
    resourceAttributes: {
      group: 'hapair.io',
      resource: name,
      verb: 'patch',
      namespace: stage.namespace,
      ...(subresource !== undefined && { subresource }),
    },
  };
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
  const reviews = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
  const answer = await callAPI(stage.world.kubeconfigPath, 'POST', reviews, { body });
  return (answer.body as { status: { allowed: boolean } }).status.allowed;
}

/** A step of a failover after which the operator is killed. */
type Step = {
  title: string;
  /** Mutating calls, the one that is cut included. */
  calls: number;
  /** Before the master resigns. */
  prepare(context: Context): Promise<void>;
  /** Resolves once the step is reached; nothing beyond it can happen before the kill. */
  reached(context: Context, to: string, before: Before): Promise<void>;
  /** Before the restart. */
  tidy?(context: Context): Promise<void>;
};

const assign = 'AssignPrivateIpAddresses';
const nothing = async (): Promise<void> => undefined;

const reachedPhase = async (stage: Stage, phase: 'received' | 'effect', sinceID: number): Promise<void> => {
  const calls = await stage.world.ec2.waitForCall({ action: assign, phase, sinceID, waitMs: PATIENCE_MS });
  assert.is(calls.length, 1, `${assign} should be ${phase}`);
};

let giveBack: (() => Promise<void>) | undefined;

const STEPS: readonly Step[] = [
  {
    // This operator never gets an answer to a reading, and without a view of EC2 it makes no call: it has read the new
    // master's report, and no call exists.
    title: 'report read, no call sent',
    calls: 1,
    prepare: async (context) => {
      const { stage } = sceneOf(context);
      await stage.product.killOperator();
      for (const action of ['DescribeNetworkInterfaces', 'DescribeAddresses'])
        await stage.world.ec2.fault({ action, kind: 'hang-before', count: 1_000 });
      context.operator = await startWatched(stage);
    },
    reached: async (context, to, { callID }) => {
      const { stage, operator } = sceneOf(context);
      await operator.until(
        'The report should be read',
        ({ msg, node }) => msg === 'report read' && node === to,
      );
      assert.is((await mutatingCalls(stage, callID)).length, 0);
    },
    tidy: ({ stage }) => stage?.world.ec2.clearFaults() ?? nothing(),
  },
  {
    // EC2 holds the call without an effect; the caller's death cuts it for good.
    title: 'call sent, not applied',
    calls: 2,
    prepare: async ({ stage }) => stage?.world.ec2.fault({ action: assign, kind: 'hang-before' }),
    reached: async (context, _to, { callID }) => reachedPhase(sceneOf(context).stage, 'received', callID),
  },
  {
    // EC2 has moved the addresses and holds the answer, which the caller's death cuts.
    title: 'call applied, unanswered',
    calls: 1,
    prepare: async ({ stage }) => stage?.world.ec2.fault({ action: assign, kind: 'hang-after' }),
    reached: async (context, _to, { callID }) => reachedPhase(sceneOf(context).stage, 'effect', callID),
  },
  {
    // While EC2 holds the answer, the operator loses its permission to write status: it gets the answer and a reading that
    // agrees, and cannot write what it knows.
    title: 'read back, status not written',
    calls: 1,
    prepare: async ({ stage }) => stage?.world.ec2.fault({ action: assign, kind: 'hang-after' }),
    reached: async (context, to, { callID }) => {
      const { stage, operator } = sceneOf(context);
      await reachedPhase(stage, 'effect', callID);
      giveBack = await forbid(stage, 'hapairs/status');
      await stage.world.ec2.release(true);
      await operator.until('EC2 should be read', ({ msg, node }) => msg === 'read back' && node === to);
      assert.is.not(stage.pair.latest()?.holder, to, 'status was not written');
    },
    tidy: async () => giveBack?.(),
  },
  {
    title: 'status written',
    calls: 1,
    prepare: nothing,
    reached: async (context, to) => void (await settled(sceneOf(context).stage, to)),
  },
];

test.before(async (context) => {
  const stage = await openPair('operator-kill');
  context.stage = stage;
  await stage.product.killOperator();
  context.operator = await startWatched(stage);
});

test.after(async ({ stage }) => {
  await stage?.down();
});

for (const step of STEPS) {
  row(`operator, failover: ${step.title}`, async (context) => {
    const { stage } = sceneOf(context);
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const before = await now(stage);
    await step.prepare(context);
    await stage.world.node(from).killService('agent', 'SIGTERM');
    await step.reached(context, to, before);
    await stage.product.killOperator();
    await step.tidy?.(context);
    context.operator = await startWatched(stage);
    await context.operator.until('The operator should start', ({ msg }) => msg === 'operator started');
    await settled(stage, to);
    await stage.gone(from, 'agent');
    await stage.world.node(from).startService('agent');
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls: step.calls });
  });
}

/** How often the agents have yielded. */
const yields = async ({ world }: Stage): Promise<number> => {
  const logs = await Promise.all(
    ['node1', 'node2'].map((node) => readFile(world.node(node).logOf('agent'), 'utf8')),
  );
  return logs.join('').split('"msg":"yielding"').length - 1;
};

const yieldTermOf = async (stage: Stage, node: string): Promise<number> =>
  (await instanceOf(stage, node))?.spec.yieldTerm ?? 0;

const given = (stage: Stage, node: string, term: number | undefined): Promise<true> =>
  eventually(`${node} should be asked to yield`, async () =>
    (await yieldTermOf(stage, node)) === term ? true : undefined,
  );

const master = (stage: Stage, node: string): Promise<true> =>
  eventually(`${node} should report Master`, async () =>
    (await instanceOf(stage, node))?.status?.state === 'Master' ? true : undefined,
  );

/** By a changed preferredNode, or by requestedAt where it is preferred already. */
const orderTo = async (stage: Stage, node: string): Promise<void> => {
  const isPreferred = (await pairOf(stage)).spec.preferredNode === node;
  const requestedAt = new Date().toISOString().replace(/\.\d+/, '');
  await edit(stage, isPreferred ? { failback: { requestedAt } } : { preferredNode: node });
};

/** A moment of a planned switch at which the operator is killed and started again. */
const ORDERS: readonly {
  title: string;
  interrupt(context: Context, from: string, to: string): Promise<void>;
}[] = [
  {
    // Without the permission to write VRRPInstances the order can only be recorded.
    title: 'yieldTerm recorded, not written',
    interrupt: async (context, from, to) => {
      const { stage } = sceneOf(context);
      const back = await forbid(stage, 'vrrpinstances');
      await orderTo(stage, to);
      await eventually('The order should be recorded', async () =>
        (await pairOf(stage)).status?.failback?.yieldTerm ? true : undefined,
      );
      assert.is(await yieldTermOf(stage, from), 0, 'the order was not given');
      await stage.product.killOperator();
      await back();
      context.operator = await startWatched(stage);
    },
  },
  {
    // The master's agent is cut from the API server: it is asked, and acts when the link heals. Nobody looks then.
    title: 'yieldTerm written, switched while the operator is dead',
    interrupt: async (context, from, to) => {
      const { stage } = sceneOf(context);
      await stage.world.cut(`${from}-api`);
      await orderTo(stage, to);
      await given(stage, from, (await pairOf(stage)).status?.term);
      await stage.product.killOperator();
      await stage.world.heal(`${from}-api`);
      await master(stage, to);
      context.operator = await startWatched(stage);
    },
  },
  {
    title: 'yieldTerm written, restarted before the agent sees it',
    interrupt: async (context, from, to) => {
      const { stage } = sceneOf(context);
      await stage.world.cut(`${from}-api`);
      await orderTo(stage, to);
      await given(stage, from, (await pairOf(stage)).status?.term);
      await stage.product.killOperator();
      context.operator = await startWatched(stage);
      await context.operator.until('The report should be read', ({ msg }) => msg === 'report read');
      await stage.world.heal(`${from}-api`);
    },
  },
];

for (const order of ORDERS) {
  row(`operator, planned switch: ${order.title}`, async (context) => {
    const { stage } = sceneOf(context);
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const [before, yieldsBefore] = [await now(stage), await yields(stage)];
    await order.interrupt(context, from, to);
    await stage.pair.until(
      'The order should be consumed',
      ({ failbackReason, holder, ready }) =>
        failbackReason === 'SwitchoverCompleted' && holder === to && ready === 'True',
      PATIENCE_MS,
    );
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls: 1, reason: 'SwitchoverRequested' });
    assert.is((await yields(stage)) - yieldsBefore, 1, 'S9: the order yields once');
    await given(stage, from, 0);
  });
}

const interfaceOf = async (stage: Stage, node: string): Promise<string> =>
  (await stage.world.node(node).exec(['ip', '-o', '-4', 'address', 'show', 'dev', 'eth0'])).stdout;

row('agent of the master: the other takes over, the restarted one does not take it back', async (context) => {
  const { stage } = sceneOf(context);
  const from = await masterOf(stage);
  const to = otherNode(from);
  const before = await now(stage);
  await stage.world.node(from).killService('agent');
  await settled(stage, to);
  await stage.gone(from, 'agent');
  assert.match(await interfaceOf(stage, from), VIP, 'nobody was there to take the VIP off');
  await stage.world.node(from).startService('agent');
  await backup(stage, from);
  await eventually('The restarted agent should take its old VIP off', async () =>
    (await interfaceOf(stage, from)).includes(VIP) ? undefined : true,
  );
  await assertSwitched(stage, before, to, { calls: 1 });
});

row('agent of the standby: nothing moves and no probe is lost', async (context) => {
  const { stage } = sceneOf(context);
  const holder = await masterOf(stage);
  const standby = otherNode(holder);
  const [fromMs, callID, before] = [nowMs(), await lastCallID(stage), await backup(stage, standby)];
  await stage.world.node(standby).killService('agent');
  await stage.gone(standby, 'agent');
  await stage.world.node(standby).startService('agent');
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

test.run();
