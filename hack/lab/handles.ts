/** What the host holds of things inside the world: processes, instances, probing clients. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, Exit, Watch } from './channel.ts';
import { nowMs } from './clock.ts';
import type { EC2Control } from './ec2-control.ts';
import type { Sample } from './outage.ts';
import type { ExecResult, ExecSpec, InstanceState, ServiceSpec, SpawnSpec } from './rpc.ts';
import type { LabInstance } from './types.ts';

/** An agent that stops keeps an address for up to 20 s while EC2 still delivers it. */
const STOP_MS = 25_000;

/** A process of the world. */
export type LabProcess = {
  name: string;
  /** In the world's own PID namespace; for a process on an instance, of the process that waits for it. */
  pid: number;
  logFile: string;
  exited: Promise<Exit>;
  /** Sends a signal; a process that has ended is left alone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /**
   * SIGTERM, and its end.
   * @throws Error when it runs on for 25 seconds.
   */
  stop(): Promise<Exit>;
};

/** A handle for the process that init knows by this number. */
const processOf = (
  channel: Channel,
  process: { name: string; logFile: string; handle: number; pid: number },
  watch: Watch = {},
): LabProcess => {
  const exited = Promise.withResolvers<Exit>();
  channel.watch(process.handle, {
    ...watch,
    onExit: (exit) => {
      watch.onExit?.(exit);
      exited.resolve(exit);
    },
  });
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    await channel.call('kill', { handle: process.handle, signal });
  };
  return {
    name: process.name,
    pid: process.pid,
    logFile: process.logFile,
    exited: exited.promise,
    kill,
    stop: async () => {
      await kill('SIGTERM');
      return within(exited.promise, STOP_MS, `${process.name} did not end after SIGTERM`);
    },
  };
};

/** Starts a process in the world. */
export const spawnIn = async (channel: Channel, spec: SpawnSpec, watch: Watch = {}): Promise<LabProcess> => {
  const lines = watch.onLine !== undefined || spec.lines === true;
  const started = await channel.call('spawn', { ...spec, lines });
  return processOf(channel, { ...started, name: spec.name, logFile: spec.logFile }, watch);
};

/** Waits for a promise, but not for ever. */
export const within = async <T>(promise: Promise<T>, timeoutMs: number, complaint: string): Promise<T> => {
  const abort = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`${complaint} within ${timeoutMs} ms.`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
    late.catch(() => undefined); // the abort itself
  }
};

/** An EC2 instance of the lab. */
export type LabNode = {
  name: string;
  instance: LabInstance;
  /** Its disk: survives a crash. */
  dir: string;
  exec(argv: string[], options?: Omit<ExecSpec, 'where' | 'argv'>): Promise<ExecResult>;
  /** Everything on it dies at once, and its link goes down. EC2 goes on calling it running. */
  crash(): Promise<void>;
  /** Boots it: link up with the primary address alone, default route, its services. */
  start(): Promise<void>;
  /** SIGTERM to its services, at most `graceMs` (default 25,000) of patience, then off. */
  stop(graceMs?: number): Promise<void>;
  /** Freezes every process on it; its kernel goes on answering. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  state(): Promise<InstanceState>;
  /** Adds or replaces a service that starts at every boot from the next one on. */
  setService(service: ServiceSpec): Promise<void>;
  /** Starts a service now. */
  startService(name: string): Promise<LabProcess>;
  /** The running service, to watch or signal; undefined when it does not run. */
  service(name: string): Promise<LabProcess | undefined>;
  /** SIGTERM, and its end. */
  stopService(name: string): Promise<Exit>;
  /** Sends a signal to a service's process; default SIGKILL. */
  killService(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** Where a service's output goes. */
  logOf(service: string): string;
};

/** The handle of one instance. */
export const nodeOf = (
  channel: Channel,
  ec2: EC2Control,
  instance: LabInstance,
  worldDir: string,
): LabNode => {
  const { name } = instance;
  const node = name;
  const logOf = (service: string): string => join(worldDir, `${name}-${service}.log`);
  const service = async (wanted: string): Promise<LabProcess | undefined> => {
    const found = (await channel.call('instance', { node })).services.find((one) => one.name === wanted);
    if (found?.handle == null || found.pid === null) return undefined;
    const process = { name: wanted, logFile: logOf(wanted), handle: found.handle, pid: found.pid };
    return processOf(channel, process);
  };
  return {
    name,
    instance,
    dir: join(worldDir, name),
    exec: (argv, options) => channel.call('exec', { ...options, where: name, argv }),
    crash: async () => void (await channel.call('crash', { node })),
    start: async () => {
      await channel.call('boot', { node });
      await ec2.setInstanceState(name, 'running');
    },
    stop: async (graceMs = STOP_MS) => {
      await channel.call('shutdown', { node, graceMs });
      await ec2.setInstanceState(name, 'stopped');
    },
    pause: async () => void (await channel.call('pause', { node })),
    resume: async () => void (await channel.call('resume', { node })),
    state: () => channel.call('instance', { node }),
    setService: async (spec) => void (await channel.call('setService', { node, service: spec })),
    startService: async (wanted) => {
      const started = await channel.call('startService', { node, service: wanted });
      return processOf(channel, { ...started, name: wanted, logFile: logOf(wanted) });
    },
    service,
    stopService: async (wanted) => {
      const process = await service(wanted);
      if (process === undefined) throw new Error(`${wanted} does not run on ${name}.`);
      return process.stop();
    },
    killService: async (wanted, signal = 'SIGKILL') =>
      void (await channel.call('killService', { node, service: wanted, signal })),
    logOf,
  };
};

/** A client that probes an address: it sends a UDP packet (a probe) every few milliseconds, and notes who answers. */
export type ProbeClient = {
  name: string;
  target: string;
  /**
   * Every probe that is decided by now, in the order in which they were: an answered one within about 50 ms, a lost one
   * after 2.5 s.
   */
  samples(): Promise<Sample[]>;
  /** Waits for a probe, sent now or later, that `node` answers; at most `timeoutMs`. */
  answeredBy(node: string, timeoutMs: number): Promise<Sample>;
  /** Stops the client when its last probe is decided, and returns all samples. */
  stop(): Promise<Sample[]>;
};

const LOOK_MS = 50;

/** The handle of a running probe.ts that writes to `file`. */
export const probeOf = (process: LabProcess, target: string, file: string): ProbeClient => {
  const known: Sample[] = [];
  let rest = '';
  let offset = 0;
  /** Reads on from where the last reading ended; the last line may still be under way. */
  const readOn = async (): Promise<void> => {
    const handle = await open(file).catch(() => undefined);
    if (handle === undefined) return;
    try {
      const { size } = await handle.stat();
      if (size <= offset) return;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - offset), 0, size - offset, offset);
      offset += bytesRead;
      const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) known.push(JSON.parse(line) as Sample);
    } finally {
      await handle.close();
    }
  };
  let reading: Promise<void> = Promise.resolve();
  const samples = async (): Promise<Sample[]> => {
    reading = reading.then(readOn);
    await reading;
    return [...known];
  };
  return {
    name: process.name,
    target,
    samples,
    answeredBy: async (node, timeoutMs) => {
      const fromMs = nowMs();
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const found = (await samples()).find(({ by, sentAtMs }) => by === node && sentAtMs >= fromMs);
        if (found !== undefined) return found;
        if (performance.now() > deadline)
          throw new Error(`${process.name}: ${node} did not answer for ${target} within ${timeoutMs} ms.`);
        await sleep(LOOK_MS);
      }
    },
    stop: async () => {
      await process.stop();
      return samples();
    },
  };
};
