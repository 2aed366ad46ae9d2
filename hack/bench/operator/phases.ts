/** The phases of one run, each with what it measured. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HAPair } from '../../../crds/types.ts';
import { API_GROUP_VERSION } from '../../../crds/types.ts';
import { nowMs } from '../../lab/clock.ts';
import type { CallRecord } from '../../lab/types.ts';
import type { Agents, Claimed } from './agents.ts';
import { type Fleet, type FleetPair, manifestOf, NAMESPACE } from './fleet.ts';
import {
  bucketBoundMs,
  familyCPUSeconds,
  reportsRead,
  requestTotals,
  type Spread,
  spreadOf,
  tally,
  usageOf,
  writesBetween,
} from './measure.ts';
import type { Operator, Stage } from './stage.ts';

/** Everything a phase works with. */
export type Scene = {
  stage: Stage;
  fleet: Fleet;
  operator: Operator;
  agents: Agents;
  pairs: PairWatch;
  calls: CallFollower;
  onLog: (line: string) => void;
};

const OPERATOR_USER = 'system:serviceaccount:hapair-system:hapair-operator';
const AGENT_USERS = 'system:serviceaccount:hapair-system:hapair-agent-';
const POLL_MS = 200;
const PROGRESS_MS = 15_000;
const CREATES_AT_ONCE = 16;
/** The API server needs most of it: some 25 writes for each pair, at 8 to 18 ms of processor time each. */
const CONVERGENCE_MS = 90 * 60_000;
const HAPAIRS = `/apis/${API_GROUP_VERSION}/namespaces/${NAMESPACE}/hapairs`;

/** What users see: the HAPairs' status, followed by a watch. */
export type PairWatch = {
  ready(): number;
  isReady(name: string, node: string): boolean;
  /** Unix milliseconds of the last change of any HAPair, preflights apart. */
  lastChangeMs(): number;
  /** Preflights apart. */
  changes(): number;
  /**
   * Changes of `PreflightPassed` alone. The permission to associate each EIP is asked for at a leisurely pace (operator/facts.ts):
   * with thousands of pairs for hours, during which everything else is at rest.
   */
  preflights(): number;
};

/** What a HAPair says besides `PreflightPassed`. */
const withoutPreflight = ({ metadata: { generation }, status }: HAPair): string =>
  JSON.stringify({
    generation,
    status: { ...status, conditions: status?.conditions?.filter(({ type }) => type !== 'PreflightPassed') },
  });

export const watchPairs = ({ admin }: Stage): PairWatch => {
  /** Holder of each pair that is Ready. */
  const ready = new Map<string, string>();
  const said = new Map<string, string>();
  let lastChangeMs = nowMs();
  let changes = 0;
  let preflights = 0;
  admin.watch(HAPAIRS, undefined, ({ object }) => {
    const pair = object as HAPair;
    const { metadata, status } = pair;
    if (!metadata?.name) return;
    const says = withoutPreflight(pair);
    if (said.get(metadata.name) === says) {
      preflights += 1;
      return;
    }
    said.set(metadata.name, says);
    const isReady = status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
    if (isReady && status?.holder !== undefined) ready.set(metadata.name, status.holder);
    else ready.delete(metadata.name);
    lastChangeMs = nowMs();
    changes += 1;
  });
  return {
    ready: () => ready.size,
    isReady: (name, node) => ready.get(name) === node,
    lastChangeMs: () => lastChangeMs,
    changes: () => changes,
    preflights: () => preflights,
  };
};

/** The lab's log of mutating calls, followed so that nothing of it is lost; tells the agents what IMDS would show. */
export type CallFollower = {
  /** Mutating calls so far, oldest first; a record grows while its call goes on. */
  records(): readonly CallRecord[];
  /** The number of the newest call of any kind: at most 200 ms old. */
  lastID(): number;
  stop(): void;
};

const MUTATING = ['AssignPrivateIpAddresses', 'AssociateAddress'] as const;

