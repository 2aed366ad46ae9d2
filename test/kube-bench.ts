/** What `kube-chaos.test.ts` lets run while the API server misbehaves: a store, a queue that copies objects, a candidate. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callAPI } from '../hack/controlplane/api.ts';
import {
  type ChaosProxy,
  type Mischief,
  type RuleHandle,
  startChaosProxy,
} from '../hack/controlplane/chaos-proxy.ts';
import {
  type RestartableControlPlane,
  startRestartableControlPlane,
} from '../hack/controlplane/restartable.ts';
import { writeServiceAccountKubeconfig } from '../hack/controlplane/tokens.ts';
import { connect, isKubeError } from '../kube/client.ts';
import { Elector } from '../kube/elector.ts';
import type { ElectorTimes } from '../kube/elector-machine.ts';
import { LEASES, type Lease } from '../kube/lease-types.ts';
import { WorkQueue } from '../kube/queue.ts';
import type { Key, KubeObject, Resource, Store } from '../kube/types.ts';
import { type WatchOptions, watch } from '../kube/watcher.ts';

export const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap' };
export type ConfigMap = KubeObject & { data?: Record<string, string> };
export type Client = Awaited<ReturnType<typeof connect>>;

/** The deadline of every awaited condition: a busy machine may take most of it. */
const WAIT_MS = 60_000;

