/** What the end-to-end tests beside the story share: a pair that elects within half a second, and eyes for what a person sees. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { FINALIZER, type HAPair, instanceName, type VRRPInstance } from '../../crds/types.ts';
import { callAPI } from '../../hack/controlplane/api.ts';
import { openStage, PUBLIC_IP, type Stage, type StageOptions, VIP } from '../../hack/demo/stage.ts';
import { nowMs } from '../../hack/lab/clock.ts';
import { isMutating } from '../../hack/lab/ec2-control.ts';
import type { SharedPlane } from '../../hack/lab/lab.ts';
import { between, lost } from '../../hack/lab/outage.ts';
import type { CallRecord, LabVPC } from '../../hack/lab/types.ts';
import { STANDARD_VPC } from '../../hack/lab/vpc.ts';
import { leaveOpen } from './keep.ts';

/** Set by the runner (hack/test/planes.ts): a control plane to tell the story on, as JSON. */
const PLANE_VARIABLE = 'LAB_PLANE';

const ROOT = join(import.meta.dirname, '..', '..');

/** How long a test waits for anything that must happen. */
export const PATIENCE_MS = 90_000;
const LOOK_MS = 100;
const HOLDER_PRIORITY = 200;
const STANDBY_PRIORITY = 100;
/** Shorter, and an agent that a busy machine does not schedule for a moment has to step down: it overslept. */
const ADVERT_MS = 500;

/** The demo's HAPair: version 2 with a password, an advert a second. */
export const demoPair = async (): Promise<HAPair> =>
  parse(await readFile(join(ROOT, 'hack', 'demo', 'hapair.yaml'), 'utf8'));

/** The same with version 3 and an advert every 500 ms; a Master's death is noticed within 1.9 s. */
export async function quickPair(): Promise<HAPair> {
  const pair = await demoPair();
  const { virtualRouterID } = pair.spec.vrrp;
  pair.spec.vrrp = { version: 3, virtualRouterID, advertisementIntervalMilliseconds: ADVERT_MS };
  return pair;
}

/**
 * The demo's with an advert every three seconds: who reloads has ten seconds until its peer counts it as dead, which a busy
 * machine may need to load a program.
 */
export const patientPair = async (): Promise<HAPair> => {
  const pair = await demoPair();
  pair.spec.vrrp.advertisementIntervalMilliseconds = 3_000;
  return pair;
};

/** What differs from the standard stage. */
export type Setting = Pick<StageOptions, 'vpc' | 'vips' | 'product'>;

/** Another allocation each for {@link roomyVPC}, by its public address. */
export const SPARE_EIPS = {
  '203.0.113.20': 'eipalloc-0ddddddddddddddd4',
  '203.0.113.30': 'eipalloc-0eeeeeeeeeeeeeee5',
} as const;

/**
 * The standard VPC with room for five VIPs on each ENI, two EIPs more, and as many instances more as are asked for: node3
 * and node4, in the same subnet.
 * @param more 0 to 2
 */
export function roomyVPC(more: 0 | 1 | 2 = 0): LabVPC {
  const [first] = STANDARD_VPC.instances;
  if (first === undefined) throw new Error('The standard VPC has no instance.');
  const others = ['3', '4'].slice(0, more).map((digit) => ({
    ...first,
    name: `node${digit}`,
    instanceID: `i-0${digit.repeat(16)}`,
    networkInterfaceID: `eni-0${digit.repeat(16)}`,
    macAddress: `0a:10:10:10:10:1${digit}`,
    address: `10.10.10.1${digit}`,
    fabricDevice: `eni${digit}`,
  }));
  const spare = Object.entries(SPARE_EIPS).map(([publicIP, allocationID]) => ({ allocationID, publicIP }));
  return {
    ...STANDARD_VPC,
    instances: [...STANDARD_VPC.instances, ...others].map((one) => ({ ...one, instanceType: 't3.medium' })),
    elasticIPs: [...STANDARD_VPC.elasticIPs, ...spare],
  };
}

/** An EC2 that answers at once, in `.lab/test-<name>`, on the control plane that the runner lends; without a runner on its own. */
export const openTestStage = (
  name: string,
  options: Omit<StageOptions, 'dir' | 'profile' | 'plane'> = {},
): Promise<Stage> => {
  const lent = process.env[PLANE_VARIABLE];
  return openStage({
    dir: join(ROOT, '.lab', `test-${name}`),
    profile: 'instant',
    ...options,
    ...(lent !== undefined && { plane: JSON.parse(lent) as SharedPlane }),
  });
};

/**
 * A stage in `.lab/test-<name>` whose pair `web` has settled, with a standby. With adverts so quick the first election is a
 * race that either node may win, whatever their priorities.
 */
