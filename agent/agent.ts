/** The agent of one node: starts everything, connects it, and stops it in the right order. */
import { agentLeaseName, PAIR_LABEL, type VRRPInstance } from '../crds/types.ts';
import { connect, type WatchSource } from '../kube/client.ts';
import { findRival, renewLease } from '../kube/lease.ts';
import { createHolderWatch, type HolderWatch } from '../kube/lease-holder.ts';
import type { KubeClient, Store } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';
import { createCalmLog } from '../runtime/calm-log.ts';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import { messageOf } from '../runtime/error-text.ts';
import type { Log } from '../runtime/log.ts';
import { trackContact } from './api/contact.ts';
import { FIELD_MANAGER, VRRP_INSTANCES, withContact } from './api/reports.ts';
import { Checks } from './checks/checks.ts';
import { createProbe } from './checks/probe.ts';
import type { Probe } from './checks/types.ts';
import type { AgentConfig } from './config.ts';
import { healthChecks, readinessChecks } from './metrics/health.ts';
import type { AgentLook, WatchLook } from './metrics/look.ts';
import { createMetrics } from './metrics/metrics.ts';
import { openWeb } from './metrics/web.ts';
import { loadRecords, openDisk } from './node/disk.ts';
import { createIMDSClient, type IMDSClient, pollIMDS } from './node/imds.ts';
import { type InterfacesOptions, watchInterfaces } from './node/interface.ts';
import type { AgentHandover } from './pair/handover.ts';
import { Pairs } from './pair/pairs.ts';
import type { PairView } from './pair/view.ts';
import type { PairAddresses, PairDisk, PairRecord } from './ports.ts';
import type { StartWorker } from './reload/early-worker.ts';
import { takeInGoodMoment } from './reload/moment.ts';
import { aliveWhileAnswering } from './worker/sign-of-life.ts';
import {
  type Pong,
  startVRRPWorker,
  type VRRPWorker,
  type VRRPWorkerOptions,
} from './worker/worker-client.ts';

const TICK_MS = 1_000;
/** How long a stopping agent tries to report. */
const LAST_REPORT_MS = 3_000;
const STOP_POLL_MS = 20;
/** How long an agent that is to be replaced waits until its reports are taken. */
const LAST_WORDS_MS = 1_000;

/** What `hapair-agent status` shows of the agent as a whole. */
export type AgentView = {
  api: {
    /** As the last call has it; null: none was made yet. */
    answers: boolean | null;
    /** Why the newest call was not served; null: it was, or there was none. */
    error: string | null;
    /** Milliseconds since the API server's last answer, events of a watch included; null: none yet. */
    lastContactMilliseconds: number | null;
  };
  /** The system granted real-time scheduling to the VRRP worker; null: the worker does not answer. */
  realtime: boolean | null;
  pairs: PairView[];
};
/** A scrape does not wait longer for the worker. */
const SCRAPE_PING_MS = 1_000;

export type Agent = {
  /** Resigns, waits until EC2 has moved the addresses or the time is over, takes them off, reports. */
  stop(): Promise<void>;
  /** Resolves with what makes the agent useless; its process must end. */
  failed: Promise<Error>;
  view(): Promise<AgentView>;
  /** As `Pairs.claimByHand`. */
  claimByHand: Pairs['claimByHand'];
  /**
   * What the program that takes this one's place must know, at a good moment: call it at once, nothing is held up meanwhile.
   * @throws Error when the worker does not answer
   */
  handOver(): Promise<AgentHandover>;
  /** What can be seen of it now. */
  look(): AgentLook;
  /** What the worker has counted. @throws Error when it does not answer within a second */
  askWorker(): Promise<Pong>;
};

/** Another agent of the same name lives; the message is for people. */
export class RivalError extends Error {
  override readonly name = 'RivalError';

  constructor(nodeName: string, rival: string) {
    super(
      `another agent of node ${nodeName} is running: it renews the Lease ${agentLeaseName(nodeName)} as ${rival}; stop that one, or give this one the nodeName of its own node`,
    );
  }
}

