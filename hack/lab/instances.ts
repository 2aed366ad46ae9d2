/**
 * EC2 instances: a network namespace each, and while one runs, a PID and a mount namespace of its own whose first process
 * holds it up. SIGKILL to that process is a crash: the kernel ends everything on the instance at once.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { enterNetwork, instanceLinkDown, instanceLinkUp } from './network.ts';
import { type Processes, parentOf, processesIn, processIDs, signalProcess } from './processes.ts';
import type { InstanceState, ServiceSpec } from './rpc.ts';
import type { LabVPC } from './types.ts';

/** Holds the instance up, and reaps what its processes leave behind (dash's `wait` collects any child). */
const INSTANCE_INIT = 'mount -t proc proc /proc || exit 1; echo up; sleep infinity & wait';

const BOOT_MS = 60_000;
const WAKE_MS = 50;

/** Its first process, as the world numbers it, and the end of that. */
type Booted = { init: number; gone: Promise<void> };

type Instance = {
  name: string;
  booted: Booted | null;
  isPaused: boolean;
  services: Map<string, ServiceSpec>;
  /** Handles of services that were started since the last boot. */
  handles: Map<string, number>;
  pids: Map<string, number>;
};

/** Every instance of the VPC. All are off at first, with the link down. */
export class Instances {
  readonly #vpc: LabVPC;
  readonly #dir: string;
  readonly #processes: () => Processes;
  readonly #all: ReadonlyMap<string, Instance>;