export async function openPair(name: string, pair: HAPair, setting: Setting = {}): Promise<Stage> {
  const advertisementIntervalMs = pair.spec.vrrp.advertisementIntervalMilliseconds;
  const stage = await openTestStage(name, { advertisementIntervalMs, ...setting });
  try {
    await apply(stage, pair);
    const { master } = await stage.pair.until(
      'The pair should settle',
      (view) => view.master !== '' && view.holder === view.master && view.ready === 'True',
      PATIENCE_MS,
    );
    await backup(stage, otherNode(master));
    await atRest(stage, master);
    return stage;
  } catch (error) {
    await stage.down();
    throw error;
  }
}

type Opened = { stage?: Stage; broken?: string };

/**
 * A suite whose rows build on each other on one stage from {@link openPair}: after one that failed the pair is in no state
 * to judge the next by, so that says which it was.
 * @param manifest of the pair; default {@link quickPair}
 */
export function storyOf(name: string, manifest: () => Promise<HAPair> = quickPair, setting: Setting = {}) {
  const test = suite<Opened>(name);
  test.before(async (context) => {
    context.broken = 'the stage was not opened';
    try {
      context.stage = await openPair(name, await manifest(), setting);
      delete context.broken;
    } catch (error) {
      // The runner keeps an error of this hook to itself.
      context.broken = `the stage was not opened: ${(error as Error).message}`;
    }
  });
  test.after(async ({ stage }) => {
    if (stage === undefined) return;
    if (process.env.TEST_KEEP !== undefined) await leaveOpen(stage);
    await stage.down();
  });
  const row = (title: string, act: (stage: Stage) => Promise<void>): void => {
    test(title, async (context) => {
      const { stage, broken } = context;
      if (stage === undefined || broken !== undefined)
        throw new Error(`Not tried, for this failed: ${broken}`);
      context.broken = title;
      await act(stage);
      delete context.broken;
    });
  };
  return { row, run: test.run };
}

/** Looks until there is something to return. @throws Error that names `what` when there is nothing in time. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms.`);
    await sleep(LOOK_MS);
  }
}

/** As an admin. Undefined: there is no such object. @throws Error with any other refusal. */
export async function read<T>(stage: Stage, path: string): Promise<T | undefined> {
  const { status, body } = await callAPI(stage.lab.kubeconfigPath, 'GET', path);
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
  return body as T;
}

const path = (stage: Stage, plural: string, name: string): string =>
  `/apis/hapair.io/v1alpha1/namespaces/${stage.namespace}/${plural}/${name}`;

/** A HAPair as stored, by default the stage's own. */
export async function pairOf(stage: Stage, name = stage.name): Promise<HAPair> {
  const pair = await read<HAPair>(stage, path(stage, 'hapairs', name));
  if (pair === undefined) throw new Error(`There is no HAPair ${name}.`);
  return pair;
}

/** One node's side of a pair as stored; undefined: there is none. */
export const instanceOf = (
  stage: Stage,
  node: string,
  name = stage.name,
): Promise<VRRPInstance | undefined> => read(stage, path(stage, 'vrrpinstances', instanceName(name, node)));

/** A condition's status and reason, such as `False AddressConflict`; empty: it is not there. */
export const conditionOf = (pair: HAPair, type: string): string => {
  const condition = pair.status?.conditions?.find((each) => each.type === type);
  return condition === undefined ? '' : `${condition.status} ${condition.reason}`;
};

/** A condition's message; empty: it is not there. */
export const messageOf = (pair: HAPair, type: string): string =>
  pair.status?.conditions?.find((each) => each.type === type)?.message ?? '';

/**
 * Waits until a condition says `wanted`, such as `False EC2Throttled`, of the newest spec, and its message has `says`.
 * @throws Error with what it said last.
 */
