/** The chart in a lab's Kubernetes: installed once, and what was built on it cleared away. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callAPI } from '../controlplane/api.ts';
import { list } from '../controlplane/manifests.ts';

/** Where the chart is installed. */
export const NAMESPACE = 'hapair-system';

const ROOT = join(import.meta.dirname, '..', '..');
const CRD_TIMEOUT = '--timeout=30s';
const CRDS = ['crd/hapairs.hapair.io', 'crd/vrrpinstances.hapair.io'];

/** The real commands, whoever runs them where. Each throws an Error with what it said when it fails. */
export type KubeTools = Record<'kubectl' | 'helm', (args: string[], input?: string) => Promise<string>>;

/** What the chart is installed with. */
export type ChartValues = {
  /** Instances that may have an agent. */
  nodes: string[];
  /** Namespaces whose pairs the agents serve; made if missing. */
  namespaces: string[];
  region: string;
};

/** Installs the chart and waits for its CRDs. @throws Error with what helm or kubectl said */
export const installChart = async (tools: KubeTools, values: ChartValues): Promise<void> => {
  const { nodes, namespaces, region } = values;
  const spaces = [NAMESPACE, ...namespaces].map((name) => ({ kind: 'Namespace', metadata: { name } }));
  await tools.kubectl(['apply', '-f', '-'], list(spaces));
  const chart = join(ROOT, 'charts', 'hapair');
  const set = { agents: { nodes, namespaces }, operator: { region } };
  await tools.helm(
    ['install', 'hapair', chart, '--namespace', NAMESPACE, '--values', '-'],
    JSON.stringify(set),
  );
  await tools.kubectl(['wait', '--for=condition=Established', CRD_TIMEOUT, ...CRDS]);
};

/** What people and the product make, by its collection's path; HAPairs first, for the others go with them. */
const LEFTOVERS = [
  '/apis/hapair.io/v1alpha1/hapairs',
  '/apis/hapair.io/v1alpha1/vrrpinstances',
  '/apis/events.k8s.io/v1/events',
  '/apis/coordination.k8s.io/v1/leases',
  '/api/v1/secrets',
];
/** Helm's own Secrets of the release. */
const HELM = 'sh.helm.';
const SYSTEM = /^kube-|^default$/;
const CLEAR_MS = 30_000;
const LOOK_MS = 50;

type Item = { metadata: { name: string; namespace: string; finalizers?: string[] } };
type Leftover = { collection: string; name: string; hasFinalizers: boolean };

/**
 * Removes every HAPair and what belongs to pairs, so that nothing of an earlier use is left; the chart stays. Nothing of that
 * use may run any more.
 * @param kubeconfig an admin's
 * @throws Error when something is still there after half a minute
 */
export const clearPlane = async (kubeconfig: string): Promise<void> => {
  const deadline = performance.now() + CLEAR_MS;
  for (;;) {
    const left = (await Promise.all(LEFTOVERS.map((path) => leftAt(kubeconfig, path)))).flat();
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      const names = left.map(({ collection, name }) => `${collection}/${name}`);
      throw new Error(`Still on the control plane: ${names.join(', ')}.`);
    }
    for (const { collection, name } of left.filter(({ hasFinalizers }) => hasFinalizers))
      await callAPI(kubeconfig, 'PATCH', `${collection}/${name}`, {
        body: { metadata: { finalizers: null } },
        contentType: 'application/merge-patch+json',
      });
    for (const collection of new Set(left.map((one) => one.collection)))
      await callAPI(kubeconfig, 'DELETE', collection);
    await sleep(LOOK_MS);
  }
};

/** What is left of one kind, each by the collection of its namespace. */
const leftAt = async (kubeconfig: string, path: string): Promise<Leftover[]> => {
  const { status, body } = await callAPI(kubeconfig, 'GET', path);
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
  const [, group = '', plural = ''] = /^(.*)\/(\w+)$/.exec(path) ?? [];
  return (body as { items: Item[] }).items
    .map(({ metadata }) => metadata)
    .filter(({ name, namespace }) => !SYSTEM.test(namespace) && !name.startsWith(HELM))
    .map(({ name, namespace, finalizers = [] }) => ({
      collection: `${group}/namespaces/${namespace}/${plural}`,
      name,
      hasFinalizers: finalizers.length > 0,
    }));
};
