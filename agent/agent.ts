/** The agent of one node: starts everything, connects it, and stops it in the right order. */
import { agentLeaseName, PAIR_LABEL, type VRRPInstance } from '../crds/types.ts';
import { connect, isKubeError, KubeError, type KubeErrorKind, type WatchSource } from '../kube/client.ts';
import { type Clock, sleep, systemClock } from '../kube/clock.ts';
import { findRival, renewLease } from '../kube/lease.ts';
import type { Log } from '../kube/log.ts';
import type { KubeClient, Store } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';
import { Checks } from './checks/checks.ts';
import { createProbe } from './checks/probe.ts';
import type { Probe } from './checks/types.ts';
import type { AgentConfig } from './config.ts';
import type { StartWorker } from './early-worker.ts';
import { type AgentHandover, isTimely } from './handover.ts';
import { createIMDSClient, type IMDSClient, pollIMDS } from './imds.ts';
import { type InterfacesOptions, watchInterfaces } from './interface.ts';
import { FIELD_MANAGER, VRRP_INSTANCES, withContact } from './kube.ts';
import type { PairAddresses, PairDisk, PairRecord } from './pair-types.ts';
import type { PairView } from './pair-view.ts';
import { Pairs } from './pairs.ts';
import { aliveWhileAnswering } from './sign-of-life.ts';
import { loadRecords, openDisk } from './state.ts';
import { startVRRPWorker, type VRRPWorker, type VRRPWorkerOptions } from './worker-client.ts';

const TICK_MS = 1_000;
/** How long a stopping agent tries to report. */
const LAST_REPORT_MS = 3_000;
const STOP_POLL_MS = 20;
/** How long an agent that is to be replaced waits until its reports are taken, and then for the moment after an advert. */
const LAST_WORDS_MS = 1_000;
const MOMENT_MS = 1_000;
const MOMENT_POLL_MS = 5;

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
  // Who goes on where a predecessor was has held the Lease a moment ago.
  const rival =
    handover !== undefined
      ? null
      : await findRival({
          client: kube,
          key: `${leaseNamespace}/${agentLeaseName(nodeName)}`,
          holderIdentity,
          signal: new AbortController().signal,
          onWait: (holder) =>
            log.warn(
              { holder },
              'another agent holds this node’s Lease; waiting until it renews, or is gone',
            ),
        });
  if (rival !== null) throw new RivalError(nodeName, rival);
  return runAgent(config, agentVersion, log, {
    kube,
    holderIdentity,
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
};

/** Connects an agent to its surroundings. */
export const runAgent = (
  config: AgentConfig,
  agentVersion: string,
  log: Log,
  surroundings: Surroundings,
): Agent => {
  const { nodeName, leaseNamespace } = config;
  const { kube, records, clock, random, imds, holderIdentity, handover } = surroundings;
  const ending = new AbortController();
  const { signal } = ending;
  const failed = Promise.withResolvers<Error>();

  const contact = trackContact(clock, log, () => pairs.apiBack(), handover?.lastContactMs ?? null);
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
    holderIdentity: holderIdentity ?? nodeName,
    ...(holderIdentity !== undefined && {
      sole: {
        client,
        // What this one would say now, the other would have to unsay.
        onRival: (rival) => void worker.stop().then(() => failed.resolve(new RivalError(nodeName, rival))),
      },
    }),
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
  const view = async (): Promise<AgentView> => {
    const pong = await worker.ping(VIEW_PING_MS).catch(() => null);
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
    for (const deadlineMs = clock.now() + MOMENT_MS; ; await sleep(clock, MOMENT_POLL_MS)) {
      const { lastAdvertAtMs } = await worker.ping();
      const handover = { ...pairs.handOver(lastAdvertAtMs), lastContactMs: contact.lastMs() };
      if (isTimely(handover.pairs, clock.now()) || clock.now() >= deadlineMs) return handover;
    }
  };
  return {
    stop,
    failed: failed.promise,
    view,
    claimByHand: (name) => pairs.claimByHand(name),
    handOver,
  };
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
export const trackContact = (clock: Clock, log: Log, onBack: () => void, since: number | null = null) => {
  let lastCallMs = since;
  let hasCalled = false;
  let lastError: ContactError | null = null;
  let away = false;
  let stores: Pick<Store<VRRPInstance>, 'lastContactMs'>[] = [];
  return {
    called(answered: boolean, error?: unknown): void {
      hasCalled = true;
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
    /** What became of the last call; null: none was made yet. */
    answers: () => (hasCalled ? !away : null),
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
