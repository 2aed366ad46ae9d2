/** The agent of one node: starts everything, connects it, and stops it in the right order. */
import { agentLeaseName, PAIR_LABEL, type VRRPInstance } from '../crds/types.ts';
import { createCalmLog } from '../kube/calm-log.ts';
import { connect, type WatchSource } from '../kube/client.ts';
import { type Clock, sleep, systemClock } from '../kube/clock.ts';
import { renewLease } from '../kube/lease.ts';
import type { Log } from '../kube/log.ts';
import type { KubeClient, Store } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';
import { Checks } from './checks/checks.ts';
import { createProbe } from './checks/probe.ts';
import type { Probe } from './checks/types.ts';
import type { AgentConfig } from './config.ts';
import { trackContact } from './contact.ts';
import { healthChecks, readinessChecks } from './health.ts';
import { createIMDSClient, type IMDSClient, pollIMDS } from './imds.ts';
import { type InterfacesOptions, watchInterfaces } from './interface.ts';
import { FIELD_MANAGER, VRRP_INSTANCES, withContact } from './kube.ts';
import type { AgentLook, WatchLook } from './look.ts';
import { createMetrics } from './metrics.ts';
import type { PairAddresses, PairDisk, PairRecord } from './pair-types.ts';
import { Pairs } from './pairs.ts';
import { aliveWhileAnswering } from './sign-of-life.ts';
import { loadRecords, openDisk } from './state.ts';
import { openWeb } from './web.ts';
import { type Pong, startVRRPWorker, type VRRPWorker, type VRRPWorkerOptions } from './worker-client.ts';

const TICK_MS = 1_000;
/** How long a stopping agent tries to report. */
const LAST_REPORT_MS = 3_000;
const STOP_POLL_MS = 20;
/** A scrape does not wait longer for the worker. */
const SCRAPE_PING_MS = 1_000;

export type Agent = {
  /** Resigns, waits until EC2 has moved the addresses or the time is over, takes them off, reports. */
  stop(): Promise<void>;
  /** Resolves with what makes the agent useless; its process must end. */
  failed: Promise<Error>;
  /** What can be seen of it now. */
  look(): AgentLook;
  /** What the worker has counted. @throws Error when it does not answer within a second */
  askWorker(): Promise<Pong>;
};

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
};

/** Starts the agent on this machine: the election from disk at once, the API server as soon as it answers. */
export const startAgent = async (config: AgentConfig, agentVersion: string, log: Log): Promise<Agent> => {
  const { stateDir, nodeName, commands, file } = config;
  const records = loadRecords(stateDir, log);
  const kube = await connect({
    kubeconfigPath: config.kubeconfig,
    userAgent: `hapair-agent/${agentVersion}`,
    // With something to serve, a lost credential is the same case as an API server that is away.
    patient: records.some(({ spec }) => spec !== null),
  });
  const agent = runAgent(config, agentVersion, log, {
    kube,
    records,
    openDisk: (record) => openDisk(stateDir, record),
    startWorker: startVRRPWorker,
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
  const { kube, records, clock, random, imds } = surroundings;
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
  const contact = trackContact(clock, unlimitedLog, () => pairs.apiBack());
  const client = withContact(kube, contact.called);

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
    send: worker.send,
    lastContactMs: contact.lastMs,
    clock,
    random,
    log,
  });
  for (const record of records.filter(({ namespace }) => config.namespaces.includes(namespace)))
    pairs.restore(record);

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
    holderIdentity: nodeName,
    fieldManager: FIELD_MANAGER,
    signal,
    isAlive,
    clock,
    random,
    onRenewed: () => {
      seen.leaseAtMs = clock.now();
    },
    onError: (error, retryInMs) =>
      log.warn(
        { err: error instanceof Error ? error.message : String(error), retryInMs },
        'Lease not renewed',
      ),
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
  return { stop, failed: failed.promise, look, askWorker: () => ping(SCRAPE_PING_MS) };
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
