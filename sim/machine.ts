/** An EC2 instance: its interface, disk and metadata service, and the agent's process on it, which is the product's. */
import { type Agent, runAgent } from '../agent/agent.ts';
import type { IMDSReading, InterfaceReading, PairDisk, PairRecord } from '../agent/ports.ts';
import type { Outcome } from '../agent/rules/verdict.ts';
import { ipv4Datagram } from '../agent/vrrp/datagrams.ts';
import type { FromWorker, ToWorker, WorkerConfig } from '../agent/worker/messages.ts';
import type { VRRPSocket } from '../agent/worker/socket.ts';
import type { RouterLink } from '../agent/worker/virtual-routers.ts';
import type { Reason } from '../crds/conditions.ts';
import type { PairNode, VRRPState } from '../crds/types.ts';
import type { WatchSource } from '../kube/client.ts';
import type { KubeClient } from '../kube/types.ts';
import { APIPath } from './api-client.ts';
import type { SimulatedEC2 } from './cloud.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import { never, Process, type Timeline } from './time.ts';
import { VRRPThread } from './vrrp-thread.ts';

/** What a machine is part of. */
type MachineWorld = {
  timeline: Timeline;
  network: Network;
  ec2: SimulatedEC2;
  random: Random;
  connect(process: Process, path: APIPath): KubeClient & WatchSource;
  tell(who: string, message: string, fields: object): void;
};

/** What the VRRP thread says of one pair, as seen from outside. */
export type Election = {
  state: VRRPState;
  reason: Reason;
  sinceMs: number;
  config: WorkerConfig;
};

const INTERFACE = 'eth0';
const NAMESPACE = 'prod';
const IP_MS = 3;
const SAVE_MS = 4;
const NOTE_MS = 1;
const FLUSH_MS = 20;
const IMDS_MS = 3;
const REREAD_MS = 1_000;
const CHECK_MS = 5;
/** A failed agent is started anew by its service manager. */
const RESTART_MS = 2_000;

type Files = Map<string, PairRecord>;
type LinkSocket = { source: string; waiting: Uint8Array[]; link: RouterLink };

export class Machine {
  readonly node: PairNode;
  readonly path = new APIPath();
  readonly elections = new Map<string, Election>();
  /** Every order to resign that the VRRP thread was given. */
  readonly yields: { atMs: number; pair: string }[] = [];
  /** When the agent, its machine or its surroundings were last not in order. */
  disturbedAtMs = 0;
  isUp = true;
  hasCarrier = true;
  /** Addresses on the interface. */
  addresses: string[];
  isDiskWritable = true;
  isIMDSReadable = true;
  /** False: what is put on the interface is lost, and `ip` says nothing. */
  keepsAddresses = true;
  /** What every health check finds. */
  isHealthy = true;
  main: Process | undefined;
  thread: Process | undefined;
  agent: Agent | undefined;
  /** How often the agent has ended by itself. */
  failures = 0;
  readonly #world: MachineWorld;
  readonly #bootMs: number;
  #files: Files = new Map();
  #flushed: Files = new Map();
  #sockets: LinkSocket[] = [];
  #worker: VRRPThread | undefined;
  #reread: (() => void) | undefined;
  /** The agent was asked to end, and has not yet. */
  #isEnding = false;

