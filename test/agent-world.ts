/**
 * Two agents as programs, an ordinary user's, on real packets with the lab's IMDS, in namespaces of their own and without
 * root. There is no API server: what the agents run they have on disk. A test file enters the world by running itself again.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { openDisk } from '../agent/node/disk.ts';
import { emptyRecord } from '../agent/ports.ts';
import type { LogReason } from '../crds/conditions.ts';
import type { VRRPInstanceSpec, VRRPParameters, VRRPState } from '../crds/types.ts';
import { IMDS_ADDRESS, STANDARD_VPC } from '../hack/lab/vpc.ts';

/** The agent's capabilities, as setpriv names them. */
export type Capability = 'net_raw' | 'net_admin';

/** What an agent needs, and all it gets. */
export const NEEDED: readonly Capability[] = ['net_raw', 'net_admin'];

/** The one user of the world. */
export const UID = 1000;
export const VIP = '10.10.10.10';

export type NodeName = 'node1' | 'node2';

const ROOT = join(import.meta.dirname, '..');
/** The agent as it runs from the source tree. */
export const PLAIN_AGENT = join(ROOT, 'agent', 'main.ts');

const INSIDE = 'HAPAIR_TEST_AGENT_WORLD';
/** An ordinary user with every capability in its world, so that it can be built. */
const ENTRANCE =
  `--user --map-user=${UID} --map-group=${UID} --keep-caps --net --mount --pid --fork --kill-child`.split(
    ' ',
  );
const WORLD_MS = 240_000;
const EVENT_MS = 60_000;
/** Of an agent that did not do as it should. */
const LINES_TOLD = 30;

/** Whether this process is in the world already. */
export const isInside = (): boolean => process.env[INSIDE] === '1';

/** Runs `file` in a new world, which ends with it. @returns what it printed. @throws Error with that when it fails. */
export const runInside = (file: string): string => {
  const world = spawnSync('unshare', [...ENTRANCE, process.execPath, file], {
    env: { ...process.env, [INSIDE]: '1' },
    encoding: 'utf8',
    timeout: WORLD_MS,
    killSignal: 'SIGKILL',
  });
  if (world.status === 0) return world.stdout;
  throw new Error(`${world.error?.message ?? ''}\n${world.stdout}\n${world.stderr}`);
};

/** Runs `ip` with these words. @throws Error with what it says. */
export const ip = (words: string): string => execFileSync('ip', words.split(' '), { encoding: 'utf8' });

/**
 * The network of the standard VPC's two instances, and IMDS for each. `dir` holds what the processes write.
 * @returns what ends IMDS, without which the test's own process does not end
 */
export const buildWorld = async (dir: string): Promise<() => void> => {
  execFileSync('mount', ['-t', 'proc', 'proc', '/proc']);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  for (const command of ['link set lo up', 'link add switch type bridge', 'link set switch up']) ip(command);
  ip('address add 10.10.10.1/24 dev switch');
  ip(`address add ${IMDS_ADDRESS}/32 dev switch`);
  for (const { name, address } of STANDARD_VPC.instances) {
    ip(`netns add ${name}`);
    ip(`link add port-${name} type veth peer name eth0 netns ${name}`);
    ip(`link set port-${name} master switch up`);
    ip(`-n ${name} address add ${address}/24 dev eth0`);
    for (const device of ['lo', 'eth0']) ip(`-n ${name} link set ${device} up`);
    ip(`-n ${name} route add default via 10.10.10.1`);
  }
  return startIMDS(dir);
};

const startIMDS = async (dir: string): Promise<() => void> => {
  const vpcFile = join(dir, 'vpc.json');
  writeFileSync(vpcFile, JSON.stringify(STANDARD_VPC));
  const program = join(ROOT, 'hack', 'lab', 'ec2', 'main.ts');
  const args = ['--vpc', vpcFile, '--listen', '127.0.0.1:0', '--imds', `${IMDS_ADDRESS}:80`];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(EVENT_MS) });
  if (!String(line).startsWith('{"ready":true')) throw new Error(`the lab's EC2 said: ${line}`);
  return () => void child.kill('SIGKILL');
};

/** Takes the VIP off, whoever put it there: an agent that was killed leaves it. */
export const cleanNodes = (): void => {
  for (const node of ['node1', 'node2'] as const)
    if (addressesOf(node).includes(`${VIP}/32`)) ip(`-n ${node} address del ${VIP}/32 dev eth0`);
};

/** The addresses on a node's eth0, with their prefix lengths. */
export const addressesOf = (node: NodeName): string[] =>
  [...ip(`-n ${node} -o -4 address show dev eth0`).matchAll(/inet (\S+)/g)].map(
    ([, address = '']) => address,
  );

/** How a node's agent is started. */
export type AgentOptions = {
  node: NodeName;
  /** A folder of this agent's own; made if missing. */
  dir: string;
  /** Default: from the source tree. */
  program?: string;
  /** Default: what it needs. */
  capabilities?: readonly Capability[];
  /** Of the pair `prod/web` on its disk; default 100 ms. `null`: nothing is on disk. */
  intervalMs?: number | null;
  /** Default `<dir>/state`. */
  stateDir?: string;
  /** The files are there already. */
  prepared?: boolean;
  /** Of Node itself. */
  nodeOptions?: readonly string[];
  /** Added to the environment. */
  env?: Record<string, string>;
};

/** One line of an agent's log. */
export type LogLine = Partial<Record<string, unknown>> & { msg: string };