export const followCalls = ({ ec2 }: Stage, onMapped: (vip: string, eni: string) => void): CallFollower => {
  const known = new Map<number, CallRecord>();
  const mapped = new Set<number>();
  let sinceID = 0;
  let lastID = 0;
  let isStopped = false;
  const take = (records: readonly CallRecord[]): void => {
    let open = Number.POSITIVE_INFINITY;
    let newest = sinceID;
    for (const record of records) {
      newest = Math.max(newest, record.id);
      if (!MUTATING.some((action) => action === record.action) || record.parameters.DryRun === 'true')
        continue;
      known.set(record.id, record);
      const isOver = record.mappedAtMs !== undefined || record.errorCode !== undefined;
      if (!isOver) open = Math.min(open, record.id);
      if (record.mappedAtMs === undefined || mapped.has(record.id)) continue;
      mapped.add(record.id);
      if (record.action !== 'AssignPrivateIpAddresses') continue;
      for (const vip of vipsOf(record)) onMapped(vip, record.parameters.NetworkInterfaceId ?? '');
    }
    lastID = Math.max(lastID, newest);
    sinceID = Math.min(open - 1, newest);
  };
  const run = async (): Promise<void> => {
    while (!isStopped) {
      await sleep(POLL_MS);
      const records = await ec2.calls(sinceID).catch((error: Error) => {
        if (!isStopped) console.error(`hapair: ${error.message}`);
        return [];
      });
      take(records);
    }
  };
  void run();
  return {
    records: () => [...known.values()],
    lastID: () => lastID,
    stop() {
      isStopped = true;
    },
  };
};

const vipsOf = ({ parameters }: CallRecord): string[] =>
  Object.entries(parameters).flatMap(([name, value]) =>
    name.startsWith('PrivateIpAddress.') ? [value] : [],
  );

/** Waits; says how far it is now and then. @throws Error that says what was awaited. */
const until = async (
  scene: Pick<Scene, 'operator' | 'onLog'>,
  isDone: () => boolean,
  progress: () => string,
  timeoutMs: number,
): Promise<void> => {
  const deadline = nowMs() + timeoutMs;
  let saidMs = nowMs();
  while (!isDone()) {
    const end = scene.operator.ended();
    if (end !== undefined) throw new Error(`The operator ended (${end}); see ${scene.operator.logFile}.`);
    if (nowMs() > deadline) throw new Error(`Not within ${timeoutMs / 1000} s: ${progress()}`);
    if (nowMs() - saidMs >= PROGRESS_MS) {
      scene.onLog(progress());
      saidMs = nowMs();
    }
    await sleep(POLL_MS);
  }
};

/** Processor seconds and memory over a phase. */
export type Load = {
  seconds: number;
  cpuSeconds: number;
  cpuPercent: number;
  rssMB: number;
  peakRSSMB: number;
};

const loadSince = ({ pid }: Operator, fromMs: number, cpuBefore: number): Load => {
  const { cpuSeconds, rssMB, peakRSSMB } = usageOf(pid);
  const seconds = (nowMs() - fromMs) / 1000;
  const used = cpuSeconds - cpuBefore;
  return { seconds, cpuSeconds: used, cpuPercent: (100 * used) / seconds, rssMB, peakRSSMB };
};

export type Convergence = {
  /** Until the last HAPair was created. */
  createdSeconds: number;
  /** From the first creation until every pair was Ready. */
  convergedSeconds: number;
  load: Load;
  /** What the operator wrote, by verb and resource, its own Lease apart. */
  writes: Record<string, number>;
  ec2Calls: Record<string, number>;
  /** Who used the processors meanwhile, in seconds. */
  processors: Record<string, number>;
};