  constructor(node: PairNode, world: MachineWorld) {
    this.node = node;
    this.#world = world;
    this.#bootMs = world.random.between(10_000, 100_000);
    this.addresses = [node.address];
    world.network.attach(node.address, ({ to, bytes }) => {
      if (!this.isUp || !this.hasCarrier) return;
      if (!this.addresses.includes(to)) return;
      for (const { source, waiting } of this.#sockets) if (source === to) waiting.push(bytes);
      this.#worker?.wake();
    });
  }

  get name(): string {
    return this.node.name;
  }

  /** The VRRP state of the only pair; `Init`: none runs. */
  get state(): VRRPState {
    if (!this.runs) return 'Init';
    return this.elections.values().next().value?.state ?? 'Init';
  }

  get isMaster(): boolean {
    return this.state === 'Master';
  }

  /** Both threads of the agent run, on a machine that is up. */
  get runs(): boolean {
    return this.isUp && this.main?.isRunning === true && this.thread?.isRunning === true;
  }

  /** The agent, stopped or ending, is not dead: what it began may still come, and no other is started beside it. */
  get lives(): boolean {
    return this.isUp && this.main?.isDead === false;
  }

  /** Everything that the election and the interface need is in order. */
  get isSound(): boolean {
    return this.runs && this.hasCarrier && this.isDiskWritable && this.isIMDSReadable && this.isHealthy;
  }

  has(address: string): boolean {
    return this.isUp && this.addresses.includes(address);
  }

  /** SIGTERM to the agent; its process ends once it has said its last words. */
  end(): void {
    const { main, agent } = this;
    if (main?.isRunning !== true || agent === undefined) return;
    this.#isEnding = true;
    void agent.stop().then(() => {
      if (this.main === main) this.kill();
    });
  }

  /** As a service manager: an agent that still ends is waited for no longer. */
  restart(): void {
    if (!this.isUp) this.boot();
    else {
      if (this.#isEnding) this.kill();
      if (!this.lives) this.start();
    }
  }

  /** Starts the agent's process from what is on disk. */
  start(): void {
    const { timeline, connect, random, tell } = this.#world;
    if (!this.isUp || this.lives) throw new Error(`the agent of ${this.name} cannot be started`);
    const main = new Process(timeline, this.name, this.#bootMs);
    const thread = new Process(timeline, `${this.name} vrrp`, this.#bootMs);
    this.main = main;
    this.thread = thread;
    this.#isEnding = false;
    this.elections.clear();
    this.#sockets = [];
    const line = (fields: object, message: string): void => tell(this.name, message, fields);
    const config = {
      nodeName: this.name,
      namespaces: [NAMESPACE],
      stateDir: '/var/lib/hapair',
      leaseNamespace: 'hapair-system',
      stopTimeoutSeconds: 20,
      checks: { hosts: [], body: false },
      metrics: { bindAddress: '127.0.0.1', port: 0 },
      commands: {},
      limits: { pairs: 256, minimumAdvertisementIntervalMilliseconds: 10 },
      file: '/etc/hapair/agent.yaml',
    };
    const agent = runAgent(
      config,
      '0.1.0',
      { info: line, warn: line, error: line },
      {
        kube: connect(main, this.path),
        records: structuredClone([...this.#files.values()]),
        openDisk: (record) => this.#openDisk(main, record),
        startWorker: (options) => {
          this.#worker = new VRRPThread(timeline, main, thread, this, options);
          return this.#worker.handle;
        },
        watchInterfaces: ({ onReading }) => this.#watchInterfaces(main, onReading),
        imds: { read: () => this.#readIMDS(main), close: () => undefined },
        checkRunner: () => this.#runCheck(main),
        clock: main.clock,
        random: random.next,
      },
    );
    this.agent = agent;
    void agent.failed.then((error) => {
      // As agent/cli/serve.ts: who has been asked to end does so in its own time.
      if (this.main !== main || this.#isEnding) return;
      tell(this.name, 'agent ends', { error: error.message });
      this.failures += 1;
      this.kill();
      timeline.after(RESTART_MS, () => this.isUp && !this.lives && this.start());
    });
  }

  /** SIGKILL to the agent; the interface stays as it is. */
  kill(): void {
    this.main?.kill();
    this.thread?.kill();
    this.#isEnding = false;
    this.#sockets = [];
    this.disturbedAtMs = this.#world.timeline.nowMs;
  }

  /** The whole instance stops at once: addresses on the interface go, and what no flush has put on the disk. */
  crash(): void {
    this.kill();
    this.isUp = false;
    this.addresses = [];
    this.#files = new Map(this.#flushed);
  }

  /** The instance boots; its agent is started. */
  boot(): void {
    this.isUp = true;
    this.addresses = [this.node.address];
    this.start();
  }

  /** SIGSTOP to the agent. */
  stop(): void {
    this.main?.stop();
    this.thread?.stop();
  }

  /** SIGCONT. */
  resume(): void {
    this.thread?.resume();
    this.main?.resume();
    this.disturbedAtMs = this.#world.timeline.nowMs;
  }

  /** The disk is lost. */
  loseDisk(): void {
    this.#files.clear();
    this.#flushed.clear();
  }

  /** What is on the disk now. */
  copyDisk(): Files {
    return structuredClone(this.#files);
  }

  /** The disk is as it was when it was copied. */
  restoreDisk(files: Files): void {
    this.#files = structuredClone(files);
    this.#flushed = structuredClone(files);
  }

  /** Something other than the agent changes the interface. */
  setAddresses(addresses: readonly string[]): void {
    this.addresses = [...addresses];
    this.#reread?.();
  }

  /** The VRRP thread speaks. */
  hear(message: FromWorker): void {
    if (message.type !== 'state') return;
    const before = this.elections.get(message.pair);
    if (!before) return;
    const { state, reason } = message;
    this.elections.set(message.pair, { ...before, state, reason, sinceMs: this.#world.timeline.nowMs });
  }

  /** The VRRP thread is spoken to. */
  order(message: ToWorker): void {
    const sinceMs = this.#world.timeline.nowMs;
    if (message.type === 'set') {
      const before = this.elections.get(message.pair) ?? {
        state: 'Init' as const,
        reason: 'AgentStarted' as const,
        sinceMs,
      };
      this.elections.set(message.pair, { ...before, config: message.config });
    } else if (message.type === 'remove') this.elections.delete(message.pair);
    else if (message.type === 'resign' && message.reason === 'YieldOrdered')
      this.yields.push({ atMs: sinceMs, pair: message.pair });
  }

  /** As agent/worker/link.ts: up with a socket while the interface carries the address. */
  openLink(source: string, interfaceName: string): RouterLink {
    const machine = this;
    const missing = () =>
      machine.isUp && machine.hasCarrier && interfaceName === INTERFACE && machine.addresses.includes(source)
        ? null
        : { reason: 'SourceAddressMissing' as const, error: `${interfaceName} does not carry ${source}` };
    let fault = missing();
    const waiting: Uint8Array[] = [];
    const link: RouterLink = {
      get socket(): VRRPSocket | null {
        if (fault !== null) return null;
        return {
          fd: 0,
          send(destination, message) {
            const lost = missing();
            if (lost !== null) return { ok: false, linkLost: true, error: lost.error };
            const bytes = ipv4Datagram(message, { source, destination });
            machine.#world.network.send({ from: source, to: destination, bytes });
            return { ok: true };
          },
          receive: () => waiting.shift() ?? null,
          admit: () => undefined,
          receiveStranger: () => null,
          warmRoute: () => true,
          waitedMs: () => 0,
          close: () => undefined,
        };
      },
      get fault() {
        return fault;
      },
      check() {
        const before = fault?.error;
        fault = missing();
        return fault?.error !== before;
      },
      admit: () => undefined,
      lose(error) {
        fault = { reason: 'SourceAddressMissing', error };
      },
      close() {
        machine.#sockets = machine.#sockets.filter((socket) => socket.link !== link);
      },
    };
    this.#sockets.push({ source, waiting, link });
    return link;
  }

  #openDisk(main: Process, first: PairRecord): PairDisk {
    const name = `${first.namespace}/${first.pairName}`;
    const { timeline } = this.#world;
    const put = (afterMs: number, flushAfterMs: number, record: PairRecord | null): Promise<void> => {
      const content = structuredClone(record);
      const write = (files: Files): void => {
        if (content === null) files.delete(name);
        else files.set(name, content);
      };
      return new Promise((resolve, reject) =>
        timeline.after(afterMs, () =>
          main.deliver(() => {
            if (!this.isDiskWritable) return reject(new Error('no space left on device'));
            write(this.#files);
            timeline.after(flushAfterMs, () => this.isUp && write(this.#flushed));
            resolve();
          }),
        ),
      );
    };
    return {
      save: (record) => put(SAVE_MS, 0, record),
      note: (record) => put(NOTE_MS, FLUSH_MS, record),
      remove: () => put(NOTE_MS, 0, null),
    };
  }

  #watchInterfaces(main: Process, onReading: (reading: InterfaceReading) => void) {
    const { clock } = main;
    const read = (): void => {
      const addresses = this.addresses.map((address) => ({
        address,
        ...(address === this.node.address
          ? { prefixLength: 24, scope: 'global' }
          : { prefixLength: 32, scope: 'host' }),
      }));
      const eth0 = { name: INTERFACE, up: this.isUp && this.hasCarrier, addresses };
      onReading({ interfaces: [eth0], reserved: ['10.10.10.1'] });
    };
    const again = (): void => {
      read();
      clock.setTimer(REREAD_MS, again);
    };
    clock.setTimer(1, again);
    this.#reread = () => clock.setTimer(1, read);
    const change = (next: (addresses: readonly string[]) => string[]): Promise<void> =>
      new Promise((resolve) =>
        this.#world.timeline.after(IP_MS, () =>
          main.deliver(() => {
            this.addresses = next(this.addresses);
            resolve();
            this.#reread?.();
          }),
        ),
      );
    return {
      add: (_name: string, address: string) =>
        change((addresses) =>
          addresses.includes(address) || !this.keepsAddresses ? [...addresses] : [...addresses, address],
        ),
      remove: (_name: string, address: string) =>
        change((addresses) => addresses.filter((other) => other !== address)),
    };
  }

  /** Every check finds the same. */
  #runCheck(main: Process): Promise<Outcome> {
    if (!main.isRunning) return never();
    const failure = { result: 'failure', cause: 'HTTP 503', message: 'it answers 503' } as const;
    return new Promise((resolve) =>
      this.#world.timeline.after(CHECK_MS, () => {
        const outcome: Outcome = this.isHealthy ? { result: 'success' } : failure;
        main.deliver(() => resolve(outcome));
      }),
    );
  }

  #readIMDS(main: Process): Promise<IMDSReading> {
    if (!main.isRunning) return never();
    const { timeline, ec2 } = this.#world;
    return new Promise((resolve, reject) =>
      timeline.after(IMDS_MS, () => {
        const isReadable = this.isIMDSReadable;
        const { networkInterfaceID } = this.node;
        const addresses = ec2.addressesOf(networkInterfaceID, ec2.imdsLagMs);
        const networkInterfaces = [{ networkInterfaceID, subnetCIDR: '10.10.10.0/24', addresses }];
        main.deliver(() => {
          if (isReadable) resolve({ instanceID: `i-${networkInterfaceID.slice(4)}`, networkInterfaces });
          else reject(new Error('IMDS does not answer'));
        });
      }),
    );
  }
}
