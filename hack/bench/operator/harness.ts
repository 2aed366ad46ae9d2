/**
 * What the benchmark runs on: the real control plane with the chart's RBAC, the lab's EC2 API without a fabric, and the real
 * operator process with a token of its own ServiceAccount.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findKubeClients } from '../../controlplane/clients.ts';
import { type ControlPlane, startControlPlane } from '../../controlplane/controlplane.ts';
import { readConnection } from '../../controlplane/kubeconfig.ts';
import { createToken, writeServiceAccountKubeconfig } from '../../controlplane/tokens.ts';
import { type EC2Control, ec2Control } from '../../lab/ec2-control.ts';
import { awsEnvironment, kubeEnvironment } from '../../lab/environment.ts';
import { run } from '../../setup/run.ts';
import { API } from './api.ts';
import { type Fleet, NAMESPACE } from './fleet.ts';

/** Where the release, the agents' ServiceAccounts and the Leases are. */
export const SYSTEM = 'hapair-system';
const ROOT = join(import.meta.dirname, '..', '..', '..');
const EC2_READY_MS = 120_000;
const OPERATOR_READY_MS = 300_000;
const POLL_MS = 50;
const HELM_MS = 240_000;
/** TokenRequests under way at the same time. */
const TOKENS_AT_ONCE = 8;
const END_MS = 20_000;

/** The operator as a process. */
export type Operator = {
  pid: number;
  logFile: string;
  /** From the start of the process to "operator started". */
  startMs: number;
  /** Where its inspector listens, if asked for. */
  inspectorURL: string | undefined;
  /** Why it has ended; undefined while it runs. */
  ended(): string | undefined;
  /** SIGTERM, after 20 s SIGKILL. */
  stop(): Promise<void>;
};

/** Everything that a run stands on. */
export type Harness = {
  controlPlane: ControlPlane;
  /** As `system:masters`. */
  admin: API;
  /** For the agents: each call brings its token. */
  agents: API;
  tokens: readonly string[];
  ec2: EC2Control;
  startOperator(options: { inspect: boolean }): Promise<Operator>;
  down(): Promise<void>;
};

/** What a run is to stand on. */
export type HarnessOptions = {
  /** Emptied first; holds state and logs. */
  dir: string;
  fleet: Fleet;
  onLog: (line: string) => void;
};

/**
 * Starts everything but the operator: half a minute with 200 agents.
 * @throws Error that says what could not be started; nothing is left running then.
 */
export const openHarness = async ({ dir, fleet, onLog }: HarnessOptions): Promise<Harness> => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const ends: (() => Promise<void>)[] = [];
  const down = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const controlPlane = await startControlPlane({ dir: join(dir, 'kube'), onLog });
    ends.push(controlPlane.stop);
    const ec2 = await startEC2(dir, fleet);
    ends.push(ec2.stop);
    onLog(`EC2 answers at ${ec2.url} with ${fleet.initial.length} VIPs placed`);
    await installChart(dir, controlPlane, fleet);
    onLog('the chart is installed');
    const { ca, cert, key, server } = await readConnection(controlPlane.kubeconfig);
    if (!cert || !key) throw new Error('invariant: the admin of the control plane has a client certificate');
    const admin = new API({ server, ca, certificate: { cert, key } });
    ends.push(() => admin.close());
    const agents = new API({ server, ca });
    ends.push(() => agents.close());
    const tokens = await agentTokens(controlPlane, fleet);
    onLog(`${tokens.length} agents have their tokens`);
    return {
      controlPlane,
      admin,
      agents,
      tokens,
      ec2: ec2Control(ec2.url),
      startOperator: async ({ inspect }) => {
        const operator = await startOperator({ dir, fleet, controlPlane, ec2URL: ec2.url, inspect });
        ends.push(operator.stop);
        return operator;
      },
      down,
    };
  } catch (error) {
    await down();
    throw error;
  }
};

type Child = { child: ChildProcess; ended: () => string | undefined; stop: () => Promise<void> };

/** A child that the kernel kills when this process dies, however it dies. */
const startChild = (argv: readonly string[], env: Record<string, string>, logFile: string): Child => {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = signal ?? `exit code ${code}`;
  });
  return {
    child,
    ended: () => ended,
    stop: async () => {
      if (ended !== undefined) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const patience = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await exited;
      clearTimeout(patience);
    },
  };
};