/** Creates every HAPair and waits until all are Ready. */
export const converge = async (scene: Scene): Promise<Convergence> => {
  const { stage, fleet, operator, pairs, onLog } = scene;
  const fromMs = nowMs();
  const { cpuSeconds } = usageOf(operator.pid);
  const sinceID = scene.calls.lastID();
  const processorsBefore = familyCPUSeconds();
  const waiting = [...fleet.pairs];
  const worker = async (): Promise<void> => {
    for (let pair = waiting.shift(); pair; pair = waiting.shift())
      await stage.admin.call({ method: 'POST', path: HAPAIRS, body: manifestOf(fleet, pair) });
  };
  let createdSeconds = Number.NaN;
  const created = Promise.all(Array.from({ length: CREATES_AT_ONCE }, worker)).then(() => {
    createdSeconds = (nowMs() - fromMs) / 1000;
    onLog(`${fleet.pairs.length} HAPairs created`);
  });
  // When something else ends the phase first, its own end is no news.
  created.catch(() => undefined);
  await until(
    scene,
    () => pairs.ready() === fleet.pairs.length,
    () => `${pairs.ready()} of ${fleet.pairs.length} pairs are Ready; ${scene.agents.reports()} reports sent`,
    CONVERGENCE_MS,
  );
  await created;
  const toMs = nowMs();
  const load = loadSince(operator, fromMs, cpuSeconds);
  const processors = Object.entries(familyCPUSeconds());
  const writes = await writesBetween(stage.controlPlane.dir, fromMs, toMs);
  return {
    createdSeconds,
    convergedSeconds: (toMs - fromMs) / 1000,
    load,
    writes: tally(
      writes.flatMap(({ user, verb, resource, status }) =>
        user === OPERATOR_USER && resource !== 'leases'
          ? [`${verb} ${resource}${status < 300 ? '' : ` (${status})`}`]
          : [],
      ),
    ),
    ec2Calls: tally((await stage.ec2.calls(sinceID)).map(nameOfCall)),
    processors: Object.fromEntries(
      processors.map(([name, seconds]) => [
        name === `node ${operator.pid}` ? 'operator' : name.replace(/^node .*/, 'EC2'),
        seconds - (processorsBefore[name] ?? 0),
      ]),
    ),
  };
};

const nameOfCall = ({ action, errorCode }: CallRecord): string =>
  errorCode === undefined ? action : `${action} (${errorCode})`;

export type Rest = {
  load: Load;
  /** Writes of the operator, its own Lease apart: there must be none (S6). */
  operatorWrites: Record<string, number>;
  /** All writes at the API server by who made them, per minute. */
  writesPerMinute: Record<string, number>;
  /** Reads at the API server of the kinds that the product knows, less the benchmark's own, per minute. */
  readsPerMinute: Record<string, number>;
  ec2CallsPerMinute: Record<string, number>;
  changedPairs: number;
  /** Pairs whose `PreflightPassed` alone changed: one write of the operator each. */
  preflights: number;
};

/** Longer than between two readings of EC2. */
const QUIET_MS = 40_000;
const QUIET_PATIENCE_MS = 15 * 60_000;

/** Waits until nothing changes any more. */
export const settle = (scene: Scene): Promise<void> =>
  until(
    scene,
    () => nowMs() - scene.pairs.lastChangeMs() > QUIET_MS,
    () =>
      `${scene.pairs.changes()} changes of HAPairs so far, the last one ${Math.round(nowMs() - scene.pairs.lastChangeMs())} ms ago`,
    QUIET_PATIENCE_MS,
  );

type Totals = { before: ReadonlyMap<string, number>; after: ReadonlyMap<string, number> };

/** A while in which nothing happens. */
export const rest = async (scene: Scene, seconds: number): Promise<Rest> => {
  const { stage, operator, pairs } = scene;
  const ownTotals = (): Map<string, number> => {
    const sum = new Map<string, number>();
    for (const api of [stage.admin, stage.agents])
      for (const [name, count] of api.counts()) sum.set(name, (sum.get(name) ?? 0) + count);
    return sum;
  };
  const allTotals = async () => requestTotals(await stage.admin.text('/metrics'));
  const [allBefore, ownBefore] = [await allTotals(), ownTotals()];
  const sinceID = scene.calls.lastID();
  const { cpuSeconds } = usageOf(operator.pid);
  const changesBefore = pairs.changes();
  const preflightsBefore = pairs.preflights();
  const fromMs = nowMs();
  await sleep(seconds * 1000);
  const load = loadSince(operator, fromMs, cpuSeconds);
  const toMs = nowMs();
  const all = { before: allBefore, after: await allTotals() };
  const own = { before: ownBefore, after: ownTotals() };
  const writes = await writesBetween(stage.controlPlane.dir, fromMs, toMs);
  const perMinute = (counts: Record<string, number>): Record<string, number> =>
    Object.fromEntries(
      Object.entries(counts).map(([name, count]) => [name, (count * 60_000) / (toMs - fromMs)]),
    );
  const requests: Record<string, number> = {};
  for (const name of all.after.keys()) {
    if (!/^(GET|LIST|WATCH) (hapairs|vrrpinstances|leases|secrets)(\/|$)/.test(name)) continue;
    const gained = (counts: Totals): number => (counts.after.get(name) ?? 0) - (counts.before.get(name) ?? 0);
    const others = gained(all) - gained(own);
    if (others > 0) requests[name] = others;
  }
  const ofOperator = writes.filter(({ user, resource }) => user === OPERATOR_USER && resource !== 'leases');
  return {
    load,
    operatorWrites: tally(ofOperator.map(({ verb, resource }) => `${verb} ${resource}`)),
    writesPerMinute: perMinute(
      tally(writes.map(({ user, verb, resource }) => `${whoIs(user)}: ${verb} ${resource}`)),
    ),
    readsPerMinute: perMinute(requests),
    ec2CallsPerMinute: perMinute(tally((await stage.ec2.calls(sinceID)).map(nameOfCall))),
    changedPairs: pairs.changes() - changesBefore,
    preflights: pairs.preflights() - preflightsBefore,
  };
};