/** What an agent is connected to: the machine it runs on, and the API server. */
export type Surroundings = {
  kube: KubeClient & WatchSource;
  /** What the disk has kept. */
  records: readonly PairRecord[];
  openDisk(record: PairRecord): PairDisk;
  startWorker(options: VRRPWorkerOptions): VRRPWorker;
  watchInterfaces(options: InterfacesOptions): PairAddresses;
  imds: IMDSClient;
  /** Makes one run of a health check. */
  probe: Probe;
  clock: Clock;
  /** Numbers in [0, 1). */
  random: () => number;
  /** Who holds this node's Lease, and nobody else may; absent: the node's name, and whoever holds it is overwritten. */
  holderIdentity?: string;
  /** What was seen of the Lease before the start; default: nothing. */
  holderWatch?: HolderWatch;
  /** Of the program that this one has replaced in place; its worker runs. */
  handover?: AgentHandover | undefined;
};

/** How the agent comes to run. */
export type Start = {
  /** Of this agent, to tell it from another of the same node name. */
  holderIdentity: string;
  /** Default: a worker of its own. */
  startWorker?: StartWorker | undefined;
  /** Of the program that this one has replaced in place. */
  handover?: AgentHandover | undefined;
};

/**
 * Starts the agent on this machine: the election from disk at once, the API server as soon as it answers.
 * @throws RivalError when another agent of this node name lives; nothing was claimed or reported then
 */
export const startAgent = async (
  config: AgentConfig,
  agentVersion: string,
  log: Log,
  { holderIdentity, startWorker = startVRRPWorker, handover }: Start,
): Promise<Agent> => {
  const { stateDir, nodeName, leaseNamespace, commands, file } = config;
  const records = loadRecords(stateDir, log);
  const kube = await connect({
    kubeconfigPath: config.kubeconfig,
    userAgent: `hapair-agent/${agentVersion}`,
    // With something to serve, a lost credential is the same case as an API server that is away.
    patient: records.some(({ spec }) => spec !== null),
  });
  const holderWatch = createHolderWatch(holderIdentity);
  // Who goes on where a predecessor was has held the Lease a moment ago.
  const rival =
    handover !== undefined
      ? null
      : await findRival({
          client: kube,
          key: `${leaseNamespace}/${agentLeaseName(nodeName)}`,
          holderIdentity,
          watch: holderWatch,
          signal: new AbortController().signal,
          onWait: (holder) =>
            log.warn(
              { holder },
              'another agent holds this node’s Lease; waiting until it renews, or is gone',
            ),
        });
  if (rival !== null) throw new RivalError(nodeName, rival);
  const agent = runAgent(config, agentVersion, log, {
    kube,
    holderIdentity,
    holderWatch,
    handover,
    records,
    openDisk: (record) => openDisk(stateDir, record),
    startWorker,
    watchInterfaces,
    imds: createIMDSClient(process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT),
    probe: createProbe({ nodeName, commands, configFile: file, clock: systemClock }),
    clock: systemClock,
    random: Math.random,
  });
  const ending = new AbortController();
  const web = openWeb({
    config: config.metrics,
    server: {
      healthz: healthChecks(agent.look, systemClock, ending.signal),
      readyz: readinessChecks(agent.look),
      metrics: createMetrics(agent, agentVersion),
    },
    clock: systemClock,
    log,
  });
  const stop = async (): Promise<void> => {
    await agent.stop();
    ending.abort();
    await web.close();
  };
  return { ...agent, stop };
};