  /**
   * @param dir `dir/<name>` is each one's disk and survives a crash
   * @param processes the world's, which in turn enter instances by `enter`
   */
  constructor(vpc: LabVPC, dir: string, processes: () => Processes) {
    this.#vpc = vpc;
    this.#dir = dir;
    this.#processes = processes;
    this.#all = new Map(vpc.instances.map(({ name }) => [name, instanceOf(name)]));
    for (const name of this.#all.keys()) mkdirSync(join(dir, name), { recursive: true, mode: 0o700 });
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }

  /** Link up with the primary address alone, a default route, its services. */
  async boot(name: string): Promise<void> {
    const instance = this.#find(name);
    if (instance.booted !== null) throw new Error(`${name} runs already.`);
    await instanceLinkUp(this.#vpc, name);
    instance.booted = await startInit(name);
    instance.isPaused = false;
    instance.handles.clear();
    for (const service of instance.services.keys()) await this.startService(name, service);
  }

  /** The link goes down with the processes: a dead instance answers nothing, not even ping. */
  async crash(name: string): Promise<void> {
    const instance = this.#find(name);
    const { init, gone } = bootedOf(instance);
    instance.booted = null;
    const namespace = await readlink(`/proc/${init}/ns/pid`);
    signalProcess(init, 'SIGKILL');
    const waking = setInterval(() => void wakeEntrances(namespace), WAKE_MS);
    try {
      await Promise.all([gone, instanceLinkDown(this.#vpc, name)]);
    } finally {
      clearInterval(waking);
    }
  }

  /** SIGTERM to its services and at most `graceMs` of patience, then off. */
  async shutdown(name: string, graceMs: number): Promise<void> {
    const instance = this.#find(name);
    await this.resume(name);
    const handles = [...instance.handles.values()];
    await Promise.all(handles.map((handle) => this.#processes().kill(handle, 'SIGTERM')));
    await Promise.all(handles.map((handle) => this.#processes().ended(handle, graceMs)));
    await this.crash(name);
  }

  async pause(name: string): Promise<void> {
    await signalAll(bootedOf(this.#find(name)), 'SIGSTOP');
    this.#find(name).isPaused = true;
  }

  async resume(name: string): Promise<void> {
    const namespace = await signalAll(bootedOf(this.#find(name)), 'SIGCONT');
    await wakeEntrances(namespace);
    this.#find(name).isPaused = false;
  }

  /** Adds or replaces a service that starts at every boot from the next one on. */
  setService(name: string, service: ServiceSpec): void {
    this.#find(name).services.set(service.name, service);
  }

  /** @throws Error when it runs already, or the instance has none of that name */
  async startService(name: string, service: string): Promise<{ handle: number; pid: number }> {
    const instance = this.#find(name);
    const spec = instance.services.get(service);
    if (spec === undefined) throw new Error(`${name} has no service ${service}.`);
    const handle = instance.handles.get(service);
    if (handle !== undefined && this.#processes().isRunning(handle))
      throw new Error(`${service} runs on ${name} already.`);
    const started = await this.#processes().start({
      ...spec,
      where: name,
      cwd: spec.cwd ?? join(this.#dir, name),
      logFile: join(this.#dir, `${name}-${service}.log`),
    });
    instance.handles.set(service, started.handle);
    instance.pids.set(service, started.pid);
    return started;
  }

  async killService(name: string, service: string, signal: string): Promise<void> {
    const handle = this.#find(name).handles.get(service);
    if (handle === undefined) throw new Error(`${service} was not started on ${name} since its last boot.`);
    await this.#processes().kill(handle, signal);
  }

  state(name: string): InstanceState {
    const { booted, isPaused, services, handles, pids } = this.#find(name);
    return {
      running: booted !== null,
      paused: isPaused,
      init: booted?.init ?? null,
      services: [...services.keys()].map((service) => {
        const handle = handles.get(service);
        const isUp = handle !== undefined && this.#processes().isRunning(handle);
        return { name: service, handle: handle ?? null, pid: isUp ? (pids.get(service) ?? null) : null };
      }),
    };
  }

  /** The command that runs `argv` on an instance. @throws Error when it is off */
  enter(name: string, argv: readonly string[]): string[] {
    const { init } = bootedOf(this.#find(name));
    return ['nsenter', '--target', String(init), '--net', '--pid', '--mount', '--', ...argv];
  }

  #find(name: string): Instance {
    const instance = this.#all.get(name);
    if (instance === undefined)
      throw new Error(`There is no instance ${name}; there are ${[...this.#all.keys()].join(', ')}.`);
    return instance;
  }
}

const instanceOf = (name: string): Instance => ({
  name,
  booted: null,
  isPaused: false,
  services: new Map(),
  handles: new Map(),
  pids: new Map(),
});

/** @throws Error when the instance is off */
const bootedOf = ({ name, booted }: Instance): Booted => {
  if (booted === null) throw new Error(`${name} does not run.`);
  return booted;
};

/**
 * Signals every process on an instance, and repeats until nobody new is found: one may fork while others are being stopped.
 * @returns the instance's PID namespace
 */
const signalAll = async ({ init }: Booted, signal: string): Promise<string> => {
  const namespace = await readlink(`/proc/${init}/ns/pid`);
  const signalled = new Set<number>();
  for (let isNew = true; isNew; ) {
    isNew = false;
    for (const pid of await processesIn('pid', namespace)) {
      if (signalled.has(pid)) continue;
      signalProcess(pid, signal);
      signalled.add(pid);
      isNew = true;
    }
  }
  return namespace;
};

/**
 * nsenter waits outside for the program it brought in, and stops itself when that is stopped. It must run to collect the
 * program's end: until then the instance is not gone.
 */
const wakeEntrances = async (namespace: string): Promise<void> => {
  for (const pid of await processIDs()) {
    if (!(await isIn(pid, namespace))) continue;
    const parent = await parentOf(pid);
    if (parent !== undefined && parent > 0 && !(await isIn(parent, namespace)))
      signalProcess(parent, 'SIGCONT');
  }
};

/** Also for a process that has ended and waits to be collected: its other links are gone, this one is not. */
const isIn = async (pid: number, namespace: string): Promise<boolean> =>
  (await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) === namespace;

/** Starts the first process of an instance and waits until its namespaces stand. */
const startInit = async (name: string): Promise<Booted> => {
  const unshareArgs = ['unshare', '--pid', '--mount', '--fork', '--kill-child', 'sh', '-c', INSTANCE_INIT];
  const [file = '', ...args] = enterNetwork(name, unshareArgs);
  const unshare = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise<void>((resolve) => unshare.once('exit', () => resolve()));
  const up = new Promise<void>((resolve, reject) => {
    unshare.stdout.once('data', () => resolve());
    unshare.once('error', reject);
    void gone.then(() => reject(new Error(`${name} did not boot: its first process ended.`)));
  });
  await Promise.race([
    up,
    sleep(BOOT_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${name} did not boot within ${BOOT_MS} ms.`);
    }),
  ]);
  for (const pid of await processIDs()) {
    if ((await parentOf(pid)) === unshare.pid) return { init: pid, gone };
  }
  throw new Error(`${name} booted, but its first process is gone.`);
};
