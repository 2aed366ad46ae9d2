/** The agent of one node: starts everything, connects it, and stops it in the right order. */
import { agentLeaseName, PAIR_LABEL, type VRRPInstance } from '../crds/types.ts';
import { connect, isKubeError, KubeError, type KubeErrorKind, type WatchSource } from '../kube/client.ts';
import { type Clock, sleep, systemClock } from '../kube/clock.ts';
import { renewLease } from '../kube/lease.ts';
import type { Log } from '../kube/log.ts';
import type { KubeClient, Store } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';
import { Checks } from './checks/checks.ts';
import { createProbe } from './checks/probe.ts';
import type { Probe } from './checks/types.ts';
import type { AgentConfig } from './config.ts';
import { createIMDSClient, type IMDSClient, pollIMDS } from './imds.ts';
import { type InterfacesOptions, watchInterfaces } from './interface.ts';
import { FIELD_MANAGER, VRRP_INSTANCES, withContact } from './kube.ts';
import type { PairAddresses, PairDisk, PairRecord } from './pair-types.ts';
import { Pairs } from './pairs.ts';
import { aliveWhileAnswering } from './sign-of-life.ts';
import { loadRecords, openDisk } from './state.ts';
import { startVRRPWorker, type VRRPWorker, type VRRPWorkerOptions } from './worker-client.ts';

const TICK_MS = 1_000;
/** How long a stopping agent tries to report. */
const LAST_REPORT_MS = 3_000;
const STOP_POLL_MS = 20;

export type Agent = {
  /** Resigns, waits until EC2 has moved the addresses or the time is over, takes them off, reports. */
  stop(): Promise<void>;
  /** Resolves with what makes the agent useless; its process must end. */
  failed: Promise<Error>;
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
  return runAgent(config, agentVersion, log, {
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
};

/** Connects an agent to its surroundings. */
export const runAgent = (
  config: AgentConfig,
  agentVersion: string,
  log: Log,
  surroundings: Surroundings,
): Agent => {
  const { nodeName, leaseNamespace } = config;
  const { kube, records, clock, random, imds } = surroundings;
  const ending = new AbortController();
  const { signal } = ending;
  const failed = Promise.withResolvers<Error>();

  const contact = trackContact(clock, log, () => pairs.apiBack());
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
    onReading: (reading) => pairs.imds(reading),
    isUrgent: () => pairs.isUrgent(),
  });

  const stores = config.namespaces.map((namespace) => {
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
    return store;
  });
  contact.watch(stores);

  const isAlive = aliveWhileAnswering({
    ping: () => worker.ping(),
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
    onError: (error, retryInMs) =>
      log.warn(
        { err: error instanceof Error ? error.message : String(error), retryInMs },
        'Lease not renewed',
      ),
  });
  void everySecond(clock, signal, () => pairs.tick());

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
  return { stop, failed: failed.promise };
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

/** Why the API server does not serve this agent. */
export type ContactError = {
  /** `Unauthorized` and `Forbidden`: the credential or its permissions are at fault; all others: the way, or the server. */
  kind: KubeErrorKind;
  /** What was attempted and what was said; never holds a credential. */
  message: string;
  /** Monotonic time since when no call was served. */
  sinceMs: number;
};

const awayMessage = (error: ContactError | null): string =>
  error?.kind === 'Unauthorized'
    ? 'API server does not accept our credential; going on from disk'
    : 'API server away; going on from disk';

/** When the API server last answered, and the moment it does so again after a failure. */
export const trackContact = (clock: Clock, log: Log, onBack: () => void) => {
  let lastCallMs: number | null = null;
  let lastError: ContactError | null = null;
  let away = false;
  let stores: Pick<Store<VRRPInstance>, 'lastContactMs'>[] = [];
  return {
    called(answered: boolean, error?: unknown): void {
      const refused = isKubeError(error, 'Forbidden');
      if (answered && !refused) lastError = null;
      else {
        const message = error instanceof Error ? error.message : String(error);
        const kind = error instanceof KubeError ? error.kind : 'Unreachable';
        lastError = { kind, message, sinceMs: lastError?.sinceMs ?? clock.now() };
      }
      // Whoever may not do one thing may do another: neither a sign that the API server is away, nor one that it serves us.
      if (refused) return;
      if (answered) lastCallMs = clock.now();
      if (answered !== away) return;
      away = !answered;
      if (away) log.warn({ err: lastError?.message }, awayMessage(lastError));
      else log.info({}, 'API server back');
      if (!away) onBack();
    },
    /** Why the newest call was not served; null: it was, or there was none yet. */
    lastError: (): ContactError | null => lastError,
    watch(watched: Pick<Store<VRRPInstance>, 'lastContactMs'>[]): void {
      stores = watched;
    },
    lastMs(): number | null {
      const newest = Math.max(
        lastCallMs ?? Number.NEGATIVE_INFINITY,
        ...stores.map((store) => store.lastContactMs()),
      );
      return Number.isFinite(newest) ? newest : null;
    },
  };
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
  return {
    follow(): void {
      const names = pairs.keys().filter((key) => key.startsWith(`${namespace}/`));
      const wanted = names
        .map((key) => key.slice(namespace.length + 1))
        .sort()
        .join(',');
      if (wanted === selector) return;
      selector = wanted;
      running?.abort();
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
    },
  };
};