/** Connects an agent to its surroundings. */
export const runAgent = (
  config: AgentConfig,
  agentVersion: string,
  unlimitedLog: Log,
  surroundings: Surroundings,
): Agent => {
  const { nodeName, leaseNamespace } = config;
  const { kube, records, clock, random, imds, holderIdentity, holderWatch, handover } = surroundings;
  const ending = new AbortController();
  const { signal } = ending;
  const failed = Promise.withResolvers<Error>();

  const log = createCalmLog(unlimitedLog, clock.now);
  const seen: { leaseAtMs: number | null; imdsAtMs: number | null; pongAtMs: number } = {
    leaseAtMs: null,
    imdsAtMs: null,
    pongAtMs: clock.now(),
  };
  // Each change is said: the API server's comings and goings are no repetitions.
  const contact = trackContact(clock, unlimitedLog, () => pairs.apiBack(), handover?.lastContactMs ?? null);
  const client = withContact(kube, contact.called);

  let commands = 0;
  const worker = surroundings.startWorker({
    onMessage: (message) => pairs.worker(message),
    onExit: (error) => error !== null && failed.resolve(error),
  });
  const interfaces = surroundings.watchInterfaces({
    clock,
    log,
    signal,
    onReading: (reading) => pairs.interfaces(reading),
  });
  const checks = new Checks({
    probe: surroundings.probe,
    clock,
    log,
    onFindings: (pair, findings) => pairs.health(pair, findings),
  });
  const pairs = new Pairs({
    nodeName,
    leaseNamespace,
    openDisk: surroundings.openDisk,
    agentVersion,
    client,
    addresses: interfaces,
    checks,
    send(message) {
      commands += 1;
      worker.send(message);
    },
    lastContactMs: contact.lastMs,
    clock,
    random,
    log,
    handover,
  });
  for (const record of records.filter(({ namespace }) => config.namespaces.includes(namespace)))
    pairs.restore(record);
  pairs.restored();

  void pollIMDS({
    client: imds,
    clock,
    log,
    signal,
    onReading: (reading) => {
      if (reading !== null) seen.imdsAtMs = clock.now();
      pairs.imds(reading);
    },
    isUrgent: () => pairs.isUrgent(),
  });

  const watches = config.namespaces.map((namespace) => {
    const peers = watchPeers(surroundings, namespace, pairs, signal, log);
    const store: Store<VRRPInstance> = watch<VRRPInstance>(
      kube,
      VRRP_INSTANCES,
      { namespace, fieldSelector: `spec.nodeName=${nodeName}` },
      {
        signal,
        now: clock.now,
        setTimer: clock.setTimer,
        random,
        log,
        onChange(key) {
          pairs.ownChanged(store, key);
          peers.follow();
        },
      },
    );
    void store.synced.then(() => pairs.ownListed(store, namespace));
    peers.follow();
    return { namespace, store, peers };
  });
  contact.watch(watches.map(({ store }) => store));

  const ping = async (deadlineMs?: number): Promise<Pong> => {
    const pong = await worker.ping(deadlineMs);
    seen.pongAtMs = clock.now();
    return pong;
  };
  const isAlive = aliveWhileAnswering({
    ping,
    onPong: ({ lastAdvertAtMs }) => pairs.lastAdverts(lastAdvertAtMs),
    onDead: failed.resolve,
  });
  void renewLease({
    client,
    key: `${leaseNamespace}/${agentLeaseName(nodeName)}`,
    holderIdentity: holderIdentity ?? nodeName,
    ...(holderIdentity !== undefined && {
      sole: {
        client,
        ...(holderWatch && { watch: holderWatch }),
        // What this one would say now, its resignation too, the other would have to unsay.
        onRival: (rival) => {
          void pairs.close();
          void worker.stop().then(() => failed.resolve(new RivalError(nodeName, rival)));
        },
      },
    }),
    fieldManager: FIELD_MANAGER,
    signal,
    isAlive,
    clock,
    random,
    onRenewed: () => {
      seen.leaseAtMs = clock.now();
    },
    onError: (error, retryInMs) => log.warn({ err: messageOf(error), retryInMs }, 'Lease not renewed'),
  });
  void everySecond(clock, signal, () => {
    pairs.tick();
    log.tick();
  });

  const look = (): AgentLook => {
    const nowMs = clock.now();
    const ageOf = (atMs: number | null): number | null => (atMs === null ? null : nowMs - atMs);
    return {
      nodeName,
      pairs: pairs.look(),
      checks: checks.snapshot(),
      api: contact.look(),
      watches: watches.flatMap(({ namespace, store, peers }) => [
        lookAt(store, namespace, 'own', nowMs),
        ...peers.stores().map((each) => lookAt(each, namespace, 'pairs', nowMs)),
      ]),
      leaseAgeMs: ageOf(seen.leaseAtMs),
      imdsAgeMs: ageOf(seen.imdsAtMs),
      pongAgeMs: nowMs - seen.pongAtMs,
      withheldLines: log.withheld(),
    };
  };

  const stop = async (): Promise<void> => {
    log.info({ reason: 'AgentStopping' }, 'agent stopping');
    const deadlineMs = clock.now() + config.stopTimeoutSeconds * 1000;
    checks.close();
    await worker.stop();
    pairs.stopped();
    await until(clock, () => pairs.isDrained, deadlineMs);
    pairs.abandonAddresses();
    await until(clock, () => pairs.isDrained && pairs.isReported, clock.now() + LAST_REPORT_MS);
    ending.abort();
    imds.close();
    await Promise.race([pairs.close(), sleep(clock, LAST_REPORT_MS)]);
    await kube.close();
    log.info({ reason: 'AgentStopping' }, 'agent stopped');
  };
  const view = async (): Promise<AgentView> => {
    const pong = await ping(VIEW_PING_MS).catch(() => null);
    const lastMs = contact.lastMs();
    return {
      api: {
        answers: contact.answers(),
        error: contact.lastError()?.message ?? null,
        lastContactMilliseconds: lastMs === null ? null : Math.round(clock.now() - lastMs),
      },
      realtime: pong?.realtime ?? null,
      pairs: pairs.view(),
    };
  };
  const handOver = async (): Promise<AgentHandover> => {
    await until(clock, () => pairs.isReported, clock.now() + LAST_WORDS_MS);
    return takeInGoodMoment({
      clock,
      commands: () => commands,
      async take() {
        const { lastAdvertAtMs } = await ping();
        return { ...pairs.handOver(lastAdvertAtMs), lastContactMs: contact.lastMs() };
      },
    });
  };
  return {
    stop,
    failed: failed.promise,
    view,
    claimByHand: (name) => pairs.claimByHand(name),
    handOver,
    look,
    askWorker: () => ping(SCRAPE_PING_MS),
  };
};

