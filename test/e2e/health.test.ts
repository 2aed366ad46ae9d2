/** Health checks on the whole product: whom they make master, what they never touch, and what a person sees of them. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { HealthCheck, VRRPInstance } from '../../crds/types.ts';
import { type Stage, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { assertUnmoved, hapairAgent, standing, statusOf } from './agent-life.ts';
import {
  assertNothingLost,
  assertSwitched,
  backup,
  conditionSays,
  edit,
  eventually,
  getHap,
  instanceOf,
  interfaceOf,
  lastCallID,
  masterOf,
  messageOf,
  mutatingCalls,
  networkInterfaceOf,
  now,
  otherNode,
  patientPair,
  settled,
  storyOf,
} from './support.ts';

const NODES = ['node1', 'node2'];
const PORT = 8080;
/** A number of seconds for sleep(1) that nothing else on the machine has. */
const WORD = '86400.8';
/** A deadline that a busy machine keeps, and a verdict at once. */
const QUICK = { periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 1 };
/** A check of which only the running matters: no verdict comes within the test. */
const PATIENT = { periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1_000 };
const RUNS = 3;

/** Programs that no node should run; each first writes a line to its node's disk. */
const MISBEHAVIOUR = {
  hangs: `trap "" TERM INT HUP; sleep ${WORD}`,
  floods: 'head -c 1G /dev/zero; yes',
  forks: `for i in $(seq 100); do sleep ${WORD} & done; wait`,
  flees: `setsid sh -c "sleep ${WORD} & sleep ${WORD}" & exit 0`,
};
type Misbehaviour = keyof typeof MISBEHAVIOUR;
const KINDS = Object.keys(MISBEHAVIOUR) as Misbehaviour[];

const commands = (disk: string): Record<string, { command: string[] }> =>
  Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      { command: ['/bin/sh', '-c', `echo ran >> '${join(disk, kind)}'; ${MISBEHAVIOUR[kind]}`] },
    ]),
  );

const { row, run } = storyOf('health', patientPair, { product: { commands } });

/** What the application of a node answers with 200 when it is well, and with 404 when it is not. */
const healthFile = (stage: Stage, node: string): string => join(stage.lab.node(node).dir, 'www', 'healthz');

const setHealth = (stage: Stage, node: string, healthy: boolean): void => {
  if (healthy) writeFileSync(healthFile(stage, node), 'well\n');
  else rmSync(healthFile(stage, node));
};

/** An application that listens on every address of its node. */
const startApplication = async (stage: Stage, node: string): Promise<void> => {
  const { lab } = stage;
  const folder = join(lab.node(node).dir, 'www');
  mkdirSync(folder, { recursive: true });
  setHealth(stage, node, true);
  const argv = ['python3', '-m', 'http.server', String(PORT), '--directory', folder];
  await lab.node(node).setService({ name: 'app', argv });
  await lab.node(node).startService('app');
  const ask = `exec 3<>/dev/tcp/127.0.0.1/${PORT}`;
  await eventually(`the application of ${node} should listen`, async () => {
    const { code } = await lab.node(node).exec(['bash', '-c', ask]);
    return code === 0 ? true : undefined;
  });
};

const appAt = (path: string): Partial<HealthCheck> => ({
  name: 'app',
  httpGet: { port: PORT, path, scheme: 'HTTP' },
  ...QUICK,
});
const commandNamed = (name: string, times: object): Partial<HealthCheck> => ({
  name,
  command: { name },
  ...times,
});

const healthyOf = ({ status }: VRRPInstance): string => {
  const condition = status?.conditions?.find(({ type }) => type === 'Healthy');
  return `${condition?.status} ${condition?.reason}: ${condition?.message}`;
};

/** The node's own report says this of its health, of the newest spec. */
const healthSays = (stage: Stage, node: string, says: string): Promise<VRRPInstance> =>
  eventually(`Healthy of ${node} should say ${says}`, async () => {
    const instance = await instanceOf(stage, node);
    const isLoaded = instance?.status?.observedGeneration === instance?.metadata.generation;
    return instance && isLoaded && healthyOf(instance).includes(says) ? instance : undefined;
  });

const stateIs = (stage: Stage, node: string, wanted: string): Promise<VRRPInstance> =>
  eventually(`${node} should be ${wanted}`, async () => {
    const instance = await instanceOf(stage, node);
    return instance?.status?.state === wanted ? instance : undefined;
  });

/** What must not change unless the election did something. */
const electionOf = async (stage: Stage) =>
  Promise.all(
    NODES.map(async (node) => {
      const { state, term, since } = (await instanceOf(stage, node))?.status ?? {};
      return { node, state, term, since };
    }),
  );

/** Both nodes are well again: somebody is elected, and the other stands by. */
const wellAgain = async (stage: Stage): Promise<void> => {
  // A switch after another one is held down for a minute.
  await conditionSays(stage, 'Ready', 'True Serving', { timeoutMs: 120_000 });
  await backup(stage, otherNode(await masterOf(stage)));
  await conditionSays(stage, 'Redundant', 'True StandbyReady');
};

