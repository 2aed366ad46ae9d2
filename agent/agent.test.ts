/** The agent as a whole, where no part of it can be seen alone. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VRRPInstance } from '../crds/types.ts';
import { KubeError } from '../kube/client.ts';
import { LEASES, type Lease } from '../kube/lease-types.ts';
import type { KubeObject, Resource } from '../kube/types.ts';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { runAgent, type Surroundings } from './agent.ts';
import { spec } from './testing/pair-bench.ts';
import type { WorkerStats } from './worker/messages.ts';
import type { VRRPWorkerOptions } from './worker/worker-client.ts';

const OWN = '10.10.10.11';
const PAIR = 'prod/web';

const NOTHING_COUNTED: WorkerStats = {
  pairs: {},
  lateness: { boundsMs: [], counts: [0], sumMs: 0, maxMs: 0 },
};

/** An agent that runs one pair; `holder` writes its node's Lease, `reports` are the states it has reported. */
const createAgent = () => {
  const clock = createVirtualClock();
  const reports: string[] = [];
  let version = 0;
  const instance: VRRPInstance = {
    apiVersion: 'hapair.io/v1alpha1',
    kind: 'VRRPInstance',
    metadata: { name: 'web.node1', namespace: 'prod', uid: 'u1', generation: 1, resourceVersion: '1' },
    spec: spec(),
  };
  let lease: Lease = { metadata: { name: 'hapair-agent-node1', namespace: 'hapair-system' } };
  /** Somebody who has held the Lease for an hour renews it. */
  const renewAs = (holderIdentity: string) => {
    version += 1;
    const since = '2026-11-22T09:00:00.000000Z';
    lease = {
      metadata: { ...lease.metadata, resourceVersion: String(version) },
      spec: { holderIdentity, acquireTime: since, renewTime: String(version), leaseDurationSeconds: 40 },
    };
  };
  const unused = (): never => {
    throw new Error('the agent makes no such call');
  };
  const kube: Surroundings['kube'] = {
    async get<T extends KubeObject>(resource: Resource, key: string) {
      if (resource === LEASES) return structuredClone(lease) as unknown as T;
      if (key === `${PAIR}.node1`) return structuredClone(instance) as unknown as T;
      throw new KubeError('none', { kind: 'NotFound' });
    },
    list: async () => ({ items: [], resourceVersion: '1' }),
    async apply<T extends KubeObject & { status?: { state?: string } }>(resource: Resource, object: T) {
      if (resource !== LEASES) reports.push(object.status?.state ?? 'none');
      version += 1;
      return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    },
    ...{ create: unused, replace: unused, patch: unused, delete: unused },
    close: async () => undefined,
    async listPage<T extends KubeObject>() {
      const items = [structuredClone(instance)] as unknown as T[];
      return { items, resourceVersion: '1', continueToken: undefined };
    },
    openWatch: () => new Promise(() => undefined),
  };
  const worker: { hears?: VRRPWorkerOptions['onMessage'] } = {};
  const enter = (state: 'Backup' | 'Init', reason: 'AgentStarted' | 'AgentStopping') =>
    worker.hears?.({ type: 'state', pair: PAIR, state, reason, atMs: clock.now() });
  const log = { info() {}, warn() {}, error() {} };
  const config = {
    ...{ nodeName: 'node1', namespaces: ['prod'], leaseNamespace: 'hapair-system' },
    ...{ stateDir: '/nonexistent', stopTimeoutSeconds: 20, commands: {}, file: '/nonexistent/agent.yaml' },
    metrics: { bindAddress: '127.0.0.1', port: 0 },
    limits: { pairs: 256, minimumAdvertisementIntervalMilliseconds: 10 },
    checks: { hosts: [], body: false },
  };
  const agent = runAgent(config, '0.1.0', log, {
    ...{ kube, records: [], clock, random: () => 0, holderIdentity: 'node1_younger' },
    openDisk: () => ({
      save: async () => undefined,
      note: async () => undefined,
      remove: async () => undefined,
    }),
    startWorker({ onMessage }) {
      worker.hears = onMessage;
      return {
        send: () => undefined,
        // As the real one does: each instance goes to Init, and then the thread is gone.
        stop: async () => enter('Init', 'AgentStopping'),
        ping: async () => ({
          type: 'pong',
          id: 1,
          lastAdvertAtMs: {},
          realtime: true,
          stats: NOTHING_COUNTED,
        }),
      };
    },
    watchInterfaces({ onReading }) {
      const addresses = [{ address: OWN, prefixLength: 24 }];
      void Promise.resolve().then(() =>
        onReading({ interfaces: [{ name: 'eth0', up: true, addresses }], reserved: [] }),
      );
      return { add: async () => undefined, remove: async () => undefined };
    },
    imds: {
      read: async () => ({
        instanceID: 'i-1',
        networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses: [OWN] }],
      }),
      close: () => undefined,
    },
    checkRunner: async () => ({ result: 'success' }),
  });
  return { agent, clock, reports, renewAs, enter };
};

test('an agent that finds an older one of its node’s name ends without another word', async () => {
  const { agent, clock, reports, renewAs, enter } = createAgent();
  renewAs('node1_older');
  await clock.advance(1_000);
  enter('Backup', 'AgentStarted');
  await clock.advance(500);
  assert.equal(reports, ['Backup']);
  renewAs('node1_older');
  await clock.advance(5_000);
  assert.match((await agent.failed).message, 'it renews the Lease hapair-agent-node1 as node1_older');
  await clock.advance(60_000);
  assert.equal(reports, ['Backup']);
});

test.run();