/** Waits until the log has a match. @throws Error when the process ends or the time is up. */
const untilLogged = async (
  { ended }: Child,
  logFile: string,
  pattern: RegExp,
  timeoutMs: number,
): Promise<RegExpExecArray> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const match = pattern.exec(readFileSync(logFile, 'utf8'));
    if (match) return match;
    const end = ended();
    if (end !== undefined || performance.now() > deadline)
      throw new Error(`${logFile} has no ${pattern} (${end ?? 'the process still runs'})`);
    await sleep(POLL_MS);
  }
};

const startEC2 = async (dir: string, fleet: Fleet) => {
  const vpcFile = join(dir, 'vpc.json');
  const logFile = join(dir, 'ec2.log');
  writeFileSync(vpcFile, JSON.stringify(fleet.vpc));
  const argv = [
    join(ROOT, 'hack', 'lab', 'ec2', 'main.ts'),
    ...['--vpc', vpcFile, '--profile', 'aws', '--listen', '127.0.0.1:0', '--fabric', 'none'],
    ...fleet.initial.flatMap((placement) => ['--initial', placement]),
  ];
  const child = startChild(argv, { LOG_LEVEL: 'warn' }, logFile);
  const [, url = ''] = await untilLogged(child, logFile, /"ready":true,"ec2":"([^"]+)"/, EC2_READY_MS);
  return { url, stop: child.stop };
};

const installChart = async (dir: string, { kubeconfig }: ControlPlane, fleet: Fleet): Promise<void> => {
  const { kubectl, helm } = await findKubeClients();
  const options = { env: { ...process.env, ...kubeEnvironment(dir, kubeconfig) }, timeoutMs: HELM_MS };
  const nodes = fleet.vpc.instances.map(({ name }) => name);
  for (const namespace of [SYSTEM, NAMESPACE])
    await run(kubectl, ['create', 'namespace', namespace], options);
  const values = { agents: { nodes, namespaces: [NAMESPACE] }, operator: { region: fleet.vpc.region } };
  const chart = join(ROOT, 'charts', 'hapair');
  await run(helm, ['install', 'hapair', chart, '--namespace', SYSTEM, '--values', '-'], {
    ...options,
    input: JSON.stringify(values),
  });
  const crds = ['crd/hapairs.hapair.io', 'crd/vrrpinstances.hapair.io'];
  await run(kubectl, ['wait', '--for=condition=Established', '--timeout=60s', ...crds], options);
};

const agentTokens = async ({ kubeconfig }: ControlPlane, fleet: Fleet): Promise<string[]> => {
  const tokens: string[] = [];
  const names = fleet.vpc.instances.map(({ name }, at) => ({ name, at }));
  const worker = async (): Promise<void> => {
    for (let next = names.shift(); next; next = names.shift())
      tokens[next.at] = await createToken(kubeconfig, SYSTEM, `hapair-agent-${next.name}`);
  };
  await Promise.all(Array.from({ length: TOKENS_AT_ONCE }, worker));
  return tokens;
};

type OperatorOptions = {
  dir: string;
  fleet: Fleet;
  controlPlane: ControlPlane;
  ec2URL: string;
  inspect: boolean;
};

/** With the flags of `make demo`. */
const startOperator = async (options: OperatorOptions): Promise<Operator> => {
  const { dir, fleet, controlPlane, ec2URL, inspect } = options;
  const kubeconfig = await writeServiceAccountKubeconfig({
    adminKubeconfig: controlPlane.kubeconfig,
    namespace: SYSTEM,
    serviceAccount: 'hapair-operator',
    file: join(dir, 'operator.kubeconfig'),
    server: controlPlane.server,
    caFile: controlPlane.caFile,
  });
  const logFile = join(dir, 'operator.log');
  const startedAtMs = performance.now();
  const child = startChild(
    [
      ...(inspect ? ['--inspect=127.0.0.1:0'] : []),
      join(ROOT, 'operator', 'main.ts'),
      ...['--kubeconfig', kubeconfig, '--region', fleet.vpc.region, '--namespace', SYSTEM],
      ...['--agent-username-template', `system:serviceaccount:${SYSTEM}:hapair-agent-<node>`],
      ...['--identity', 'bench', '--port', '0'],
    ],
    awsEnvironment(fleet.vpc, 'operator', ec2URL),
    logFile,
  );
  await untilLogged(child, logFile, /"port":\d+/, OPERATOR_READY_MS);
  const log = inspect ? readFileSync(logFile, 'utf8') : '';
  return {
    pid: child.child.pid ?? 0,
    logFile,
    startMs: performance.now() - startedAtMs,
    inspectorURL: /Debugger listening on (ws:\S+)/.exec(log)?.[1],
    ended: child.ended,
    stop: child.stop,
  };
};
