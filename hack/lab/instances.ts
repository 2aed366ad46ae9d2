/**
 * EC2 instances: a network namespace each, and while one runs, a PID and a mount namespace of its own whose first process
 * holds it up. SIGKILL to that process is a crash: the kernel ends everything on the instance at once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { enterNetwork, instanceLinkDown, instanceLinkUp } from './network.ts';
import { type Processes, parentOf, processesIn, processIDs, signalProcess } from './processes.ts';
import type { InstanceState, ServiceSpec } from './rpc.ts';
import type { LabInstance, LabVPC } from './types.ts';

/** Holds the instance up, and reaps what its processes leave behind (dash's `wait` collects any child). */
const INSTANCE_INIT = 'mount -t proc proc /proc || exit 1; echo up; sleep infinity & wait';

const BOOT_MS = 60_000;
const WAKE_MS = 50;

type Booted = { unshare: ChildProcess; init: number; gone: Promise<void> };

type Instance = {
  lab: LabInstance;
  booted: Booted | null;
  isPaused: boolean;
  services: Map<string, ServiceSpec>;
  /** Handles of services that were started since the last boot. */
  handles: Map<string, number>;
  pids: Map<string, number>;
};

export type Instances = ReturnType<typeof createInstances>;

/** All instances are off at first, with the link down. `dir/<name>` is each one's disk and survives a crash. */
export const createInstances = (vpc: LabVPC, dir: string, processes: () => Processes) => {
  const all = new Map<string, Instance>(
    vpc.instances.map((lab) => {
      mkdirSync(join(dir, lab.name), { recursive: true, mode: 0o700 });
      const none = {
        booted: null,
        isPaused: false,
        services: new Map(),
        handles: new Map(),
        pids: new Map(),
      };
      return [lab.name, { lab, ...none }];
    }),
  );

  const find = (name: string): Instance => {
    const instance = all.get(name);
    if (instance === undefined)
      throw new Error(`There is no instance ${name}; there are ${[...all.keys()].join(', ')}.`);
    return instance;
  };

  const boot = async (name: string): Promise<void> => {
    const instance = find(name);
    if (instance.booted !== null) throw new Error(`${name} runs already.`);
    await instanceLinkUp(vpc, name, instance.lab.address);
    instance.booted = await startInit(name);
    instance.isPaused = false;
    instance.handles.clear();
    for (const service of instance.services.keys()) await startService(name, service);
  };

  const startService = async (name: string, service: string): Promise<{ handle: number; pid: number }> => {
    const instance = find(name);
    const spec = instance.services.get(service);
    if (spec === undefined) throw new Error(`${name} has no service ${service}.`);
    const handle = instance.handles.get(service);
    if (handle !== undefined && processes().isRunning(handle))
      throw new Error(`${service} runs on ${name} already.`);
    const started = await processes().start({
      ...spec,
      where: name,
      cwd: spec.cwd ?? join(dir, name),
      logFile: join(dir, `${name}-${service}.log`),
    });
    instance.handles.set(service, started.handle);
    instance.pids.set(service, started.pid);
    return started;
  };

  const killService = async (name: string, service: string, signal: string): Promise<void> => {
    const handle = find(name).handles.get(service);
    if (handle === undefined) throw new Error(`${service} was not started on ${name} since its last boot.`);
    await processes().kill(handle, signal);
  };

  /** The link goes down with the processes: a dead instance answers nothing, not even ping. */
  const crash = async (name: string): Promise<void> => {
    const instance = find(name);
    const { booted } = instance;
    if (booted === null) throw new Error(`${name} does not run.`);
    instance.booted = null;
    const namespace = await readlink(`/proc/${booted.init}/ns/pid`);
    signalProcess(booted.init, 'SIGKILL');
    const waking = setInterval(() => void wakeEntrances(namespace), WAKE_MS);
    await Promise.all([booted.gone, instanceLinkDown(name)]);
    clearInterval(waking);
  };

  const shutdown = async (name: string, graceMs: number): Promise<void> => {
    const instance = find(name);
    await resume(name);
    const handles = [...instance.handles.values()];
    await Promise.all(handles.map((handle) => processes().kill(handle, 'SIGTERM')));
    await Promise.all(handles.map((handle) => processes().ended(handle, graceMs)));
    await crash(name);
  };

  /** Repeats until nobody new is found: a process may fork while others are being stopped. */
  const signalAll = async (name: string, signal: string): Promise<string> => {
    const { booted } = find(name);
    if (booted === null) throw new Error(`${name} does not run.`);
    const namespace = await readlink(`/proc/${booted.init}/ns/pid`);
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

  const pause = async (name: string): Promise<void> => {
    await signalAll(name, 'SIGSTOP');
    find(name).isPaused = true;
  };

  const resume = async (name: string): Promise<void> => {
    const namespace = await signalAll(name, 'SIGCONT');
    await wakeEntrances(namespace);
    find(name).isPaused = false;
  };

  const state = (name: string): InstanceState => {
    const instance = find(name);
    return {
      running: instance.booted !== null,
      paused: instance.isPaused,
      init: instance.booted?.init ?? null,
      services: [...instance.services.keys()].map((service) => {
        const handle = instance.handles.get(service);
        const isUp = handle !== undefined && processes().isRunning(handle);
        return {
          name: service,
          handle: handle ?? null,
          pid: isUp ? (instance.pids.get(service) ?? null) : null,
        };
      }),
    };
  };

  /** The command that runs `argv` on an instance. */
  const enter = (name: string, argv: readonly string[]): string[] => {
    const { booted } = find(name);
    if (booted === null) throw new Error(`${name} does not run.`);
    return ['nsenter', '--target', String(booted.init), '--net', '--pid', '--mount', '--', ...argv];
  };

  const setService = (name: string, service: ServiceSpec): void => {
    find(name).services.set(service.name, service);
  };

  const has = (name: string): boolean => all.has(name);

  return { has, boot, crash, shutdown, pause, resume, state, enter, setService, startService, killService };
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
    if ((await parentOf(pid)) === unshare.pid) return { unshare, init: pid, gone };
  }
  throw new Error(`${name} booted, but its first process is gone.`);
};
