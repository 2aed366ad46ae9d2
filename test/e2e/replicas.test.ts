/**
 * Two operators. The leader is killed, stopped and cut off from the API server at each step of a failover: the other one takes
 * over by the rules of the Lease and ends what was begun, with as few EC2 calls as the fault allows; the old leader, when it
 * wakes, sends none. A leader that is told to stop hands over at once. The rows build on each other.
 */
import * as assert from 'uvu/assert';
import type { Stage } from '../../hack/demo/stage.ts';
import { forbid, isReadBack, isReportRead } from './operator.ts';
import {
  callerOf,
  createReplicas,
  leadersByMetrics,
  REPLICAS,
  type ReplicaName,
  type Replicas,
} from './operator-replicas.ts';
import {
  assertSwitched,
  type Before,
  backup,
  eventually,
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

const { row, run } = storyOf('replicas');

/** Short, so that a takeover takes seconds, and long enough for a renewal on a busy machine. */
const ELECTION = [
  ...['--lease-duration-seconds', '4', '--renew-deadline-seconds', '3', '--retry-period-seconds', '0.5'],
];
/** Neither the end of the lease nor a standby's own look at it comes within the patience of a test. */
const PATIENT_ELECTION = [
  ...[
    '--lease-duration-seconds',
    '3600',
    '--renew-deadline-seconds',
    '3000',
    '--retry-period-seconds',
    '600',
  ],
];

let made: Replicas | undefined;

const replicas = (): Replicas => {
  if (made === undefined) throw new Error('No replicas were made by a row yet.');
  return made;
};

const assign = 'AssignPrivateIpAddresses';

/** Both run and are ready, and one leads. */
const bothRun = async (): Promise<void> => {
  for (const name of REPLICAS) await replicas().of(name).start();
  await replicas().leader();
  for (const name of REPLICAS) {
    await eventually(`${name} should be ready`, async () => {
      // It may have ended meanwhile, and be on its way back.
      const answer = await replicas()
        .of(name)
        .get('/readyz')
        .catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
  }
};

row('a second replica stands by: ready, healthy, and one of them leads', async (stage) => {
  const exit = await stage.product.killOperator('SIGTERM');
  assert.is(exit.code, 0, 'the single one ended in order');
  const callID = await lastCallID(stage);
  made = await createReplicas(stage, ELECTION);
  await bothRun();
  const leader = await replicas().leader();
  const standby = replicas().beside(leader);
  const { status, body } = await standby.get('/healthz?verbose');
  assert.is(status, 200);
  assert.match(body, '[+]elector ok');
  assert.match((await standby.get('/readyz?verbose')).body, '[+]ec2-reachable ok');
  await eventually('The metrics should show one leader', async () =>
    (await leadersByMetrics(replicas())) === 1 ? true : undefined,
  );
  const { body: shown } = await standby.get('/metrics');
  assert.match(
    shown,
    /^hapair_pair_condition\{namespace="prod",pair="web",condition="Ready",status="True",reason="Serving"\} 1$/m,
  );
  assert.not.match(shown, /^hapair_kubernetes_writes_total\{kind="(?!Lease")/m, 'a standby writes nothing');
  assert.equal(await mutatingCalls(stage, callID), []);
});

/** What befalls the leader, and what becomes of it. */
type Fault = {
  title: string;
  strike(leader: ReplicaName): Promise<void>;
  /** After the other one has taken over and the pair is right: the old leader's end, and its way back. */
  after(leader: ReplicaName): Promise<void>;
};

/** A process that lost leadership says so and goes on, as one that stands by. */
const stepsDown = async (leader: ReplicaName, since = replicas().mark()): Promise<void> => {
  const isLoss = ({ reason, identity }: { reason?: string; identity?: string }): boolean =>
    reason === 'LeaderLost' && identity === leader;
  await replicas().says(since, `${leader} should step down`, isLoss);
};

let cutOff: Promise<void> | undefined;

const FAULTS: readonly Fault[] = [
  {
    title: 'kill -9',
    strike: async (leader) => void (await replicas().of(leader).end('SIGKILL')),
    after: (leader) => replicas().of(leader).start(),
  },
  {
    title: 'SIGSTOP',
    strike: (leader) => replicas().of(leader).signal('SIGSTOP'),
    after: async (leader) => {
      const end = stepsDown(leader);
      await replicas().of(leader).signal('SIGCONT');
      await end;
    },
  },
  {
    // It still reaches EC2: nothing but its own clock keeps it from calling.
    title: 'cut from the API server',
    strike: async (leader) => {
      cutOff = stepsDown(leader);
      await replicas().of(leader).place.cutAPI();
    },
    after: async (leader) => {
      await cutOff;
      await replicas().of(leader).place.heal();
    },
  },
];

/** A step of a failover at which the leader is struck. */
type Step = {
  title: string;
  /** Mutating calls, one that is cut included. */
  calls: number;
  /** Before the master resigns. */
  prepare?(stage: Stage): Promise<void>;
  /** Resolves with the leader once it has reached the step; it cannot go beyond it. */
  reached(stage: Stage, to: string, before: Before, since: number): Promise<ReplicaName>;
  /** Once the leader is struck. */
  tidy?(stage: Stage): Promise<void>;
};

const callReached = async (
  stage: Stage,
  phase: 'received' | 'effect',
  sinceID: number,
): Promise<ReplicaName> => {
  const [call] = await stage.lab.ec2.waitForCall({ action: assign, phase, sinceID, waitMs: PATIENCE_MS });
  const caller = call && callerOf(call);
  if (caller === undefined) throw new Error(`${assign} should be ${phase}; seen: ${JSON.stringify(call)}`);
  return caller;
};

let allow: (() => Promise<void>) | undefined;

const STEPS: readonly Step[] = [
  {
    // Started anew and never answered by EC2, the leader has no view of it, and without one it makes no call.
    title: 'report read, no call sent',
    calls: 1,
    prepare: async ({ lab }) => {
      for (const name of REPLICAS) await replicas().of(name).end('SIGKILL');
      for (const action of ['DescribeNetworkInterfaces', 'DescribeAddresses'])
        await lab.ec2.fault({ action, kind: 'hang-before', count: 1_000 });
      for (const name of REPLICAS) await replicas().of(name).start();
      await replicas().leader();
    },
    reached: (_stage, to, _before, since) =>
      replicas().says(since, 'The report should be read', isReportRead(to)),
    tidy: async ({ lab }) => {
      await lab.ec2.clearFaults();
      await lab.ec2.release(false);
    },
  },
  {
    // EC2 holds the call without an effect; it is cut when its caller ends.
    title: 'call sent, not applied',
    calls: 2,
    prepare: ({ lab }) => lab.ec2.fault({ action: assign, kind: 'hang-before' }),
    reached: (stage, _to, { callID }) => callReached(stage, 'received', callID),
  },
  {
    title: 'call applied, unanswered',
    calls: 1,
    prepare: ({ lab }) => lab.ec2.fault({ action: assign, kind: 'hang-after' }),
    reached: (stage, _to, { callID }) => callReached(stage, 'effect', callID),
  },
  {
    // Without the permission to write status the leader gets the answer and a reading that agrees, and cannot write it.
    title: 'read back, status not written',
    calls: 1,
    prepare: ({ lab }) => lab.ec2.fault({ action: assign, kind: 'hang-after' }),
    reached: async (stage, to, { callID }, since) => {
      const leader = await callReached(stage, 'effect', callID);
      allow = await forbid(stage, 'hapairs/status');
      await stage.lab.ec2.release(true);
      await replicas().says(since, 'EC2 should be read', isReadBack(to));
      assert.is.not((await pairOf(stage)).status?.holder, to, 'status was not written');
      return leader;
    },
    tidy: async () => allow?.(),
  },
  {
    title: 'status written',
    calls: 1,
    reached: async (stage, to) => {
      await settled(stage, to);
      return replicas().leader();
    },
  },
];

for (const { title, calls, prepare, reached, tidy } of STEPS) {
  for (const fault of FAULTS) {
    row(`leader, ${title}: ${fault.title}`, async (stage) => {
      await bothRun();
      const from = await masterOf(stage);
      const to = otherNode(from);
      await backup(stage, to);
      const [before, since] = [await now(stage), replicas().mark()];
      await prepare?.(stage);
      await stage.lab.node(from).killService('agent', 'SIGTERM');
      const leader = await reached(stage, to, before, since);
      await fault.strike(leader);
      const struckID = await lastCallID(stage);
      await tidy?.(stage);
      await replicas().leads(replicas().beside(leader).name);
      await settled(stage, to);
      await fault.after(leader);
      await stage.gone(from, 'agent');
      await stage.lab.node(from).startService('agent');
      await backup(stage, from);
      await assertSwitched(stage, before, to, { calls });
      if (fault.title === 'SIGSTOP')
        assert.equal(await replicas().callsOf(leader, struckID), [], 'S4: who wakes sends nothing');
    });
  }
}

row('a paused leader that wakes while its work is undone sends no call', async (stage) => {
  await bothRun();
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  const before = await now(stage);
  const leader = await replicas().leader();
  const standby = replicas().beside(leader);
  await replicas().of(leader).signal('SIGSTOP');
  // The other one's call has no effect yet: all that the old leader will hear and read says that a call is due.
  await stage.lab.ec2.fault({ action: assign, kind: 'hang-before' });
  await stage.lab.node(from).killService('agent', 'SIGTERM');
  assert.is(await callReached(stage, 'received', before.callID), standby.name);
  const end = stepsDown(leader);
  await replicas().of(leader).signal('SIGCONT');
  await end;
  assert.equal(await replicas().callsOf(leader, before.callID), [], 'S4');
  await stage.lab.ec2.release(true);
  await settled(stage, to);
  await stage.gone(from, 'agent');
  await stage.lab.node(from).startService('agent');
  await backup(stage, from);
  await assertSwitched(stage, before, to, { calls: 1 });
});

row('a leader without any network: the other one takes over, and the next failover is its', async (stage) => {
  await bothRun();
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  const before = await now(stage);
  const leader = await replicas().leader();
  const end = stepsDown(leader);
  await replicas().of(leader).place.cutAll();
  await stage.lab.node(from).killService('agent', 'SIGTERM');
  await settled(stage, to);
  await end;
  await replicas().of(leader).place.heal();
  await stage.gone(from, 'agent');
  await stage.lab.node(from).startService('agent');
  await backup(stage, from);
  await assertSwitched(stage, before, to, { calls: 1 });
  assert.equal(await replicas().callsOf(leader, before.callID), []);
});

row(
  'a leader told to stop waits for its call and hands over at once, not by the end of its lease',
  async (stage) => {
    for (const name of REPLICAS) await replicas().of(name).end('SIGTERM');
    replicas().setFlags(PATIENT_ELECTION);
    await bothRun();
    const from = await masterOf(stage);
    const to = otherNode(from);
    await backup(stage, to);
    const before = await now(stage);
    const leader = await replicas().leader();
    await stage.lab.ec2.fault({ action: assign, kind: 'hang-before' });
    await stage.lab.node(from).killService('agent', 'SIGTERM');
    assert.is(await callReached(stage, 'received', before.callID), leader);
    const since = replicas().mark();
    const ended = replicas().of(leader).end('SIGTERM');
    await replicas().says(
      since,
      'The leader should begin to stop',
      ({ reason }) => reason === 'OperatorStopping',
    );
    assert.is(await replicas().leader(), leader, 'it leads until its call is answered');
    await stage.lab.ec2.release(true);
    assert.is((await ended).code, 0);
    await replicas().says(since, 'The other one should lead', ({ reason }) => reason === 'LeaderElected');
    await replicas().leads(replicas().beside(leader).name);
    await settled(stage, to);
    await stage.gone(from, 'agent');
    await stage.lab.node(from).startService('agent');
    await backup(stage, from);
    await assertSwitched(stage, before, to, { calls: 1 });
  },
);

run();
