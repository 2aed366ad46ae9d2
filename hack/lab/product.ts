/**
 * The product on the lab, as its users run it: the Helm chart installed, the operator and an agent per instance with tokens
 * of their own ServiceAccounts, so that the chart's RBAC is what they live with.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { list } from '../controlplane/manifests.ts';
import { writeServiceAccountKubeconfig } from '../controlplane/tokens.ts';
import type { Exit, Watch } from './channel.ts';
import { clearPlane, installChart, NAMESPACE } from './chart.ts';
import { awsEnvironment } from './environment.ts';
import { type LabProcess, within } from './handles.ts';
import type { Lab } from './lab.ts';
import { MANAGEMENT } from './vpc.ts';

/** How the product is to run. */
export type ProductOptions = {
  /** Instances that get an agent; default all. */
  nodes?: string[];
  /** Namespaces whose pairs the agents serve; made if missing, each with a Secret. Default `prod`. */
  namespaces?: string[];
  /** Keys of the Secret `hapair-vrrp`, each with a password of its own. Default `web`. */
  secretKeys?: string[];
  /** The command line that starts an agent, before its own flags; default: from the source tree. */
  agentProgram?: string[];
  /** Added to the environment of the operator, of the agents. */
  operatorEnv?: Record<string, string>;
  agentEnv?: Record<string, string>;
  /** Added to the operator's flags. */
  operatorArgs?: string[];
  /** What each agent's configuration lets health checks run, by the folder that is its node's disk; default nothing. */
  commands?: (disk: string) => Record<string, { command: string[] }>;
  /** An operator that has failed is started again ever later, as the kubelet does with a pod; default: after a second. */
  backOff?: boolean;
  /** Default true. */
  startOperator?: boolean;
  /** Default true. */
  startAgents?: boolean;
  onLog?: (line: string) => void;
};

/** What differs from an operator's usual start. */
export type OperatorStart = { env?: Record<string, string>; args?: string[] };

/** The product that runs on a lab. */
export type Product = {
  namespace: string;
  /** The operator's output. An agent's is `lab.node(name).logOf('agent')`. */
  operatorLog: string;
  /**
   * Starts the operator. As a Deployment does, it is started again when it ends as failed.
   * @throws Error when it runs already.
   */
  startOperator(options?: OperatorStart, watch?: Watch): Promise<LabProcess>;
  /** Ends it by a signal, default SIGKILL, and waits for its end. */
  killOperator(signal?: NodeJS.Signals): Promise<Exit>;
  operatorRuns(): boolean;
  /**
   * Starts one more operator, under this name and in the place of this name (see places.ts). Its output goes to
   * `operator-<name>.log`, and EC2's log shows it by `app/<name>` in the user agent.
   */
  startReplica(name: string, args: string[], watch?: Watch): Promise<LabProcess>;
  /** Starts the agent of an instance (service `agent`, which also starts at every boot). */
  startAgent(node: string): Promise<LabProcess>;
};

const ROOT = join(import.meta.dirname, '..', '..');
const SOURCE_AGENT = [process.execPath, join(ROOT, 'agent', 'main.ts')];
const KUBERNETES_URL = `https://${MANAGEMENT.world}:${MANAGEMENT.kubernetesPort}`;
const END_MS = 60_000;
/** Exit code of a program that failed. */
const FAILED = 1;
/** Before it is started again: one that cannot start makes no hot loop. */
const RESTART_MS = 1_000;
/** The kubelet's CrashLoopBackOff: at once, then 10 s, doubled up to five minutes, and anew after ten minutes without a failure. */
const BACK_OFF = { firstMs: 10_000, mostMs: 300_000, forgottenMs: 600_000 };

/**
 * Installs the chart, or clears away what others have left on a shared control plane, and starts the processes; about five
 * seconds. Afterwards a HAPair can be applied.
 * @throws Error with what helm, kubectl or a process said.
 */
export const installProduct = async (lab: Lab, options: ProductOptions = {}): Promise<Product> => {
  const { namespaces = ['prod'], secretKeys = ['web'], onLog = () => undefined } = options;
  const { nodes = lab.vpc.instances.map(({ name }) => name) } = options;
  if (lab.sharesPlane) await clearPlane(lab.kubeconfigPath);
  else await installChart(lab, { nodes, namespaces, region: lab.vpc.region });
  onLog('the chart is installed');
  await Promise.all([
    // Its garbage collector learns of CRDs that come later only after half a minute.
    ...(lab.sharesPlane ? [] : [lab.startControllerManager()]),
    lab.kubectl(['apply', '-f', '-'], secrets(namespaces, secretKeys)),
    ...nodes.map((node) => configureAgent(lab, node, namespaces, options)),
  ]);
  const product = await productOf(lab, options);
  if (options.startAgents !== false) {
    await Promise.all(nodes.map((node) => product.startAgent(node)));
    onLog('the agents run');
  }
  if (options.startOperator !== false) {
    await product.startOperator();
    onLog('the operator runs');
  }
  return product;
};