export async function conditionSays(
  stage: Stage,
  type: string,
  wanted: string,
  { name = stage.name, says = [], timeoutMs = PATIENCE_MS }: ConditionOptions = {},
): Promise<HAPair> {
  let seen = 'nothing';
  const texts = [says].flat();
  const what = `${type} of ${name} should be ${wanted} ${texts.join(', ')}`;
  return eventually(
    what,
    async () => {
      const pair = await pairOf(stage, name);
      const message = messageOf(pair, type);
      seen = `${conditionOf(pair, type)}: ${message}`;
      const isSeen = pair.status?.observedGeneration === pair.metadata.generation;
      const isSaid = texts.every((text) => message.includes(text));
      return isSeen && conditionOf(pair, type) === wanted && isSaid ? pair : undefined;
    },
    timeoutMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message} Last seen: ${seen}`);
  });
}

type ConditionOptions = { name?: string; says?: string | readonly string[]; timeoutMs?: number };

type Event = {
  reason: string;
  eventTime: string;
  regarding: { kind: string; name: string };
  series?: { count: number };
};

/** Events about a HAPair, in the order in which each was first seen. */
async function eventsOf(stage: Stage, name: string): Promise<Event[]> {
  const events = await read<{ items: Event[] }>(
    stage,
    `/apis/events.k8s.io/v1/namespaces/${stage.namespace}/events`,
  );
  return (events?.items ?? [])
    .filter(({ regarding }) => regarding.kind === 'HAPair' && regarding.name === name)
    .sort((a, b) => (a.eventTime < b.eventTime ? -1 : 1));
}

/** Their reasons. */
export const eventReasons = async (stage: Stage, name = stage.name): Promise<string[]> =>
  (await eventsOf(stage, name)).map(({ reason }) => reason);

/** How often a reason was told of the stage's pair, repetitions included. */
export async function timesTold(stage: Stage, wanted: string): Promise<number> {
  const events = (await eventsOf(stage, stage.name)).filter(({ reason }) => reason === wanted);
  return events.reduce((sum, { series }) => sum + (series?.count ?? 1), 0);
}

/** A reason is told once more than `before`; Events are written behind the deeds. */
export const toldAgain = (stage: Stage, reason: string, before: number): Promise<true> =>
  eventually(`An Event should say ${reason}`, async () =>
    (await timesTold(stage, reason)) > before ? true : undefined,
  );

export const apply = (stage: Stage, pair: object): Promise<string> =>
  stage.kubectl(['apply', '-f', '-'], JSON.stringify(pair));

/**
 * What `kubectl patch --type=merge` of a HAPair's spec sends.
 * @throws Error with the API server's words when it refuses
 */
export const edit = async (stage: Stage, spec: object, name = stage.name): Promise<void> => {
  const contentType = 'application/merge-patch+json';
  const { kubeconfigPath } = stage.lab;
  const where = path(stage, 'hapairs', name);
  const { status, body } = await callAPI(kubeconfigPath, 'PATCH', where, { body: { spec }, contentType });
  if (status !== 200) throw new Error((body as { message?: string }).message ?? `HTTP ${status}`);
};

/** Master, holder and Ready say `node`. */
export const settled = (stage: Stage, node: string) =>
  stage.pair.until(
    `${node} should be master and holder`,
    (view) => view.master === node && view.holder === node && view.ready === 'True',
    PATIENCE_MS,
  );

/** The agent of `node` reports Backup: the next failover can go there. */
export const backup = (stage: Stage, node: string) =>
  eventually(`${node} should report Backup`, async () => {
    const instance = await instanceOf(stage, node);
    return instance?.status?.state === 'Backup' ? instance : undefined;
  });

/** The priorities are as they stay while `master` holds the addresses, and both agents have acknowledged and reported all. */
export const atRest = (stage: Stage, master: string) =>
  eventually(`The pair should rest with ${master}`, async () => {
    const instances = await Promise.all([master, otherNode(master)].map((node) => instanceOf(stage, node)));
    const isSettled = instances.every(
      (instance, index) =>
        instance?.spec.priority === (index === 0 ? HOLDER_PRIORITY : STANDBY_PRIORITY) &&
        instance.status?.observedGeneration === instance.metadata.generation,
    );
    return isSettled ? true : undefined;
  });

/** SIGTERM to the master's agent, the other takes over, the agent starts again. Returns the new master. */
export async function failOver(stage: Stage): Promise<string> {
  const from = await masterOf(stage);
  const to = otherNode(from);
  await backup(stage, to);
  await stage.lab.node(from).killService('agent', 'SIGTERM');
  await settled(stage, to);
  await stage.gone(from, 'agent');
  await stage.lab.node(from).startService('agent');
  await backup(stage, from);
  return to;
}

/** Both clients' probes since then were answered, every one. */
export async function assertNothingLost(stage: Stage, fromMs: number): Promise<void> {
  const { lan, internet } = await stage.evidence();
  assert.is(lost(between(lan, fromMs, nowMs())), 0, 'LAN probes lost');
  assert.is(lost(between(internet, fromMs, nowMs())), 0, 'internet probes lost');
}

/** An Event with this reason about a HAPair is there; Events are written behind the deeds. */
export const eventTold = (stage: Stage, reason: string, name = stage.name): Promise<true> =>
  eventually(`An Event should say ${reason}`, async () =>
    (await eventReasons(stage, name)).includes(reason) ? true : undefined,
  );

/** `kubectl delete`, waiting for the end. */
export const deletePair = (stage: Stage, name = stage.name): Promise<string> =>
  stage.kubectl(['delete', 'hap', name, '-n', stage.namespace, '--wait', '--timeout=60s']);

/** Addresses on an instance's interface, as `ip` prints them. */
export const interfaceOf = async (stage: Stage, node: string): Promise<string> =>
  (await stage.lab.node(node).exec(['ip', '-o', '-4', 'address', 'show', 'dev', 'eth0'])).stdout;

/** The elected master as stored. @throws Error when there was none yet. */
export async function masterOf(stage: Stage): Promise<string> {
  const master = (await pairOf(stage)).status?.master;
  if (master === undefined) throw new Error('Nobody has been master yet.');
  return master;
}

export const otherNode = (node: string): string => (node === 'node1' ? 'node2' : 'node1');

export const networkInterfaceOf = (stage: Stage, node: string): string =>
  stage.lab.node(node).instance.networkInterfaceID;

/** The newest call in EC2's log. */
export const lastCallID = async (stage: Stage): Promise<number> =>
  (await stage.lab.ec2.calls()).at(-1)?.id ?? 0;

/** Calls after `sinceID` that change something, whatever became of them. */
export const mutatingCalls = async (stage: Stage, sinceID: number): Promise<CallRecord[]> =>
  (await stage.lab.ec2.calls(sinceID)).filter(isMutating);

/** Two of these were once seen at the same time: the pair as it was before a switch, and the last call of EC2. */
export type Before = { pair: HAPair; callID: number };

export const now = async (stage: Stage): Promise<Before> => ({
  pair: await pairOf(stage),
  callID: await lastCallID(stage),
});

/**
 * The whole truth after one switch to `to`: where packets go, what kubectl says, what the status remembers, and that no
 * call since ever named another node.
 */
export async function assertSwitched(
  stage: Stage,
  { pair: before, callID }: Before,
  to: string,
  most: { calls: number; reason?: string },
): Promise<void> {
  const { routes, nat } = await stage.lab.ec2.settledMapping();
  assert.is(routes[VIP], networkInterfaceOf(stage, to), 'the VIP goes to the master');
  assert.is(nat[PUBLIC_IP], VIP, 'the EIP goes to the VIP');

  const calls = await mutatingCalls(stage, callID);
  const targets = new Set(calls.map(({ parameters }) => parameters.NetworkInterfaceId));
  assert.equal([...targets], [networkInterfaceOf(stage, to)], 'no call names another node');
  assert.ok(calls.length <= most.calls, `${calls.length} mutating calls, at most ${most.calls} are needed`);
  const effects = calls.filter(({ effectAtMs }) => effectAtMs !== undefined);
  assert.is(effects.length, 1, 'EC2 was changed once');

  const { metadata, spec, status } = await pairOf(stage);
  const from = otherNode(to);
  const term = (await instanceOf(stage, to))?.status?.term ?? 0;
  assert.ok(term > (before.status?.term ?? 0), 'the term grew');
  assert.is(status?.term, term);
  assert.is(status?.failback?.yieldTerm ?? 0, 0, 'no order is left');
  const isHeld = metadata.finalizers?.includes(FINALIZER) ?? false;
  assert.is(isHeld, spec.deletionPolicy === 'Unassign', 'only what is to be cleaned up is held back');
  const [newest, second] = status?.history ?? [];
  const { reason = 'Failover' } = most;
  assert.equal({ from: newest?.from, to: newest?.to, reason: newest?.reason }, { from, to, reason });
  // The same master takes a higher term when it was not scheduled for too long.
  const switchTerm = newest?.term ?? 0;
  assert.ok(switchTerm > (before.status?.term ?? 0) && switchTerm <= term, 'the history tells the term');
  assert.is(second?.time, before.status?.history?.[0]?.time, 'the history has the switch once');
  const columns = (await getHap(stage))[stage.name];
  assert.is(columns?.MASTER, to);
  assert.is(columns?.HOLDER, to);
  assert.is(columns?.READY, 'True');
}

/** `kubectl get hap` by name and by heading. */
export async function getHap(
  stage: Stage,
  ...args: string[]
): Promise<Record<string, Record<string, string>>> {
  const text = await stage.kubectl(['get', 'hap', '-n', stage.namespace, ...args]);
  const [header = '', ...lines] = text.trimEnd().split('\n');
  // A cell may be empty, so columns go by where their heading begins.
  const columns = [...header.matchAll(/\S+ */g)].map(({ 0: { length }, 0: head, index }) => ({
    head: head.trim(),
    cell: (line: string) => line.slice(index, index + length).trim(),
  }));
  const last = columns.at(-1);
  if (last !== undefined) last.cell = (line) => line.slice(header.lastIndexOf(last.head)).trim();
  return Object.fromEntries(
    lines.map((line) => {
      const cells = Object.fromEntries(columns.map(({ head, cell }) => [head, cell(line)]));
      return [cells.NAME, cells];
    }),
  );
}
