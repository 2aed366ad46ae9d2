/**
 * The lab as a library: a VPC, an EC2 API, IMDS and, when asked, a Kubernetes control plane in a world of their own. It owns every
 * process and namespace; `down()` ends them all, and so does the end of the calling process, however it ends.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findKubeBinaries, type KubeBinaries } from '../controlplane/binaries.ts';
import { ensureTools, type ToolEnvironment } from '../setup/tools.ts';
import { ACCESS_KEYS } from './ec2/credentials.ts';
import { type EC2Control, ec2Control } from './ec2-control.ts';
import { type LabNode, type LabProcess, nodeOf, type Probe, probeOf, spawnIn, within } from './handles.ts';
import { type Channel, launch, recordWorld, type Watch } from './launch.ts';
import { enterNetwork } from './network.ts';
import type { Cut, ExecResult, ExecSpec, Place, SpawnSpec } from './rpc.ts';
import type { LabVPC, LatencyProfile } from './types.ts';
import { IMDS_ADDRESS, MANAGEMENT, STANDARD_VPC } from './vpc.ts';

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

export type Lab = {
  dir: string;
  vpc: LabVPC;
  /** Such as `user:[4026532000]`; every process of the world is in it. */
  userNamespace: string;
  /** The EC2 API as this machine reaches it, such as `http://127.0.0.1:34567`. */
  ec2URL: string;
  ec2: EC2Control;
  /** An admin's kubeconfig for this machine. Throws without a control plane. */
  readonly kubeconfigPath: string;
  /** An admin's kubeconfig for processes in the world's root. Throws without a control plane. */
  readonly insideKubeconfigPath: string;
  /** The authority of the API server's certificate. Throws without a control plane. */
  readonly kubeCAFile: string;
  /** Other labs have used its control plane, and others will. */
  sharesPlane: boolean;
  /** Starts kube-controller-manager of its own control plane; after the CRDs are installed. */
  startControllerManager(): Promise<void>;
  node(name: string): LabNode;
  /** A process of the world; its log is `<dir>/<name>.log` unless told otherwise. */
  spawn(spec: Omit<SpawnSpec, 'logFile'> & { logFile?: string }, watch?: Watch): Promise<LabProcess>;
  exec(spec: ExecSpec): Promise<ExecResult>;
  /** The command with which a process of this machine, of the same user, enters a place to run `argv` there. */
  entrance(where: Place, argv: string[]): Promise<string[]>;
  /** Starts a client in `lan`, `internet` or on an instance that probes an address every 10 ms. */
  probe(options: { name: string; from: string; target: string; intervalMs?: number }): Promise<Probe>;
  /** Each returns standard output and throws an Error with what the command said when it fails. */
  kubectl(args: string[], input?: string): Promise<string>;
  helm(args: string[], input?: string): Promise<string>;
  /** As a person with all permissions. */
  aws(args: string[]): Promise<string>;
  /** `node1-node2` (both ways), `node1->node2` (packets of node1 to node2), `node1-api` (its way to the API server). */
  cut(link: string): Promise<void>;
  heal(link: string): Promise<void>;
  /** Links that are cut now. */
  cuts(): string[];
  /** Why the lab has ended; undefined while it lives. */
  ended(): string | undefined;
  /** Ends it all and returns when no process is left. Idempotent. */
  down(): Promise<void>;
};

const READY_MS = 90_000;
const TOOL_MS = 120_000;

let foundTools: Promise<ToolEnvironment> | undefined;

/** Looked for once per process. */
export const findTools = (): Promise<ToolEnvironment> => {
  foundTools ??= ensureTools();
  return foundTools;
};

/**
 * Starts a lab: about a second, with a control plane about five.
 * @throws Error that says what could not be started; nothing is left running then.
 */
export const startLab = async (options: LabOptions): Promise<Lab> => {
  const { dir, vpc = STANDARD_VPC, onLog = () => undefined } = options;
  // Before the world: it has no way out to fetch or build anything.
  const binaries = options.kube === true ? await findKubeBinaries() : undefined;
  const { env } = await findTools();
  const channel = await launch({ vpc, dir }, { ...process.env, ...env });
  try {
    recordWorld(dir, channel.userNamespace);
    onLog('the network stands');
    const kube = accessTo(options.kube, channel, dir, binaries);
    kube?.catch(() => undefined); // awaited below; an earlier failure must not be an unhandled one
    const ec2URL = await startEC2(channel, options, vpc);
    onLog(`EC2 answers at ${ec2URL}`);
    await bootInstances(channel, vpc, options.vips ?? ['10.10.10.10']);
    onLog('the instances run');
    const access = await kube;
    if (access !== undefined) onLog(`Kubernetes answers; kubeconfig ${access.outside}`);
    return labOf(channel, { dir, vpc, ec2URL, access });
  } catch (error) {
    await channel.down();
    throw error;
  }
};

type KubeAccess = { inside: string; outside: string; caFile: string; isShared: boolean };

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

type Parts = {
  dir: string;
  vpc: LabVPC;
  ec2URL: string;
  access: KubeAccess | undefined;
};

