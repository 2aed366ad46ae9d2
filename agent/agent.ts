/** The agent of one node: starts everything, connects it, and stops it in the right order. */
import { agentLeaseName } from '../crds/types.ts';
import type { WatchSource } from '../kube/client.ts';
import { renewLease } from '../kube/lease.ts';
import type { HolderWatch } from '../kube/lease-holder.ts';
import type { KubeClient } from '../kube/types.ts';
import { type CalmLog, createCalmLog } from '../runtime/calm-log.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { messageOf } from '../runtime/error-text.ts';
import type { Log } from '../runtime/log.ts';
import { trackContact } from './api/contact.ts';
import { type AgentClient, FIELD_MANAGER, withContact } from './api/reports.ts';
import { InstanceWatches } from './api/watches.ts';
import { Checks } from './checks/checks.ts';
import type { CheckRunner } from './checks/types.ts';
import type { AgentConfig } from './config.ts';
import type { AgentSnapshot } from './metrics/snapshot.ts';
import type { Web } from './metrics/web.ts';
import { type IMDSClient, pollIMDS } from './node/imds.ts';
import type { InterfacesOptions } from './node/interface.ts';
import type { AgentHandover } from './pair/handover.ts';
import { Pairs } from './pair/pairs.ts';
import type { PairView } from './pair/view.ts';
import type { PairAddresses, PairDisk, PairRecord } from './ports.ts';
import { takeInGoodMoment } from './reload/moment.ts';
import { aliveWhileAnswering } from './worker/sign-of-life.ts';
import type { Pong, VRRPWorker, VRRPWorkerOptions } from './worker/worker-client.ts';

const TICK_MS = 1_000;
/** How long a stopping agent tries to report. */
const LAST_REPORT_MS = 3_000;
const STOP_POLL_MS = 20;
/** How long an agent that is to be replaced waits until its reports are taken. */
const LAST_WORDS_MS = 1_000;
/** Neither a scrape nor a person waits longer for the worker. */
const LOOK_PING_MS = 1_000;

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
  checkRunner: CheckRunner;
  clock: Clock;
  /** Numbers in [0, 1). */
  random: () => number;
  /** Exclusive holder of this node's Lease. Default: the node's name, and whoever else holds the Lease is overwritten. */
  holderIdentity?: string;
  /** What was seen of the Lease before the start; default: nothing. */
  holderWatch?: HolderWatch;
  /** Of the program that this one has replaced in place; its worker runs. */
  handover?: AgentHandover | undefined;
  /** Serves metrics and health of the agent until it is closed. Default: nobody does. */
  openWeb?: (agent: Agent) => Pick<Web, 'close'>;
};

/** A running agent. */
export class Agent {
  readonly #config: AgentConfig;
  readonly #surroundings: Surroundings;
  readonly #log: CalmLog;
  readonly #ending = new AbortController();
  readonly #failed = Promise.withResolvers<Error>();
  readonly #contact: ReturnType<typeof trackContact>;
  readonly #client: AgentClient;
  readonly #worker: VRRPWorker;
  readonly #checks: Checks;
  readonly #pairs: Pairs;
  readonly #watches: readonly InstanceWatches[];
  readonly #web: Pick<Web, 'close'> | undefined;
  /** Commands that the worker was given. */
  #commands = 0;
  /** Monotonic times; null: never yet. */
  readonly #seen: { leaseAtMs: number | null; imdsAtMs: number | null; pongAtMs: number };