row('checks are added to a running pair: both nodes pass them, and nothing moves', async (stage) => {
  await Promise.all(NODES.map((node) => startApplication(stage, node)));
  const [fromMs, callID, election] = [nowMs(), await lastCallID(stage), await electionOf(stage)];
  await edit(stage, { healthChecks: [appAt('/healthz')] });
  for (const node of NODES) {
    const { spec, status } = await healthSays(stage, node, 'True ChecksPassed');
    assert.equal(spec.healthChecks, [{ ...appAt('/healthz'), successThreshold: 1 }]);
    assert.equal(status?.checks, [{ name: 'app', healthy: true }]);
  }
  await conditionSays(stage, 'Accepted', 'True Accepted');
  assert.equal(await electionOf(stage), election);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

row("the master's check fails: it is in Fault, the other takes over, EC2 follows", async (stage) => {
  const from = await masterOf(stage);
  const to = otherNode(from);
  const before = await now(stage);
  setHealth(stage, from, false);
  await settled(stage, to);
  await assertSwitched(stage, before, to, { calls: 1 });
  const { status } = await stateIs(stage, from, 'Fault');
  assert.is(status?.checks?.[0]?.healthy, false);
  await healthSays(stage, from, `/healthz is answered by 404`);
  const says = `${from} is in Fault. The check app fails since`;
  await conditionSays(stage, 'Redundant', 'False StandbyNotBackup', { says });
  await eventually('the old master should take the VIP off its interface', async () =>
    (await interfaceOf(stage, from)).includes(VIP) ? undefined : true,
  );
});

row('the check passes again: its node is a Backup, and nothing moves', async (stage) => {
  const master = await masterOf(stage);
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  setHealth(stage, otherNode(master), true);
  await wellAgain(stage);
  assert.is(await masterOf(stage), master);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

/**
 * With these checks both nodes fail; from then on nothing moves, the addresses are served, and everybody is told why. The two
 * begin together, but nobody promises that the slower one does not claim first.
 */
const failsOpen = async (stage: Stage, checks: object[], says: (node: string) => string): Promise<void> => {
  await edit(stage, { healthChecks: checks });
  for (const node of NODES) await stateIs(stage, node, 'Fault');
  const pair = await conditionSays(stage, 'Ready', 'False NoMaster', { says: NODES.map(says) });
  assert.match(messageOf(pair, 'Ready'), 'the addresses stay where they are');
  const { routes } = await stage.lab.ec2.settledMapping();
  const [fromMs, callID] = [nowMs(), await lastCallID(stage)];
  const holder = NODES.find((node) => networkInterfaceOf(stage, node) === routes[VIP]);
  await stage.observe(3_000);
  const columns = (await getHap(stage))[stage.name];
  assert.is(columns?.READY, 'False');
  assert.is(columns?.HOLDER, holder);
  assert.match(await interfaceOf(stage, holder ?? ''), VIP);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
};

row('a wrong path in Git: both nodes fail, and black-hole nobody', async (stage) => {
  await failsOpen(stage, [appAt('/helthz')], () => '/helthz is answered by 404');
  await edit(stage, { healthChecks: [appAt('/healthz')] });
  await wellAgain(stage);
});

row('a command that the nodes do not allow: the same, with the file to edit', async (stage) => {
  await failsOpen(stage, [commandNamed('reboot', QUICK)], (node) => {
    const file = join(stage.lab.node(node).dir, 'agent.yaml');
    return `node ${node} allows no command reboot; add it under commands in ${file} there`;
  });
  await edit(stage, { healthChecks: [appAt('/healthz')] });
  await wellAgain(stage);
});

const runsOf = (stage: Stage, node: string, kind: Misbehaviour): number => {
  try {
    return readFileSync(join(stage.lab.node(node).dir, kind), 'utf8').split('\n').length - 1;
  } catch {
    return 0; // it has not run yet
  }
};

row('checks that hang, flood, fork and flee: the election does not notice', async (stage) => {
  const [fromMs, callID, election] = [nowMs(), await lastCallID(stage), await electionOf(stage)];
  const bad = KINDS.map((kind) => commandNamed(kind, PATIENT));
  await edit(stage, { healthChecks: [appAt('/healthz'), ...bad] });
  for (const node of NODES)
    for (const kind of KINDS)
      await eventually(`${kind} should have run on ${node}`, async () =>
        runsOf(stage, node, kind) >= RUNS ? true : undefined,
      );
  await edit(stage, { healthChecks: [appAt('/healthz')] });
  for (const node of NODES) {
    await healthSays(stage, node, 'True ChecksPassed');
    await eventually(`nothing of them should be left on ${node}`, async () => {
      const { stdout } = await stage.lab.node(node).exec(['ps', '-eo', 'stat,args']);
      return /sleep 86400\.8|yes$|\/dev\/zero|<defunct>/m.test(stdout) ? undefined : true;
    });
  }
  assert.equal(await electionOf(stage), election);
  await assertNothingLost(stage, fromMs);
  assert.equal(await mutatingCalls(stage, callID), []);
});

/** Patience: a node without an agent counts as dead after 40 s, and the claim follows. */
const DEAD_MS = 120_000;

row(
  'nobody healthy, and the agent of one node dead: the other serves, also across a reload',
  async (stage) => {
    const dead = await masterOf(stage);
    const last = otherNode(dead);
    await stage.lab.node(dead).killService('agent', 'SIGKILL');
    await settled(stage, last);
    await edit(stage, { healthChecks: [appAt('/helthz')] });
    await eventually(
      `${last} should claim as the last resort`,
      async () => {
        const [newest] = (await statusOf(stage, last)).pairs[0]?.transitions ?? [];
        return newest?.state === 'Master' && newest.reason === 'LastResort' ? true : undefined;
      },
      DEAD_MS,
    );
    await settled(stage, last);
    const [before, fromMs] = [await standing(stage), nowMs()];
    const { code, stdout, stderr } = await hapairAgent(stage, last, ['reload']);
    assert.is(code, 0, stderr);
    assert.match(stdout, 'Master of prod/web');
    await assertUnmoved(stage, before);
    await assertNothingLost(stage, fromMs);
    await edit(stage, { healthChecks: [appAt('/healthz')] });
    await stage.lab.node(dead).startService('agent');
    await wellAgain(stage);
    assert.is(await masterOf(stage), last, 'what returns takes nothing over');
  },
);

run();