const lookAt = (
  store: Store<VRRPInstance>,
  namespace: string,
  of: WatchLook['of'],
  nowMs: number,
): WatchLook => {
  const { relists, reconnects, lastContactMs } = store.stats();
  const ageMs = Number.isFinite(lastContactMs) ? nowMs - lastContactMs : null;
  return { namespace, of, ageMs, relists, reconnects, isRetrying: store.error() !== undefined };
};

/** A person waits for the answer. */
const VIEW_PING_MS = 1_000;

const everySecond = async (clock: Clock, signal: AbortSignal, action: () => void): Promise<void> => {
  while (!signal.aborted) {
    action();
    await sleep(clock, TICK_MS, signal);
  }
};

const until = async (clock: Clock, condition: () => boolean, deadlineMs: number): Promise<void> => {
  while (!condition() && clock.now() < deadlineMs) await sleep(clock, STOP_POLL_MS);
};

/** Watches every instance of this node's pairs in a namespace, the peers' too; anew whenever the set of pairs changes. */
const watchPeers = (
  { kube, clock, random }: Surroundings,
  namespace: string,
  pairs: Pairs,
  signal: AbortSignal,
  log: Log,
) => {
  let selector = '';
  let running: AbortController | undefined;
  let stores: Store<VRRPInstance>[] = [];
  return {
    /** The one that runs, if there are pairs. */
    stores: (): readonly Store<VRRPInstance>[] => stores,
    follow(): void {
      const names = pairs.keys().filter((key) => key.startsWith(`${namespace}/`));
      const wanted = names
        .map((key) => key.slice(namespace.length + 1))
        .sort()
        .join(',');
      if (wanted === selector) return;
      selector = wanted;
      running?.abort();
      stores = [];
      if (wanted === '') return;
      running = new AbortController();
      const store: Store<VRRPInstance> = watch<VRRPInstance>(
        kube,
        VRRP_INSTANCES,
        { namespace, labelSelector: `${PAIR_LABEL} in (${wanted})` },
        {
          signal: AbortSignal.any([signal, running.signal]),
          now: clock.now,
          setTimer: clock.setTimer,
          random,
          log,
          onChange: (key) => pairs.peerChanged(store, key),
        },
      );
      stores = [store];
    },
  };
};
