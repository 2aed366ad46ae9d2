/**
 * The lab as a library: a VPC, an EC2 API, IMDS and, when asked, a Kubernetes control plane in a world of their own. It owns
 * every process and namespace; `down()` ends them all, and so does the end of the calling process, however it ends.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findKubeBinaries, type KubeBinaries } from '../controlplane/binaries.ts';
import type { Program } from '../controlplane/programs.ts';
import type { Channel, Watch } from './channel.ts';
import { type EC2Control, ec2Control } from './ec2-control.ts';
import { awsArguments, awsEnvironment, EC2_ENDPOINT, findTools, kubeEnvironment } from './environment.ts';
import {
  type LabNode,
  type LabProcess,
  nodeOf,
  type ProbeClient,
  probeOf,
  spawnIn,
  within,
} from './handles.ts';
import { launch, recordWorld, type World } from './launch.ts';
import { Links } from './links.ts';
import { enterNetwork } from './network.ts';
import { EXEC_MS, type ExecResult, type ExecSpec, type Place, type SpawnSpec } from './rpc.ts';
import type { LabVPC, LatencyProfile } from './types.ts';
import { IMDS_ADDRESS, MANAGEMENT, STANDARD_VPC } from './vpc.ts';

/** What a lab is to be. */
export type LabOptions = {
  /** Holds state and logs; made if missing. */
  dir: string;
  profile: LatencyProfile;
  /** Default: the standard VPC. */
  vpc?: LabVPC;
  /** With a Kubernetes control plane: one of its own, or one that other labs use at other times. Default: none. */
  kube?: boolean | SharedPlane;
  /** Secondary addresses that the responders on the instances answer for; default 10.10.10.10. */
  vips?: string[];
  /** One line per step. */
  onLog?: (line: string) => void;
};

/** A control plane on this machine that labs use one after another, the chart installed. */
export type SharedPlane = {
  /** Of 127.0.0.1. */
  port: number;
  /** An admin's, for this machine. */
  kubeconfig: string;
  /** An admin's, for processes in a world's root. */
  insideKubeconfig: string;
  caFile: string;
};

const READY_MS = 90_000;
const TOOL_MS = 120_000;
/** For init to answer once a command has come to its end. */
const ANSWER_MS = 5_000;

type KubeAccess = { inside: string; outside: string; caFile: string; isShared: boolean };

type Parts = {
  world: World;
  dir: string;
  vpc: LabVPC;
  ec2URL: string;
  access: KubeAccess | undefined;
};

/** A lab that runs: made by {@link startLab}. */
export class Lab {
  readonly dir: string;
  readonly vpc: LabVPC;
  /** Such as `user:[4026532000]`; every process of the lab is in it. */
  readonly userNamespace: string;
  /** The EC2 API as this machine reaches it, such as `http://127.0.0.1:34567`. */
  readonly ec2URL: string;
  readonly ec2: EC2Control;
  readonly #world: World;
  readonly #access: KubeAccess | undefined;
  readonly #nodes: ReadonlyMap<string, LabNode>;
  readonly #links: Links;