/** @throws Error when the condition does not come true. */
export const until = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
  const deadlineMs = performance.now() + WAIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${WAIT_MS} ms in vain until ${what}`);
    await sleep(10);
  }
};

export type ChaosWorld = {
  dir: string;
  plane: RestartableControlPlane;
  proxy: ChaosProxy;
  /** Straight to the API server. */
  admin: Client;
  /** A ServiceAccount's kubeconfig through the proxy; its token lies beside it as `<file>.token`. */
  writeProxied(name: string): Promise<string>;
  stop(): Promise<void>;
};

export const startChaosWorld = async (): Promise<ChaosWorld> => {
  const dir = await mkdtemp(join(tmpdir(), 'kube-chaos-'));
  const plane = await startRestartableControlPlane({ dir });
  const proxy = await startChaosProxy({
    ...{ dir: join(dir, 'chaos'), upstream: plane.server, caFile: plane.caFile },
  });
  const admin = await connect({ kubeconfigPath: plane.kubeconfig, userAgent: 'kube-test/1' });
  const serviceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'bench' } };
  await callAPI(plane.kubeconfig, 'POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: serviceAccount,
  });
  await callAPI(plane.kubeconfig, 'POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    body: {
      ...{
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'bench' },
      },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: 'bench', namespace: 'default' }],
    },
  });
  return {
    ...{ dir, plane, proxy, admin },
    writeProxied: (name) =>
      writeServiceAccountKubeconfig({
        ...{ adminKubeconfig: plane.kubeconfig, namespace: 'default', serviceAccount: 'bench' },
        ...{ file: join(dir, `${name}.kubeconfig`), server: proxy.server, caFile: proxy.caFile },
      }),
    async stop() {
      await admin.close();
      await proxy.close();
      await plane.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
};

/** A process that stands for election, and again when it has lost. */
export type Candidate = Pick<Elector, 'isLeader' | 'deadlineMs' | 'nudge' | 'release'> & { lost(): number };

export const startCandidate = (
  client: Client,
  key: Key,
  times: ElectorTimes,
  signal: AbortSignal,
): Candidate => {
  let losses = 0;
  const elector = new Elector({ client, key, ...times, onError: () => undefined });
  void elector.run(signal, (reign) =>
    reign.addEventListener('abort', () => {
      if (!signal.aborted) losses += 1;
    }),
  );
  return Object.assign(elector, { lost: () => losses });
};

/** Renews often and bears much, so that no busy machine costs it the lease. */
const PATIENT: ElectorTimes = { leaseDurationMs: 30_000, renewDeadlineMs: 20_000, retryPeriodMs: 400 };

const QUICK_RETRY = { firstMs: 50, baseMs: 100, maxMs: 500 };

export const configMap = (name: string, v: string, labels: Record<string, string>): ConfigMap => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default', labels } },
  data: { v },
});

const orUndefined = (error: unknown): undefined => {
  if (!isKubeError(error, 'NotFound')) throw error;
};

export type BenchOptions = Pick<WatchOptions, 'silenceMs' | 'answerMs'> & {
  /** Deadline of a call; default 2,000 ms. */
  deadlineMs?: number;
  /** Default: a token's, through the proxy. */
  kubeconfigPath?: string;
};

/**
 * One row's: copies of the ConfigMaps labelled with the row's name are kept by a queue that a store feeds, everything through
 * the proxy. The test changes the originals behind its back, straight at the API server.
 */
export class Bench {
  readonly row: string;
  readonly client: Client;
  readonly store: Store<ConfigMap>;
  readonly candidate: Candidate;
  readonly leaseKey: Key;
  /** The queue's failures and when it comes back. */
  readonly retries: { error: unknown; retryInMs: number }[] = [];
  readonly world: ChaosWorld;
  readonly #queue = new WorkQueue({ retry: QUICK_RETRY });
  readonly #stop = new AbortController();
  readonly #working: Promise<void>;

  private constructor(world: ChaosWorld, row: string, client: Client, options: BenchOptions) {
    this.world = world;
    this.row = row;
    this.client = client;
    this.leaseKey = `default/leader-of-${row}`;
    const { signal } = this.#stop;
    const { deadlineMs: _, kubeconfigPath: __, ...watchOptions } = options;
    this.store = watch<ConfigMap>(
      client,
      CONFIG_MAPS,
      { namespace: 'default', labelSelector: `row=${row}` },
      { ...watchOptions, signal, retry: QUICK_RETRY, onChange: (key) => this.#queue.add(key) },
    );
    this.candidate = startCandidate(client, this.leaseKey, PATIENT, signal);
    this.#working = this.#queue.run({
      ...{ workers: 4, signal, handle: (key) => this.#copy(key) },
      onError: (_key, error, retryInMs) => this.retries.push({ error, retryInMs }),
    });
  }

  /** Three originals, their copies, and a leader. */
  static async start(world: ChaosWorld, row: string, options: BenchOptions = {}): Promise<Bench> {
    const kubeconfigPath = options.kubeconfigPath ?? (await world.writeProxied(row));
    const { deadlineMs = 2_000 } = options;
    const client = await connect({ kubeconfigPath, userAgent: 'kube-test/1', deadlineMs });
    const bench = new Bench(world, row, client, options);
    for (const name of ['a', 'b', 'c']) await bench.#create(name, 'Grüße 1 🙂');
    await bench.settled();
    await until('a leader is elected', () => bench.candidate.isLeader());
    return bench;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  async #copy(key: Key): Promise<undefined> {
    const original = this.store.get(key);
    const name = `copy-of-${key.slice(key.indexOf('/') + 1)}`;
    if (original === undefined) await this.client.delete(CONFIG_MAPS, `default/${name}`).catch(orUndefined);
    else {
      const copy = configMap(name, original.data?.v ?? '', { 'copy-of': this.row });
      await this.client.apply(CONFIG_MAPS, copy, { fieldManager: 'copier' });
    }
    return undefined;
  }

  async #create(name: string, v: string): Promise<void> {
    await this.world.admin.create(CONFIG_MAPS, configMap(`${this.row}-${name}`, v, { row: this.row }));
  }

  /** Changes one, deletes one, deletes and recreates one, creates one. */
  async churn(): Promise<void> {
    const { admin } = this.world;
    const change = [{ op: 'replace', path: '/data/v', value: 'Grüße 2 世界' }];
    await admin.patch(CONFIG_MAPS, `default/${this.row}-a`, change);
    for (const name of ['b', 'c']) await admin.delete(CONFIG_MAPS, `default/${this.row}-${name}`);
    await this.#create('c', 'reborn');
    await this.#create('d', 'late');
  }

  /** Lets the queue write every copy again. */
  touch(): void {
    for (const { metadata } of this.store.list()) this.#queue.add(`default/${metadata.name}`);
  }

  /** The store is what a fresh list shows, versions and UIDs included, and so are the copies. */
  async settled(): Promise<void> {
    const { admin } = this.world;
    const identify = ({ metadata: { name, uid, resourceVersion } }: ConfigMap) =>
      `${name} ${uid} ${resourceVersion}`;
    const content = ({ metadata: { name }, data }: ConfigMap) => `${name.replace('copy-of-', '')} ${data?.v}`;
    let seen = '';
    const isSettled = async () => {
      const [originals, copies] = await Promise.all([
        admin.list<ConfigMap>(CONFIG_MAPS, { namespace: 'default', labelSelector: `row=${this.row}` }),
        admin.list<ConfigMap>(CONFIG_MAPS, { namespace: 'default', labelSelector: `copy-of=${this.row}` }),
      ]);
      const rows = [originals.items.map(identify), this.store.list().map(identify)];
      const contents = [originals.items.map(content), copies.items.map(content)];
      const [expected, found, wanted, copied] = [...rows, ...contents].map((lines) =>
        lines.sort().join('\n'),
      );
      seen = `expected\n${expected}\nfound\n${found}\ncopies\n${copied}\nstore error: ${this.store.error()?.message}`;
      return expected === found && wanted === copied;
    };
    await until('the store and the copies are what the API server has', isSettled).catch((error: Error) => {
      throw new Error(`${error.message}; ${seen}`);
    });
  }

  /** The leader has renewed since now. */
  async renewed(): Promise<void> {
    const deadlineMs = this.candidate.deadlineMs();
    await until('the leader has renewed', () => this.candidate.deadlineMs() > deadlineMs);
  }

  lease(): Promise<Lease> {
    return this.world.admin.get<Lease>(LEASES, this.leaseKey);
  }

  /**
   * Mischief to renewals, to reads of the originals and to writes of copies; waits until each was hit so often. Renewals are
   * not hit oftener: how long the rest takes shall not cost the lease.
   */
  async suffer(mischief: Mischief, hits: number, meanwhile: () => Promise<void>): Promise<void> {
    const { proxy } = this.world;
    const isLease = (path: string) => path.endsWith(`/leader-of-${this.row}`);
    const handles: Record<string, RuleHandle> = {
      renewals: proxy.rule({ ...mischief, times: hits, match: ({ path }) => isLease(path) }),
      reads: proxy.rule({
        ...mischief,
        match: ({ query }) => query.get('labelSelector') === `row=${this.row}`,
      }),
      writes: proxy.rule({ ...mischief, match: ({ path }) => path.includes(`/copy-of-${this.row}`) }),
    };
    this.touch();
    await meanwhile();
    for (const [what, handle] of Object.entries(handles)) {
      await until(`${what} were hit ${hits} times`, () => handle.hits() >= hits);
    }
    for (const handle of Object.values(handles)) handle.remove();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#working;
    await this.client.close();
  }
}
