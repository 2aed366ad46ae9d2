/**
 * What the host process and the world's init say to each other over Node's IPC channel, both ways with ids. Process handles
 * are numbers given by init and never reused within a world.
 */
import type { KubeBinaries } from '../controlplane/binaries.ts';
import type { Program } from '../controlplane/programs.ts';
import type { LabVPC } from './types.ts';

/** A place in the world where a process can run; any other word is the name of an instance. */
export type Place = 'world' | 'fabric' | 'lan' | 'internet' | (string & {});

/** A process to start. */
export type SpawnSpec = {
  /** For logs and messages. */
  name: string;
  where: Place;
  argv: string[];
  /** Added to the world's own environment. */
  env?: Record<string, string>;
  cwd?: string;
  /** Standard output and error are appended to this file. */
  logFile: string;
  /** Report every line of standard output and error as an event, too. */
  lines?: boolean;
};

/** How long a command may take unless its caller says otherwise. */
export const EXEC_MS = 60_000;

/** A command to run to completion. */
export type ExecSpec = {
  where: Place;
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  input?: string;
  /** Killed after this many milliseconds; default {@link EXEC_MS}. */
  timeoutMs?: number;
};

/** How a command ended. Output beyond 16 MB is cut off and ends the command. */
export type ExecResult = { code: number | null; signal: string | null; stdout: string; stderr: string };

/** What an instance starts at boot; nothing restarts it when it ends. */
export type ServiceSpec = { name: string; argv: string[]; env?: Record<string, string>; cwd?: string };

/** State of an instance as its owner sees it. */
export type InstanceState = {
  running: boolean;
  paused: boolean;
  /** Its first process, in the world's PID namespace; `null`: off. */
  init: number | null;
  services: { name: string; handle: number | null; pid: number | null }[];
};

/** A one-way cut of the fabric between two instances. */
export type Cut = { from: string; to: string };

/** Requests of the host: parameters and result. */
export type Operations = {
  spawn: { params: SpawnSpec; result: { handle: number; pid: number } };
  kill: { params: { handle: number; signal: string }; result: null };
  exec: { params: ExecSpec; result: ExecResult };
  /** Pipes connections of the listening socket sent along with the message to this address inside. */
  forward: { params: { host: string; port: number }; result: null };
  /** Listens on an address of the world; the listening socket comes along with the answer. */
  listen: { params: { host: string; port: number }; result: null };
  boot: { params: { node: string }; result: null };
  crash: { params: { node: string }; result: null };
  shutdown: { params: { node: string; graceMs: number }; result: null };
  pause: { params: { node: string }; result: null };
  resume: { params: { node: string }; result: null };
  setService: { params: { node: string; service: ServiceSpec }; result: null };
  startService: { params: { node: string; service: string }; result: { handle: number; pid: number } };
  killService: { params: { node: string; service: string; signal: string }; result: null };
  instance: { params: { node: string }; result: InstanceState };
  cut: { params: Cut; result: null };
  heal: { params: Cut; result: null };
  /** Cuts or heals the management link of an instance. */
  management: { params: { node: string; up: boolean }; result: null };
  /** Starts etcd and kube-apiserver on the management network; `kubeconfig` is an admin's, for inside. */
  kube: { params: { binaries: KubeBinaries }; result: { kubeconfig: string; caFile: string } };
  /** An admin's kubeconfig for another way in. */
  kubeconfig: { params: { file: string; server: string }; result: null };
  /** Kills a program of its own control plane, or starts it again. */
  program: { params: { program: Program; act: 'kill' | 'start' }; result: null };
  /** etcd's data: see hack/controlplane/restartable.ts. */
  data: { params: { act: 'copy' | 'putBack' }; result: null };
  /** After the CRDs are installed: see hack/controlplane/controlplane.ts. */
  controllerManager: { params: null; result: null };
};
/** The name of a request. */
export type Operation = keyof Operations;

/** A request as it is sent. */
export type Request = { [K in Operation]: { id: number; op: K; params: Operations[K]['params'] } }[Operation];

/** What init says. */
export type FromInit =
  | { type: 'ready'; userNamespace: string }
  | { type: 'failed'; message: string }
  | { type: 'answer'; id: number; result: unknown }
  | { type: 'error'; id: number; message: string }
  | { type: 'exit'; handle: number; code: number | null; signal: string | null; atMs: number }
  | { type: 'line'; handle: number; line: string; atMs: number };

/** What init needs to know before it builds; handed over in the environment variable `LAB_WORLD` as JSON. */
export type InitConfig = { vpc: LabVPC; dir: string };