const labOf = (channel: Channel, { dir, vpc, ec2URL, access }: Parts): Lab => {
  const ec2 = ec2Control(ec2URL);
  const nodes = new Map(
    vpc.instances.map((instance) => [instance.name, nodeOf(channel, ec2, instance, dir)] as const),
  );
  const kube = (): KubeAccess => {
    if (access === undefined) throw new Error('This lab was started without a Kubernetes control plane.');
    return access;
  };
  const exec = (spec: ExecSpec): Promise<ExecResult> =>
    channel.call('exec', spec, (spec.timeoutMs ?? 30_000) + 5_000);
  const tool = async (argv: string[], env: Record<string, string>, input = ''): Promise<string> => {
    const result = await exec({ where: 'world', argv, env, input, timeoutMs: TOOL_MS });
    if (result.code === 0) return result.stdout;
    const how = result.signal ?? `exit code ${result.code}`;
    throw new Error(`${argv.join(' ')} failed (${how}): ${(result.stderr || result.stdout).trim()}`);
  };
  const cuts = new Set<string>();
  const link = async (text: string, isCut: boolean): Promise<void> => {
    const parsed = parseLink(text, [...nodes.keys()]);
    for (const cut of linksOf(text, parsed)) cuts[isCut ? 'add' : 'delete'](cut);
    if ('node' in parsed) await channel.call('management', { node: parsed.node, up: !isCut });
    else for (const way of parsed.ways) await channel.call(isCut ? 'cut' : 'heal', way);
  };
  const spawn: Lab['spawn'] = (spec, watch) =>
    spawnIn(channel, { ...spec, logFile: spec.logFile ?? join(dir, `${spec.name}.log`) }, watch);
  return {
    dir,
    vpc,
    userNamespace: channel.userNamespace,
    ec2URL,
    ec2,
    get kubeconfigPath() {
      return kube().outside;
    },
    get insideKubeconfigPath() {
      return kube().inside;
    },
    get kubeCAFile() {
      return kube().caFile;
    },
    sharesPlane: access?.isShared === true,
    startControllerManager: async () => void (await channel.call('controllerManager', null)),
    node: (name) => {
      const node = nodes.get(name);
      if (node === undefined) throw new Error(`There is no instance ${name}.`);
      return node;
    },
    spawn,
    exec,
    probe: async ({ name, from, target, intervalMs = 10 }) => {
      const file = join(dir, `${name}.ndjson`);
      const program = join(import.meta.dirname, 'probe.ts');
      const argv = [process.execPath, program, target, file, String(intervalMs)];
      return probeOf(await spawn({ name, where: from, argv }), target, file);
    },
    kubectl: (args, input) => tool(['kubectl', ...args], kubeEnvironment(dir, kube().inside), input),
    helm: (args, input) => tool(['helm', ...args], kubeEnvironment(dir, kube().inside), input),
    aws: (args) => tool(['aws', ...awsArguments(EC2_ENDPOINT, args)], awsEnvironment(vpc, 'person')),
    cut: (text) => link(text, true),
    heal: (text) => link(text, false),
    cuts: () => [...cuts],
    entrance: async (where, argv) => {
      const node = nodes.get(where);
      const init = (await node?.state())?.init;
      if (node !== undefined && init == null) throw new Error(`${where} does not run.`);
      const inner =
        init == null
          ? enterNetwork(where, argv)
          : ['nsenter', '--target', String(init), '--net', '--pid', '--mount', '--', ...argv];
      const namespaces = ['--user', '--net', '--pid', '--mount', '--preserve-credentials'];
      return ['nsenter', '--target', String(channel.pid), ...namespaces, '--', ...inner];
    },
    ended: channel.ended,
    down: channel.down,
  };
};

/** For kubectl and helm; what they cache stays in the lab's folder. */
export const kubeEnvironment = (dir: string, kubeconfig: string): Record<string, string> => ({
  KUBECONFIG: kubeconfig,
  KUBECACHEDIR: join(dir, 'cache', 'kube'),
  HELM_CACHE_HOME: join(dir, 'cache', 'helm'),
  HELM_CONFIG_HOME: join(dir, 'cache', 'helm-config'),
  HELM_DATA_HOME: join(dir, 'cache', 'helm-data'),
});

/** Where EC2 answers inside the world. */
export const EC2_ENDPOINT = `http://${MANAGEMENT.fabric}:${MANAGEMENT.ec2Port}`;

/** For the `aws` command: Debian 12's version 2.9 does not read the endpoint from the environment, as 2.13 and later do. */
export const awsArguments = (endpoint: string, args: readonly string[]): string[] => [
  '--endpoint-url',
  endpoint,
  ...args,
];

/** For the SDK and the `aws` command, with one of the lab's own access keys, which open nothing but the lab. */
export const awsEnvironment = (
  vpc: LabVPC,
  who: keyof typeof ACCESS_KEYS,
  endpoint = EC2_ENDPOINT,
): Record<string, string> => ({
  AWS_ENDPOINT_URL_EC2: endpoint,
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: ACCESS_KEYS[who].id,
  AWS_SECRET_ACCESS_KEY: ACCESS_KEYS[who].secret,
  AWS_REGION: vpc.region,
  AWS_DEFAULT_REGION: vpc.region,
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_PAGER: '',
});

/** What is listed as cut: each way by itself. */
const linksOf = (text: string, parsed: ReturnType<typeof parseLink>): string[] =>
  'node' in parsed ? [text] : parsed.ways.map(({ from, to }) => `${from}->${to}`);

/**
 * Reads the name of a link.
 * @throws Error that lists the forms.
 */
export const parseLink = (text: string, nodes: readonly string[]): { node: string } | { ways: Cut[] } => {
  const api = /^(.+)-api$/.exec(text)?.[1];
  if (api !== undefined && nodes.includes(api)) return { node: api };
  for (const from of nodes) {
    for (const to of nodes.filter((name) => name !== from)) {
      if (text === `${from}->${to}`) return { ways: [{ from, to }] };
      if (text === `${from}-${to}`) {
        return {
          ways: [
            { from, to },
            { from: to, to: from },
          ],
        };
      }
    }
  }
  const [one = 'a', other = 'b'] = nodes;
  throw new Error(`${text} is no link: say ${one}-${other}, ${one}->${other} (one way) or ${one}-api.`);
};