/** An agent that runs. */
export type RunningAgent = {
  node: NodeName;
  /** In the world's numbering. */
  pid: number;
  /** Every line so far. */
  lines: readonly LogLine[];
  /** The first line that matches; waits for it. @throws Error with all lines when the agent ends or none comes in time. */
  until(what: string, matches: (line: LogLine) => boolean): Promise<LogLine>;
  /** Sends a signal and waits for the end. @returns exit code, or the signal */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** Resolves at its end with everything it wrote to standard error. */
  ended: Promise<{ code: number | null; stderr: string }>;
};

const ADDRESS: Record<NodeName, string> = { node1: '10.10.10.11', node2: '10.10.10.12' };
const ENI: Record<NodeName, string> = { node1: 'eni-0aaaaaaaaaaaaaaa1', node2: 'eni-0bbbbbbbbbbbbbbb2' };

/** What the operator would have written for a node of the pair `prod/web`. */
const specOf = (nodeName: NodeName, intervalMs: number): VRRPInstanceSpec => {
  const set: VRRPParameters = {
    version: 3,
    virtualRouterID: 10,
    advertisementIntervalMilliseconds: intervalMs,
    checksum: 'Pseudoheader',
  };
  return {
    pairName: 'web',
    nodeName,
    agentUsername: `system:serviceaccount:hapair-system:hapair-agent-${nodeName}`,
    networkInterfaceID: ENI[nodeName],
    sourceAddress: ADDRESS[nodeName],
    peerAddress: ADDRESS[nodeName === 'node1' ? 'node2' : 'node1'],
    priority: nodeName === 'node1' ? 200 : 100,
    claim: 'Normal',
    termFloor: 0,
    yieldTerm: 0,
    probe: 0,
    onDelete: 'Keep',
    addresses: [{ name: 'main', vip: VIP }],
    vrrp: { send: set, accept: [set] },
  };
};

/** An API server that is away: nobody listens there. */
const KUBECONFIG = {
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'away', cluster: { server: 'https://10.10.10.1:6443' } }],
  users: [{ name: 'agent', user: { token: 'none' } }],
  contexts: [{ name: 'away', context: { cluster: 'away', user: 'agent' } }],
  'current-context': 'away',
};

const configFile = (dir: string): string => join(dir, 'agent.yaml');

/** Writes what the agent finds on its node. */
export const prepare = async ({
  node,
  dir,
  stateDir = join(dir, 'state'),
  intervalMs = 100,
}: AgentOptions): Promise<void> => {
  mkdirSync(dir, { recursive: true });
  if (intervalMs !== null) {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const record = {
      ...emptyRecord('prod', 'web'),
      uid: 'c1f5bd4b-5f0a-4b5f-9b5a-3a3f4a4d1c11',
      generation: 1,
      spec: specOf(node, intervalMs),
      verifiedNetworkInterfaceID: ENI[node],
      interface: 'eth0',
    };
    await openDisk(stateDir, record).save(record);
  }
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(KUBECONFIG));
  const config = { nodeName: node, namespaces: ['prod'], kubeconfig, stateDir };
  writeFileSync(configFile(dir), JSON.stringify(config));
};

/** Exactly these capabilities, and no way to others. */
const restricted = (capabilities: readonly Capability[]): string[] => {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  return [
    ...['setpriv', `--bounding-set=${set}`, `--inh-caps=${set}`, `--ambient-caps=${set}`],
    '--no-new-privs',
  ];
};

/** Starts an agent with nothing but these capabilities. */
export const startAgent = async (options: AgentOptions): Promise<RunningAgent> => {
  const { node, dir, program = PLAIN_AGENT, capabilities = NEEDED, nodeOptions = [], env = {} } = options;
  if (options.prepared !== true) await prepare(options);
  const argv = [process.execPath, ...nodeOptions, program, '--config', configFile(dir)];
  const child = spawn('ip', ['netns', 'exec', node, ...restricted(capabilities), ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return follow(node, child);
};

const follow = (node: NodeName, child: ChildProcess): RunningAgent => {
  const lines: LogLine[] = [];
  let stderr = '';
  let heard = Promise.withResolvers<void>();
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(JSON.parse(line));
      heard.resolve();
      heard = Promise.withResolvers();
    });
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, stderr }));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    node,
    pid: child.pid ?? 0,
    lines,
    ended,
    async until(what, matches) {
      const deadlineMs = performance.now() + EVENT_MS;
      for (;;) {
        const found = lines.find(matches);
        if (found !== undefined) return found;
        if (hasEnded() || performance.now() > deadlineMs) {
          const said = lines
            .slice(-LINES_TOLD)
            .map((line) => JSON.stringify(line))
            .join('\n');
          throw new Error(`${node}: not seen: ${what}; it said:\n${said}\n${stderr}`);
        }
        await Promise.race([heard.promise, ended, delay(200)]);
      }
    },
    async end(signal = 'SIGKILL') {
      child.kill(signal);
      await ended;
      return child.exitCode ?? child.signalCode;
    },
  };
};

/** A line with this reason, for `until`. */
export const gives =
  (reason: LogReason) =>
  (line: LogLine): boolean =>
    line.reason === reason;

/** A line that tells that this VRRP state was entered, for `until`. */
export const enters =
  (state: VRRPState) =>
  (line: LogLine): boolean =>
    line.entered === state;

/** What the kernel says of a process: `CapEff`, `Uid` and so on, by name. */
export const statusOf = (pid: number): Partial<Record<string, string>> =>
  Object.fromEntries(
    readFileSync(`/proc/${pid}/status`, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [name = '', value] = line.split(':\t');
        return value === undefined ? [] : [[name, value.trim()]];
      }),
  );
