/** `kube/` against a real API server, which it started itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type RestartableControlPlane,
  startRestartableControlPlane,
} from '../hack/controlplane/restartable.ts';
import { connect, isKubeError, type KubeError } from '../kube/client.ts';
import { Elector } from '../kube/elector.ts';
import { EVENTS, EventRecorder, referenceTo } from '../kube/events.ts';
import { renewLease } from '../kube/lease.ts';
import { LEASES, type Lease } from '../kube/lease-types.ts';
import type { KubeObject, Resource, Store } from '../kube/types.ts';
import { watch } from '../kube/watcher.ts';

const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap' };
type ConfigMap = KubeObject & { data?: Record<string, string> };

/** The deadline of every awaited condition. */
const WAIT_MS = 30_000;

type World = {
  dir: string;
  plane: RestartableControlPlane;
  client: Awaited<ReturnType<typeof connect>>;
  stop(): Promise<void>;
};

const startWorld = async (): Promise<World> => {
  const dir = await mkdtemp(join(tmpdir(), 'kube-e2e-'));
  const plane = await startRestartableControlPlane({ dir });
  const client = await connect({ kubeconfigPath: plane.kubeconfig, userAgent: 'kube-test/1' });
  return {
    ...{ dir, plane, client },
    async stop() {
      await client.close();
      await plane.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
};

const until = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
  const deadlineMs = performance.now() + WAIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${WAIT_MS} ms in vain until ${what}`);
    await sleep(10);
  }
};

const configMap = (name: string, data: Record<string, string> = {}, labels = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels },
  data,
});

const kube = suite('kube');
let world: World;

kube.before(async () => {
  world = await startWorld();
});

kube.after(() => world?.stop());

/** Watches ConfigMaps of a label and keeps the keys it was told of. */
const watchMaps = (label: string) => {
  const stop = new AbortController();
  const changed: string[] = [];
  const store: Store<ConfigMap> = watch<ConfigMap>(
    world.client,
    CONFIG_MAPS,
    { namespace: 'default', labelSelector: `suite=${label}` },
    { signal: stop.signal, onChange: (key) => changed.push(key) },
  );
  return { store, changed, stop: () => stop.abort() };
};

kube('creates, reads, replaces, patches and deletes', async () => {
  const { client } = world;
  const created = await client.create(CONFIG_MAPS, configMap('crud', { a: '1' }));
  assert.ok(created.metadata.uid);
  const exists = await client.create(CONFIG_MAPS, configMap('crud')).catch((error: unknown) => error);
  assert.ok(isKubeError(exists, 'AlreadyExists'));
  const replaced = await client.replace(CONFIG_MAPS, { ...created, data: { a: '2' } });
  assert.equal(replaced.data, { a: '2' });
  const stale = await client
    .replace(CONFIG_MAPS, { ...created, data: { a: '3' } })
    .catch((error: unknown) => error);
  assert.ok(isKubeError(stale, 'Conflict'));
  const operations = [
    { op: 'test', path: '/data/a', value: '2' },
    { op: 'add', path: '/data/b', value: 'x' },
  ];
  const patched = await client.patch<ConfigMap>(CONFIG_MAPS, 'default/crud', operations);
  assert.equal(patched.data, { a: '2', b: 'x' });
  await client.delete(CONFIG_MAPS, 'default/crud');
  const missing = await client.get(CONFIG_MAPS, 'default/crud').catch((error: unknown) => error);
  assert.ok(isKubeError(missing, 'NotFound'));
  assert.match((missing as KubeError).message, 'get ConfigMap default/crud: 404 NotFound');
});

kube('a server-side apply that collides names the rival, and takes the field when forced', async () => {
  const { client } = world;
  await client.apply(CONFIG_MAPS, configMap('ssa', { who: 'rival' }), { fieldManager: 'rival' });
  const mine = configMap('ssa', { who: 'me' });
  const conflict = await client
    .apply(CONFIG_MAPS, mine, { fieldManager: 'me' })
    .catch((error: unknown) => error);
  assert.ok(isKubeError(conflict, 'Conflict'));
  assert.match(
    (conflict as KubeError).message,
    /apply ConfigMap default\/ssa as me: 409 .*"rival".*\.data\.who/s,
  );
  assert.equal((conflict as KubeError).conflicts, [
    { manager: 'rival', field: '.data.who' },
    { manager: 'rival', field: '.metadata.labels' },
  ]);
  const forced = await client.apply(CONFIG_MAPS, mine, { fieldManager: 'me', force: true });
  assert.equal(forced.data, { who: 'me' });
});

kube('1100 objects are created and listed in pages, over one or two connections', async () => {
  const counting = await startCountingProxy(world.plane.server);
  const kubeconfigPath = await world.plane.writeAdminKubeconfig(join(world.dir, 'proxied'), counting.server);
  const client = await connect({ kubeconfigPath, userAgent: 'kube-test/1' });
  try {
    for (let count = 0; count < 1_100; count++) {
      await client.create(CONFIG_MAPS, configMap(`page-${count}`, {}, { suite: 'pages' }));
    }
    const { items } = await client.list<ConfigMap>(CONFIG_MAPS, { labelSelector: 'suite=pages' });
    assert.is(new Set(items.map(({ metadata }) => metadata.name)).size, 1_100);
    assert.is(items[0]?.kind, 'ConfigMap');
    assert.ok(counting.connections() <= 2, `${counting.connections()} connections`);
    const watched = watchMaps('pages');
    await watched.store.synced;
    assert.is(watched.store.list().length, 1_100);
    watched.stop();
  } finally {
    await client.close();
    counting.close();
  }
});

kube('a watch sees create, update and delete, and an object that leaves its selection', async () => {
  const { client } = world;
  const { store, changed, stop } = watchMaps('watch');
  await store.synced;
  await client.create(CONFIG_MAPS, configMap('w1', { v: '1' }, { suite: 'watch' }));
  await until('w1 is seen', () => store.get('default/w1')?.data?.v === '1');
  await client.apply(CONFIG_MAPS, configMap('w1', { v: '2' }, { suite: 'watch' }), {
    fieldManager: 'x',
    force: true,
  });
  await until('w1 is seen changed', () => store.get('default/w1')?.data?.v === '2');
  assert.not('managedFields' in (store.get('default/w1')?.metadata ?? {}));
  const leave = [{ op: 'replace', path: '/metadata/labels/suite', value: 'elsewhere' }];
  await client.patch(CONFIG_MAPS, 'default/w1', leave);
  await until('w1 has left', () => store.get('default/w1') === undefined);
  await client.create(CONFIG_MAPS, configMap('w2', {}, { suite: 'watch' }));
  await until('w2 is seen', () => store.get('default/w2') !== undefined);
  await client.delete(CONFIG_MAPS, 'default/w2');
  await until('w2 is gone', () => store.get('default/w2') === undefined);
  assert.equal([...new Set(changed)], ['default/w1', 'default/w2']);
  stop();
});

kube('a refresh shows what was written before it, without waiting for an event', async () => {
  const { client } = world;
  const { store, stop } = watchMaps('refresh');
  await store.synced;
  for (let count = 0; count < 5; count++) {
    await client.create(CONFIG_MAPS, configMap(`fresh-${count}`, {}, { suite: 'refresh' }));
    await store.refresh();
    assert.ok(store.get(`default/fresh-${count}`));
  }
  await client.delete(CONFIG_MAPS, 'default/fresh-0');
  await store.refresh();
  assert.is(store.get('default/fresh-0'), undefined);
  assert.is(store.stats().relists, 6);
  stop();
});

kube('two stand for election: one leads, and a release that the other hears of hands over', async () => {
  const { client } = world;
  const stop = new AbortController();
  const errors: unknown[] = [];
  const stand = () => {
    const elector = new Elector({
      ...{ client, key: 'default/leader', onError: (error: unknown) => errors.push(error) },
    });
    return Object.assign(elector, { done: elector.run(stop.signal) });
  };
  const first = stand();
  await until('the first leads', () => first.isLeader());
  const second = stand();
  watch<Lease>(
    client,
    LEASES,
    { namespace: 'default' },
    { signal: stop.signal, onChange: () => second.nudge() },
  );
  await until('the second knows who leads', () => second.leaderIdentity() !== undefined);
  assert.not(second.isLeader());
  await first.release();
  await first.done;
  await until('the second leads', () => second.isLeader());
  const { spec } = await client.get<Lease>(LEASES, 'default/leader');
  assert.is(spec?.holderIdentity, second.leaderIdentity());
  assert.is(spec?.leaseTransitions, 1);
  assert.equal(errors, []);
  await second.release();
  stop.abort();
});

kube('an Event repeated is one Event with a count', async () => {
  const { client } = world;
  const about = await client.create(CONFIG_MAPS, configMap('eventful'));
  const { signal } = new AbortController();
  const recorder = new EventRecorder({ client, controller: 'example.io/test', instance: 'test-0', signal });
  const regarding = referenceTo(about, CONFIG_MAPS);
  for (let count = 0; count < 3; count++) {
    recorder.record({ regarding, type: 'Normal', reason: 'Repeated', message: 'the same again' });
  }
  await recorder.flush();
  assert.is(recorder.dropped(), 0);
  // The core form is the one `kubectl describe` reads.
  const core: Resource = { ...EVENTS, group: '' };
  type CoreEvent = KubeObject & { message: string; series?: { count: number }; reportingComponent: string };
  const fieldSelector = `involvedObject.uid=${about.metadata.uid}`;
  const { items } = await client.list<CoreEvent>(core, { namespace: 'default', fieldSelector });
  assert.is(items.length, 1);
  assert.is(items[0]?.series?.count, 3);
  assert.is(items[0]?.reportingComponent, 'example.io/test');
});

kube('a Lease is created and renewed', async () => {
  const { client } = world;
  const stop = new AbortController();
  const errors: unknown[] = [];
  let renewals = 0;
  const done = renewLease({
    ...{ client, key: 'default/sign-of-life', holderIdentity: 'me', fieldManager: 'kube-test' },
    ...{ intervalMs: 100, signal: stop.signal, onError: (error: unknown) => errors.push(error) },
    onRenewed: () => renewals++,
  });
  await until('it was renewed twice', () => renewals >= 2);
  stop.abort();
  await done;
  const lease = await client.get<Lease>(LEASES, 'default/sign-of-life');
  assert.is(lease.spec?.holderIdentity, 'me');
  assert.ok((lease.spec?.renewTime ?? '') > (lease.spec?.acquireTime ?? ''));
  assert.equal(errors, []);
});

kube('a watch goes on after the API server was killed and came back', async () => {
  const { client } = world;
  const { store, stop } = watchMaps('restart');
  await store.synced;
  await client.create(CONFIG_MAPS, configMap('r1', {}, { suite: 'restart' }));
  await until('r1 is seen', () => store.get('default/r1') !== undefined);
  await world.plane.kill('kube-apiserver');
  world.plane.start('kube-apiserver');
  await until('the loss is seen', () => store.error() !== undefined);
  assert.ok(store.get('default/r1'), 'the store keeps what it has');
  const late = configMap('r2', {}, { suite: 'restart' });
  await until('the API server takes a write', () =>
    client.create(CONFIG_MAPS, late, { timeoutMs: 1_000 }).then(
      () => true,
      (error: unknown) => isKubeError(error, 'AlreadyExists'),
    ),
  );
  await until('r2 is seen', () => store.get('default/r2') !== undefined);
  assert.is(store.error(), undefined);
  stop();
});

kube("etcd's data of before can be put back: what was stored since is gone", async () => {
  const { client, plane } = world;
  const isStored = async (name: string): Promise<boolean | undefined> =>
    client.get(CONFIG_MAPS, `default/${name}`, { timeoutMs: 1_000 }).then(
      () => true,
      (error: unknown) => (isKubeError(error, 'NotFound') ? false : undefined),
    );
  await client.create(CONFIG_MAPS, configMap('kept'));
  await plane.copyData();
  await client.create(CONFIG_MAPS, configMap('lost'));
  await plane.putBackData();
  await until('the API server answers again', async () => (await isStored('kept')) !== undefined);
  assert.is(await isStored('kept'), true);
  assert.is(await isStored('lost'), false);
});

/** A TCP proxy in front of a server that counts the connections made through it. */
const startCountingProxy = async (server: string) => {
  const { hostname, port } = new URL(server);
  let connections = 0;
  const proxy = createServer((socket) => {
    connections++;
    const upstream = dial(Number(port), hostname);
    socket.pipe(upstream).pipe(socket);
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address() as AddressInfo;
  return {
    server: `https://127.0.0.1:${address.port}`,
    connections: () => connections,
    close: () => proxy.close(),
  };
};

kube.run();