/** A password of eight printable characters per key, as VRRP version 2 takes it. */
const secrets = (namespaces: string[], keys: string[]): string => {
  const stringData = (): Record<string, string> =>
    Object.fromEntries(keys.map((key) => [key, randomBytes(6).toString('base64url')]));
  return list(
    namespaces.map((namespace) => ({
      kind: 'Secret',
      metadata: { name: 'hapair-vrrp', namespace },
      stringData: stringData(),
    })),
  );
};

/** A kubeconfig for inside with a token of the ServiceAccount. */
const accessOf = (lab: Lab, serviceAccount: string, file: string): Promise<string> =>
  writeServiceAccountKubeconfig({
    adminKubeconfig: lab.kubeconfigPath,
    namespace: NAMESPACE,
    serviceAccount,
    file,
    server: KUBERNETES_URL,
    caFile: lab.kubeCAFile,
  });

/** Everything lies on the instance's disk, so that a boot finds it again. */
const configureAgent = async (
  lab: Lab,
  name: string,
  namespaces: string[],
  { agentEnv: env = {}, agentProgram = SOURCE_AGENT, commands = () => ({}) }: ProductOptions,
): Promise<void> => {
  const node = lab.node(name);
  const kubeconfig = await accessOf(lab, `hapair-agent-${name}`, join(node.dir, 'kubeconfig'));
  const file = join(node.dir, 'agent.yaml');
  const config = {
    nodeName: name,
    namespaces,
    kubeconfig,
    stateDir: join(node.dir, 'state'),
    leaseNamespace: NAMESPACE,
    checks: { hosts: ['localhost'], body: true },
    commands: commands(node.dir),
  };
  writeFileSync(file, JSON.stringify(config, undefined, 2)); // JSON is YAML
  chmodSync(file, 0o600);
  const argv = [...agentProgram, '--config', file];
  await node.setService({ name: 'agent', argv, env });
};

const productOf = async (lab: Lab, options: ProductOptions): Promise<Product> => {
  const kubeconfig = await accessOf(lab, 'hapair-operator', join(lab.dir, 'operator.kubeconfig'));
  const operatorLog = join(lab.dir, 'operator.log');
  let operator: LabProcess | undefined;
  /** Its start after an end as failed, while that is under way. */
  let restart: Promise<unknown> | undefined;
  let failures = 0;
  /** How long the operator stays down that has failed after so long a life. */
  const restartMs = (livedMs: number): number => {
    if (options.backOff !== true) return RESTART_MS;
    failures = livedMs >= BACK_OFF.forgottenMs ? 1 : failures + 1;
    return failures === 1 ? 0 : Math.min(BACK_OFF.mostMs, BACK_OFF.firstMs * 2 ** (failures - 2));
  };
  const start = async (spec: OperatorStart, watch: Watch): Promise<LabProcess> => {
    const started = await lab.spawn(
      {
        name: 'operator',
        where: 'world',
        argv: [
          ...operatorCommand(lab, kubeconfig, 'operator'),
          ...(options.operatorArgs ?? []),
          ...(spec.args ?? []),
        ],
        env: { ...awsEnvironment(lab.vpc, 'operator'), ...options.operatorEnv, ...spec.env },
        logFile: operatorLog,
      },
      watch,
    );
    operator = started;
    const startedMs = performance.now();
    void started.exited.then(({ code }) => {
      if (operator !== started) return;
      operator = undefined;
      if (code !== FAILED || lab.ended() !== undefined) return;
      restart = sleep(restartMs(performance.now() - startedMs))
        .then(() => (lab.ended() === undefined ? start(spec, watch) : undefined))
        .catch(() => undefined) // whoever waits for the operator says that it is missing
        .finally(() => {
          restart = undefined;
        });
    });
    return started;
  };
  return {
    namespace: NAMESPACE,
    operatorLog,
    startOperator: async (spec = {}, watch = {}) => {
      await restart;
      if (operator !== undefined) throw new Error('The operator runs already.');
      return start(spec, watch);
    },
    killOperator: async (signal = 'SIGKILL') => {
      await restart;
      if (operator === undefined) throw new Error('The operator does not run.');
      const { exited, kill } = operator;
      await kill(signal);
      return within(exited, END_MS, `The operator did not end after ${signal}`);
    },
    operatorRuns: () => operator !== undefined,
    startReplica: (name, args, watch) =>
      lab.spawn(
        {
          name: `operator-${name}`,
          where: name,
          argv: [...operatorCommand(lab, kubeconfig, name), ...(options.operatorArgs ?? []), ...args],
          env: {
            ...awsEnvironment(lab.vpc, 'operator'),
            AWS_SDK_UA_APP_ID: name,
            ...options.operatorEnv,
          },
        },
        watch,
      ),
    startAgent: (node) => lab.node(node).startService('agent'),
  };
};

/** Under a name of its own it need not wait for the Lease of its predecessor, as a container that restarts in its pod. */
const operatorCommand = (lab: Lab, kubeconfig: string, identity: string): string[] => [
  ...[process.execPath, join(ROOT, 'operator', 'main.ts')],
  ...['--kubeconfig', kubeconfig, '--region', lab.vpc.region, '--namespace', NAMESPACE],
  ...['--agent-username-template', `system:serviceaccount:${NAMESPACE}:hapair-agent-<node>`],
  ...['--identity', identity, '--port', '0'],
];