const whoIs = (user: string): string => {
  if (user === OPERATOR_USER) return 'operator';
  if (user.startsWith(AGENT_USERS)) return 'agents';
  return user === 'admin' ? 'benchmark' : 'control plane';
};

export type Failovers = {
  /** From sending the report to EC2's receiving the call, milliseconds. */
  sentToCall: Spread;
  /** From the API server's answer to the report to EC2's receiving the call. */
  answeredToCall: Spread;
  /** The report's own way into the API server. */
  report: Spread;
  /** From sending the report until the operator had read it and decided: API server, etcd and watch. */
  sentToRead: Spread;
  /** From there to EC2's receiving the call: the operator's own part, and the SDK's. */
  readToCall: Spread;
  /** Claims for which no call came within 30 s. */
  lost: number;
  load: Load;
};

const SAMPLE_MS = 30_000;

/** The call that a claim led to: the first for its VIP since the report was sent. */
const callFor = (calls: readonly CallRecord[], vip: string, sentAtMs: number): CallRecord | undefined =>
  calls.find((call) => call.receivedAtMs >= sentAtMs - 1 && vipsOf(call).includes(vip));

/** Evenly spread over the fleet. */
const some = (fleet: Fleet, count: number): FleetPair[] => {
  const stride = fleet.pairs.length / count;
  return Array.from({ length: count }, (_, at) => fleet.pairs[Math.floor(at * stride)]).filter(
    (pair) => pair !== undefined,
  );
};

/** One pair after another fails over while all others rest; the old master comes back once EC2 has moved. */
export const failOverOneByOne = async (
  scene: Scene,
  samples: number,
  spacingMs: number,
): Promise<Failovers> => {
  const { fleet, agents, calls, operator, onLog } = scene;
  const chosen = Array.from({ length: Math.ceil(samples / fleet.pairs.length) }, () =>
    some(fleet, Math.min(samples, fleet.pairs.length)),
  )
    .flat()
    .slice(0, samples);
  const fromMs = nowMs();
  const { cpuSeconds } = usageOf(operator.pid);
  const followed: Promise<{ pair: FleetPair; claimed: Claimed; call: CallRecord | undefined }>[] = [];
  for (const [at, pair] of chosen.entries()) {
    const claimed = await agents.failOver(pair);
    followed.push(
      awaitCall(calls, pair, claimed).then(async (call) => {
        await agents.comeBack(pair);
        return { pair, claimed, call };
      }),
    );
    if (at % 25 === 24) onLog(`${at + 1} of ${samples} failovers begun`);
    await sleep(spacingMs * (0.5 + Math.random()));
  }
  const results = await Promise.all(followed);
  const read = await reportsRead(operator.logFile);
  const found = results.flatMap(({ pair, claimed, call }) => {
    const readAtMs = read.get(`${NAMESPACE}/${pair.name} ${claimed.term}`);
    return call && readAtMs !== undefined ? [{ claimed, call, readAtMs }] : [];
  });
  return {
    sentToCall: spreadOf(found.map(({ claimed, call }) => call.receivedAtMs - claimed.sentAtMs)),
    answeredToCall: spreadOf(found.map(({ claimed, call }) => call.receivedAtMs - claimed.answeredAtMs)),
    report: spreadOf(found.map(({ claimed }) => claimed.answeredAtMs - claimed.sentAtMs)),
    sentToRead: spreadOf(found.map(({ claimed, readAtMs }) => readAtMs - claimed.sentAtMs)),
    readToCall: spreadOf(found.map(({ call, readAtMs }) => call.receivedAtMs - readAtMs)),
    lost: results.length - found.length,
    load: loadSince(operator, fromMs, cpuSeconds),
  };
};