  /** Starts it. */
  constructor(config: AgentConfig, agentVersion: string, unlimitedLog: Log, surroundings: Surroundings) {
    const { nodeName, namespaces, leaseNamespace, limits } = config;
    const { kube, clock, random, openDisk, handover } = surroundings;
    this.#config = config;
    this.#surroundings = surroundings;
    this.#log = createCalmLog(unlimitedLog, clock.now);
    this.#seen = { leaseAtMs: null, imdsAtMs: null, pongAtMs: clock.now() };
    // Each change is said: the API server's comings and goings are no repetitions.
    const onBack = (): void => this.#pairs.apiBack();
    this.#contact = trackContact(clock, unlimitedLog, onBack, handover?.lastContactMs ?? null);
    this.#client = withContact(kube, this.#contact.called);
    const [log, { signal }] = [this.#log, this.#ending];

    this.#worker = surroundings.startWorker({
      onMessage: (message) => this.#pairs.worker(message),
      onExit: (error) => error !== null && this.#failed.resolve(error),
    });
    const addresses = surroundings.watchInterfaces({
      ...{ clock, log, signal },
      onReading: (reading) => this.#pairs.interfaces(reading),
    });
    this.#checks = new Checks({
      ...{ runner: surroundings.checkRunner, clock, log },
      onFindings: (pair, findings) => this.#pairs.health(pair, findings),
    });
    this.#pairs = new Pairs({
      ...{ nodeName, leaseNamespace, openDisk, agentVersion, client: this.#client, addresses, limits },
      ...{ checks: this.#checks, lastContactMs: this.#contact.lastMs, clock, random, log, handover },
      send: (message) => {
        this.#commands += 1;
        this.#worker.send(message);
      },
    });
    for (const record of surroundings.records)
      this.#pairs.restore(record, namespaces.includes(record.namespace));
    this.#pairs.restored();

    this.#pollIMDS();
    const listener = this.#pairs;
    this.#watches = namespaces.map(
      (namespace) => new InstanceWatches({ kube, namespace, nodeName, listener, clock, random, signal, log }),
    );
    this.#contact.watch(this.#watches.map(({ own }) => own));
    this.#renewLease();
    void this.#tick();
    void this.#failed.promise.then(() => this.#log.flush());
    this.#web = surroundings.openWeb?.(this);
  }

  /** Resolves with what makes the agent useless; its process must end. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  #pollIMDS(): void {
    const { imds: client, clock } = this.#surroundings;
    void pollIMDS({
      ...{ client, clock, log: this.#log, signal: this.#ending.signal },
      onReading: (reading) => {
        if (reading !== null) this.#seen.imdsAtMs = clock.now();
        this.#pairs.imds(reading);
      },
      isUrgent: () => this.#pairs.isUrgent(),
    });
  }

  #renewLease(): void {
    const { nodeName, leaseNamespace } = this.#config;
    const { clock, random, holderIdentity, holderWatch: watch } = this.#surroundings;
    const client = this.#client;
    void renewLease({
      ...{ client, clock, random, fieldManager: FIELD_MANAGER, signal: this.#ending.signal },
      key: `${leaseNamespace}/${agentLeaseName(nodeName)}`,
      holderIdentity: holderIdentity ?? nodeName,
      ...(holderIdentity !== undefined && {
        exclusive: { client, ...(watch && { watch }), onRival: (rival) => this.#giveWay(rival) },
      }),
      isAlive: aliveWhileAnswering({
        ping: (deadlineMs) => this.#ping(deadlineMs),
        onPong: ({ lastAdvertAtMs }) => this.#pairs.lastAdverts(lastAdvertAtMs),
        onDead: this.#failed.resolve,
      }),
      onRenewed: () => {
        this.#seen.leaseAtMs = clock.now();
      },
      onError: (error, retryInMs) =>
        this.#log.warn({ reason: 'LeaseNotRenewed', err: messageOf(error), retryInMs }, 'Lease not renewed'),
    });
  }

  /** Ends without a report: what this one would say now, its resignation too, the other would have to unsay. */
  #giveWay(rival: string): void {
    void this.#pairs.close();
    void this.#worker.stop().then(() => this.#failed.resolve(new RivalError(this.#config.nodeName, rival)));
  }

  async #tick(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      this.#pairs.tick();
      this.#log.tick();
      await sleep(this.#surroundings.clock, TICK_MS, signal);
    }
  }

  async #ping(deadlineMs?: number): Promise<Pong> {
    const pong = await this.#worker.ping(deadlineMs);
    this.#seen.pongAtMs = this.#surroundings.clock.now();
    return pong;
  }

  async #until(condition: () => boolean, deadlineMs: number): Promise<void> {
    const { clock } = this.#surroundings;
    while (!condition() && clock.now() < deadlineMs) await sleep(clock, STOP_POLL_MS);
  }

  /** What the worker has counted. @throws Error when it does not answer within a second */
  askWorker(): Promise<Pong> {
    return this.#ping(LOOK_PING_MS);
  }

  /** As `Pairs.claimByHand`. */
  claimByHand(name: string): ReturnType<Pairs['claimByHand']> {
    return this.#pairs.claimByHand(name);
  }

  /** Namespaces of the pairs that run here. */
  namespacesInUse(): readonly string[] {
    return [...new Set(this.#pairs.keys().map((key) => key.slice(0, key.indexOf('/'))))];
  }

  /** What can be seen of it now. */
  snapshot(): AgentSnapshot {
    const nowMs = this.#surroundings.clock.now();
    const { leaseAtMs, imdsAtMs, pongAtMs } = this.#seen;
    const ageOf = (atMs: number | null): number | null => (atMs === null ? null : nowMs - atMs);
    return {
      nodeName: this.#config.nodeName,
      pairs: this.#pairs.snapshot(),
      checks: this.#checks.snapshot(),
      api: this.#contact.snapshot(),
      watches: this.#watches.flatMap((watches) => watches.snapshot()),
      leaseAgeMs: ageOf(leaseAtMs),
      imdsAgeMs: ageOf(imdsAtMs),
      pongAgeMs: nowMs - pongAtMs,
      withheldLines: this.#log.withheld(),
    };
  }

  /** What `hapair-agent status` shows. */
  async view(): Promise<AgentView> {
    const pong = await this.#ping(LOOK_PING_MS).catch(() => null);
    const lastMs = this.#contact.lastMs();
    return {
      api: {
        answers: this.#contact.answers(),
        error: this.#contact.lastError()?.message ?? null,
        lastContactMilliseconds: lastMs === null ? null : Math.round(this.#surroundings.clock.now() - lastMs),
      },
      realtime: pong?.realtime ?? null,
      pairs: this.#pairs.view(),
    };
  }

  /**
   * What the program that takes this one's place must know, at a good moment: call it at once, nothing is held up meanwhile.
   * @throws Error when the worker does not answer
   */
  async handOver(): Promise<AgentHandover> {
    const { clock } = this.#surroundings;
    this.#log.flush();
    await this.#until(() => this.#pairs.isReported, clock.now() + LAST_WORDS_MS);
    return takeInGoodMoment({
      clock,
      commands: () => this.#commands,
      take: async () => {
        const { lastAdvertAtMs } = await this.#ping();
        return { ...this.#pairs.handOver(lastAdvertAtMs), lastContactMs: this.#contact.lastMs() };
      },
    });
  }

  /** Resigns, waits until EC2 has moved the addresses or the time is over, takes them off, reports. */
  async stop(): Promise<void> {
    const { clock, imds, kube } = this.#surroundings;
    this.#log.info({ reason: 'AgentStopping' }, 'agent stopping');
    const deadlineMs = clock.now() + this.#config.stopTimeoutSeconds * 1000;
    this.#checks.close();
    await this.#worker.stop();
    this.#pairs.stopped();
    await this.#until(() => this.#pairs.isDrained, deadlineMs);
    this.#pairs.abandonAddresses();
    const isDone = (): boolean => this.#pairs.isDrained && this.#pairs.isReported;
    await this.#until(isDone, clock.now() + LAST_REPORT_MS);
    this.#ending.abort();
    imds.close();
    await Promise.race([this.#pairs.close(), sleep(clock, LAST_REPORT_MS)]);
    await kube.close();
    this.#log.info({ reason: 'AgentStopped' }, 'agent stopped');
    await this.#web?.close();
    this.#log.flush();
  }
}

/** Connects an agent to its surroundings. */
export const runAgent = (...parts: ConstructorParameters<typeof Agent>): Agent => new Agent(...parts);