  constructor({ world, dir, vpc, ec2URL, access }: Parts) {
    this.dir = dir;
    this.vpc = vpc;
    this.userNamespace = world.userNamespace;
    this.ec2URL = ec2URL;
    this.ec2 = ec2Control(ec2URL);
    this.#world = world;
    this.#access = access;
    this.#nodes = new Map(
      vpc.instances.map((instance) => [instance.name, nodeOf(world.channel, this.ec2, instance, dir)]),
    );
    this.#links = new Links(world.channel, [...this.#nodes.keys()]);
  }

  /** An admin's kubeconfig for this machine. Throws without a control plane. */
  get kubeconfigPath(): string {
    return this.#kube.outside;
  }

  /** An admin's kubeconfig for processes in the world. Throws without a control plane. */
  get insideKubeconfigPath(): string {
    return this.#kube.inside;
  }

  /** The authority of the API server's certificate. Throws without a control plane. */
  get kubeCAFile(): string {
    return this.#kube.caFile;
  }

  /** Whether other labs have used its control plane, and others will. */
  get sharesPlane(): boolean {
    return this.#access?.isShared === true;
  }

  /** Kills a program of its own control plane; etcd's data and the API server's keys stay. */
  async killProgram(program: Program): Promise<void> {
    await this.#world.channel.call('program', { program, act: 'kill' });
  }

  /** Starts it again; it takes a few seconds until it answers. */
  async startProgram(program: Program): Promise<void> {
    await this.#world.channel.call('program', { program, act: 'start' });
  }

  /** Copies what its own Kubernetes has stored, while it runs. */
  async copyEtcd(): Promise<void> {
    await this.#world.channel.call('data', { act: 'copy' });
  }

  /** Puts the copy back, as from a backup: API server and etcd start again with what was then. */
  async putBackEtcd(): Promise<void> {
    await this.#world.channel.call('data', { act: 'putBack' });
  }

  /** Starts kube-controller-manager of its own control plane; after the CRDs are installed. */
  async startControllerManager(): Promise<void> {
    await this.#world.channel.call('controllerManager', null);
  }

  /** @throws Error when the VPC has no instance of that name */
  node(name: string): LabNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`There is no instance ${name}.`);
    return node;
  }

  /** Starts a process; its log is `<dir>/<name>.log` unless told otherwise. */
  spawn(spec: Omit<SpawnSpec, 'logFile'> & { logFile?: string }, watch?: Watch): Promise<LabProcess> {
    const logFile = spec.logFile ?? join(this.dir, `${spec.name}.log`);
    return spawnIn(this.#world.channel, { ...spec, logFile }, watch);
  }

  /** Runs a command to its end. */
  exec(spec: ExecSpec): Promise<ExecResult> {
    return this.#world.channel.call('exec', spec, (spec.timeoutMs ?? EXEC_MS) + ANSWER_MS);
  }

  /** The command with which a process of this machine, of the same user, enters a place to run `argv` there. */
  async entrance(where: Place, argv: string[]): Promise<string[]> {
    const node = this.#nodes.get(where);
    const init = (await node?.state())?.init;
    if (node !== undefined && init == null) throw new Error(`${where} does not run.`);
    const inner =
      init == null
        ? enterNetwork(where, argv)
        : ['nsenter', '--target', String(init), '--net', '--pid', '--mount', '--', ...argv];
    const namespaces = ['--user', '--net', '--pid', '--mount', '--preserve-credentials'];
    return ['nsenter', '--target', String(this.#world.pid), ...namespaces, '--', ...inner];
  }

  /** Starts a client in `lan`, `internet` or on an instance that probes an address. @param options.intervalMs Default: 10. */
  async probe(options: {
    name: string;
    from: string;
    target: string;
    intervalMs?: number;
  }): Promise<ProbeClient> {
    const { name, from, target, intervalMs = 10 } = options;
    const file = join(this.dir, `${name}.ndjson`);
    const program = join(import.meta.dirname, 'probe.ts');
    const argv = [process.execPath, program, target, file, String(intervalMs)];
    return probeOf(await this.spawn({ name, where: from, argv }), target, file);
  }

  /** @returns standard output @throws Error with what the command said when it fails */
  kubectl(args: string[], input?: string): Promise<string> {
    return this.#tool(['kubectl', ...args], kubeEnvironment(this.dir, this.#kube.inside), input);
  }

  /** @returns standard output @throws Error with what the command said when it fails */
  helm(args: string[], input?: string): Promise<string> {
    return this.#tool(['helm', ...args], kubeEnvironment(this.dir, this.#kube.inside), input);
  }

  /** As a person with all permissions. @returns standard output @throws Error with what the command said when it fails */
  aws(args: string[]): Promise<string> {
    return this.#tool(['aws', ...awsArguments(EC2_ENDPOINT, args)], awsEnvironment(this.vpc, 'person'));
  }

  /** @param link `node1-node2` (both ways), `node1->node2` (packets of node1 to node2), `node1-api` (its way to the API server) */
  cut(link: string): Promise<void> {
    return this.#links.set(link, true);
  }

  heal(link: string): Promise<void> {
    return this.#links.set(link, false);
  }

  /** Links that are cut now. */
  cuts(): string[] {
    return this.#links.cut;
  }

  /** Why the lab has ended; undefined while it lives. */
  ended(): string | undefined {
    return this.#world.channel.ended;
  }

  /** Ends it all and returns when no process is left. Idempotent. */
  down(): Promise<void> {
    return this.#world.down();
  }

  get #kube(): KubeAccess {
    if (this.#access === undefined)
      throw new Error('This lab was started without a Kubernetes control plane.');
    return this.#access;
  }

  async #tool(argv: string[], env: Record<string, string>, input = ''): Promise<string> {
    const result = await this.exec({ where: 'world', argv, env, input, timeoutMs: TOOL_MS });
    if (result.code === 0) return result.stdout;
    const how = result.signal ?? `exit code ${result.code}`;
    throw new Error(`${argv.join(' ')} failed (${how}): ${(result.stderr || result.stdout).trim()}`);
  }
}

/**
 * Starts a lab: about a second, with a control plane about five.
 * @throws Error that says what could not be started; nothing is left running then.
 */
export const startLab = async (options: LabOptions): Promise<Lab> => {
  const { dir, vpc = STANDARD_VPC, onLog = () => undefined } = options;
  // Before the world: it has no way out to fetch or build anything.
  const binaries = options.kube === true ? await findKubeBinaries() : undefined;
  const { env } = await findTools();
  const world = await launch({ vpc, dir }, { ...process.env, ...env });
  const { channel } = world;
  try {
    recordWorld(dir, world.userNamespace);
    onLog('the network stands');
    const kube = accessTo(options.kube, channel, dir, binaries);
    kube?.catch(() => undefined); // awaited below; an earlier failure must not be an unhandled one
    const ec2URL = await startEC2(channel, options, vpc);
    onLog(`EC2 answers at ${ec2URL}`);
    await bootInstances(channel, vpc, options.vips ?? ['10.10.10.10']);
    onLog('the instances run');
    const access = await kube;
    if (access !== undefined) onLog(`Kubernetes answers; kubeconfig ${access.outside}`);
    return new Lab({ world, dir, vpc, ec2URL, access });
  } catch (error) {
    await world.down();
    throw error;
  }
};

const accessTo = (
  kube: LabOptions['kube'],
  channel: Channel,
  dir: string,
  binaries: KubeBinaries | undefined,
): Promise<KubeAccess> | undefined => {
  if (typeof kube === 'object') return joinPlane(channel, kube);
  return binaries && startKube(channel, dir, binaries);
};

const joinPlane = async (channel: Channel, plane: SharedPlane): Promise<KubeAccess> => {
  await channel.backward(MANAGEMENT.world, MANAGEMENT.kubernetesPort, plane.port);
  return {
    inside: plane.insideKubeconfig,
    outside: plane.kubeconfig,
    caFile: plane.caFile,
    isShared: true,
  };
};

const startKube = async (channel: Channel, dir: string, binaries: KubeBinaries): Promise<KubeAccess> => {
  const { kubeconfig, caFile } = await channel.call('kube', { binaries });
  const port = await channel.forward(MANAGEMENT.world, MANAGEMENT.kubernetesPort);
  const outside = join(dir, 'kubeconfig');
  await channel.call('kubeconfig', { file: outside, server: `https://127.0.0.1:${port}` });
  return { inside: kubeconfig, outside, caFile, isShared: false };
};

/** Returns where the host reaches it. */
const startEC2 = async (channel: Channel, options: LabOptions, vpc: LabVPC): Promise<string> => {
  const vpcFile = join(options.dir, 'vpc.json');
  writeFileSync(vpcFile, JSON.stringify(vpc, undefined, 2));
  const ready = Promise.withResolvers<void>();
  const ec2 = await spawnIn(
    channel,
    {
      name: 'ec2',
      where: 'fabric',
      argv: [
        ...[process.execPath, join(import.meta.dirname, 'ec2', 'main.ts')],
        ...['--vpc', vpcFile, '--profile', options.profile, '--fabric', 'kernel'],
        ...['--listen', `${MANAGEMENT.fabric}:${MANAGEMENT.ec2Port}`, '--imds', `${IMDS_ADDRESS}:80`],
      ],
      logFile: join(options.dir, 'ec2.log'),
    },
    {
      onLine: (line) => {
        if (line.startsWith('{"ready":true')) ready.resolve();
      },
    },
  );
  const died = ec2.exited.then(() => {
    throw new Error(`The lab's EC2 did not start; see ${ec2.logFile}.`);
  });
  died.catch(() => undefined); // it ends with the world; that matters only while we wait
  await within(Promise.race([ready.promise, died]), READY_MS, "The lab's EC2 did not get ready");
  return `http://127.0.0.1:${await channel.forward(MANAGEMENT.fabric, MANAGEMENT.ec2Port)}`;
};

/** Each answers probes from its boot on. */
const bootInstances = async (channel: Channel, vpc: LabVPC, vips: string[]): Promise<void> => {
  const responder = join(import.meta.dirname, 'responder.ts');
  await Promise.all(
    vpc.instances.map(async ({ name, address }) => {
      const argv = [process.execPath, responder, name, address, ...vips];
      await channel.call('setService', { node: name, service: { name: 'responder', argv } });
      await channel.call('boot', { node: name });
    }),
  );
};