const awaitCall = async (
  calls: CallFollower,
  { vip }: FleetPair,
  { sentAtMs }: Claimed,
): Promise<CallRecord | undefined> => {
  for (const deadline = nowMs() + SAMPLE_MS; nowMs() < deadline; await sleep(POLL_MS)) {
    const call = callFor(calls.records().slice(-2_000), vip, sentAtMs);
    if (call) return call;
  }
  return undefined;
};

export type MassFailure = {
  pairs: number;
  /** From the first report sent until the last one was answered. */
  reportedSeconds: number;
  /** From the first report sent until the last pair's call that worked was received. */
  lastCallSeconds: number;
  /** What EC2's token bucket allows at best. */
  boundSeconds: number;
  /** By how much `lastCallSeconds` exceeds the bound; absent without a bound. */
  overBoundPercent: number | undefined;
  /** Calls of the kind that moves a VIP, by result. */
  calls: Record<string, number>;
  /** From each report sent to that pair's call that worked. */
  perPair: Spread;
  convergedSeconds: number;
  load: Load;
};

/** AssignPrivateIpAddresses (EC2 Developer Guide, "Request throttling"). */
const ASSIGN_BUCKET = { capacity: 100, refillPerSecond: 5 };
/** Until the bucket is full again after anything before. */
const REFILL_MS = 20_000;
const MASS_MS = 15 * 60_000;

/** Many pairs lose their masters at the same moment. */
export const failOverAtOnce = async (scene: Scene, count: number): Promise<MassFailure> => {
  const { fleet, agents, calls, pairs, operator } = scene;
  await settle(scene);
  await sleep(REFILL_MS);
  const chosen = some(fleet, Math.min(count, fleet.pairs.length));
  const before = calls.records().length;
  const fromMs = nowMs();
  const { cpuSeconds } = usageOf(operator.pid);
  const claims = await Promise.all(
    chosen.map(async (pair) => ({ pair, claimed: await agents.failOver(pair) })),
  );
  const reportedSeconds = (nowMs() - fromMs) / 1000;
  const worked = new Map<string, CallRecord>();
  const look = (): void => {
    for (const call of calls.records().slice(before)) {
      if (call.action !== 'AssignPrivateIpAddresses' || call.effectAtMs === undefined) continue;
      for (const vip of vipsOf(call)) if (!worked.has(vip)) worked.set(vip, call);
    }
  };
  await until(
    scene,
    () => {
      look();
      return chosen.every(({ vip }) => worked.has(vip));
    },
    () => `${worked.size} of ${chosen.length} VIPs moved`,
    MASS_MS,
  );
  const lastCallSeconds =
    (Math.max(...chosen.map(({ vip }) => worked.get(vip)?.receivedAtMs ?? Number.NaN)) - fromMs) / 1000;
  for (const { pair } of claims) void agents.comeBack(pair);
  await until(
    scene,
    () => pairs.ready() === fleet.pairs.length,
    () => `${pairs.ready()} of ${fleet.pairs.length} pairs are Ready again`,
    MASS_MS,
  );
  const convergedSeconds = (nowMs() - fromMs) / 1000;
  const boundSeconds =
    bucketBoundMs(chosen.length, ASSIGN_BUCKET.capacity, ASSIGN_BUCKET.refillPerSecond) / 1000;
  return {
    pairs: chosen.length,
    reportedSeconds,
    lastCallSeconds,
    boundSeconds,
    overBoundPercent: boundSeconds > 0 ? (100 * (lastCallSeconds - boundSeconds)) / boundSeconds : undefined,
    calls: tally(calls.records().slice(before).map(nameOfCall)),
    perPair: spreadOf(
      claims.map(
        ({ pair, claimed }) => (worked.get(pair.vip)?.receivedAtMs ?? Number.NaN) - claimed.sentAtMs,
      ),
    ),
    convergedSeconds,
    load: loadSince(operator, fromMs, cpuSeconds),
  };
};
