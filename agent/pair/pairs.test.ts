import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { VRRPInstance } from '../../crds/types.ts';
import { KubeError } from '../../kube/client.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { AgentClient } from '../api/reports.ts';
import { loadRecords, openDisk } from '../node/disk.ts';
import { emptyRecord } from '../ports.ts';
import type { Limits } from '../rules/limits.ts';
import { spec, VIP } from '../testing/pair-bench.ts';
import type { ToWorker } from '../worker/messages.ts';
import type { AgentHandover } from './handover.ts';
import { Pairs } from './pairs.ts';

type Context = { directory: string };
const test = suite<Context>('pairs');

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'hapair-pairs-'));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true }));

const instance = (pairName = 'web', change: Partial<VRRPInstance['metadata']> = {}): VRRPInstance => ({
  apiVersion: 'hapair.io/v1alpha1',
  kind: 'VRRPInstance',
  metadata: { name: `${pairName}.node1`, namespace: 'prod', uid: 'u1', generation: 1, ...change },
  spec: spec({ pairName }),
});

/** An API server with one map of instances, which the watch has brought in full. */
const createWorld = (directory: string, handover?: AgentHandover, limits?: Limits) => {
  const instances = new Map<string, VRRPInstance>();
  const sent: ToWorker[] = [];
  const timers: (() => void)[] = [];
  /** `aheadMs`: how much time a test has let pass. */
  const world = { instances, sent, timers, apiUp: true, aheadMs: 0, removed: [] as string[] };
  const answer = <T>(value: unknown): T => {
    if (!world.apiUp) throw new KubeError('connection refused', { kind: 'Unreachable' });
    if (value === undefined) throw new KubeError('not found', { kind: 'NotFound' });
    return value as T;
  };
  const client: AgentClient = {
    get: async (_, key) => answer(instances.get(key)),
    list: async () => answer({ items: [...instances.values()], resourceVersion: '1' }),
    apply: async (_, object) => answer(object),
  };
  const pairs = new Pairs({
    nodeName: 'node1',
    leaseNamespace: 'hapair-system',
    openDisk: (record) => openDisk(directory, record),
    agentVersion: '0.1.0',
    ...(limits && { limits }),
    client,
    addresses: {
      add: async () => {},
      remove: async (_, address) => void world.removed.push(address),
    },
    checks: { follow: () => [] },
    send: (message) => sent.push(message),
    lastContactMs: () => systemClock.now(),
    clock: {
      ...systemClock,
      now: () => systemClock.now() + world.aheadMs,
      setTimer(_, fire) {
        timers.push(fire);
        return () => {};
      },
    },
    log: { info: () => {}, warn: () => {}, error: () => {} },
    handover,
  });
  pairs.interfaces({
    interfaces: [{ name: 'eth0', up: true, addresses: [{ address: '10.10.10.11', prefixLength: 24 }] }],
    reserved: [],
  });
  const addresses = ['10.10.10.11'];
  pairs.imds({
    instanceID: 'i-1',
    networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses }],
  });
  const store = { get: (key: string) => instances.get(key), list: () => [...instances.values()] };
  const put = (object: VRRPInstance) => {
    const key = `prod/${object.metadata.name}`;
    instances.set(key, object);
    pairs.ownChanged(store, key);
  };
  const drop = (key: string) => {
    instances.delete(key);
    pairs.ownChanged(store, key);
  };
  return Object.assign(world, { pairs, store, put, drop });
};

/** Waits for a fact that files and promises bring about. */
const until = async (what: string, fact: () => boolean): Promise<void> => {
  const deadlineMs = performance.now() + 10_000;
  while (!fact()) {
    if (performance.now() > deadlineMs) throw new Error(`not seen: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
};
const types = (sent: ToWorker[]) => sent.map(({ type }) => type);

test('an instance of this node becomes a pair, a dotted name too', async ({ directory }) => {
  const { pairs, put, sent } = createWorld(directory);
  put(instance('web.blue'));
  await until('the worker runs it', () => types(sent).includes('set'));
  assert.equal(pairs.keys(), ['prod/web.blue']);
  await pairs.close();
});

test('a change of one pair’s peer is news for that pair alone', async ({ directory }) => {
  const { pairs, put, store, sent, instances } = createWorld(directory);
  for (const pairName of ['api', 'web']) {
    const peer = instance(pairName, { name: `${pairName}.node2` });
    instances.set(`prod/${pairName}.node2`, { ...peer, spec: spec({ pairName, nodeName: 'node2' }) });
    put(instance(pairName));
  }
  await until('the worker runs both', () => sent.filter(({ type }) => type === 'set').length === 2);
  const peerOf = (name: string) =>
    loadRecords(directory, { info() {}, warn() {}, error() {} }).find(({ pairName }) => pairName === name)
      ?.peerNode;
  for (const pair of pairs.keys())
    pairs.worker({ type: 'state', pair, state: 'Backup', reason: 'AgentStarted', atMs: 0 });
  pairs.peerChanged(store, 'prod/web.node2');
  await until('it is on disk', () => peerOf('web') === 'node2');
  assert.is(peerOf('api'), null);
  await pairs.close();
});

test('a deleted instance is forgotten after a read without it', async ({ directory }) => {
  const { pairs, put, drop, sent } = createWorld(directory);
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  drop('prod/web.node1');
  await until('forgotten', () => pairs.keys().length === 0);
  assert.is(types(sent).at(-1), 'remove');
  assert.equal(readdirSync(directory), []);
});

test('with the API unreachable nothing is forgotten, and the read is repeated', async ({ directory }) => {
  const world = createWorld(directory);
  const { pairs, put, drop, sent, timers } = world;
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  world.apiUp = false;
  timers.length = 0;
  drop('prod/web.node1');
  await until('the failed read', () => timers.length > 0);
  assert.equal(pairs.keys(), ['prod/web']);
  world.apiUp = true;
  for (const fire of timers.splice(0)) fire();
  await until('forgotten', () => pairs.keys().length === 0);
});

test('an event that lies is not believed: the instance is still there', async ({ directory }) => {
  const { pairs, put, sent, store, instances } = createWorld(directory);
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  pairs.ownChanged({ ...store, get: () => undefined }, 'prod/web.node1');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(pairs.keys(), ['prod/web']);
  assert.is(instances.size, 1);
  await pairs.close();
});

test('T16: an instance that is being deleted is forgotten, and not begun anew', async ({ directory }) => {
  const { pairs, put, sent } = createWorld(directory);
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  const deletionTimestamp = '2026-11-22T10:00:00Z';
  put(instance('web', { deletionTimestamp }));
  await until('forgotten', () => pairs.keys().length === 0);
  put(instance('web', { deletionTimestamp, generation: 2 }));
  assert.equal(pairs.keys(), []);
});

const onDisk = {
  ...emptyRecord('prod', 'web'),
  uid: 'u1',
  generation: 1,
  spec: spec(),
  added: [VIP],
  interface: 'eth0',
};

test('a pair from disk that the list does not show is forgotten; the address it added stays known', async ({
  directory,
}) => {
  const { pairs, put, store } = createWorld(directory);
  await openDisk(directory, onDisk).save(onDisk);
  pairs.restore({ ...onDisk, verifiedNetworkInterfaceID: 'eni-1' });
  assert.equal(pairs.keys(), ['prod/web']);
  pairs.interfaces({
    interfaces: [
      {
        name: 'eth0',
        up: true,
        addresses: [
          { address: '10.10.10.11', prefixLength: 24 },
          { address: VIP, prefixLength: 32 },
        ],
      },
    ],
    reserved: [],
  });
  pairs.imds(null);
  pairs.ownListed(store, 'prod');
  await until('forgotten', () => pairs.keys().length === 0);
  assert.equal(readdirSync(directory), ['prod.web.pair']);
  put(instance());
  assert.not(pairs.isDrained, 'the new pair knows that the address on the interface is ours');
  await pairs.close();
});

test('T16: what a pair has left behind goes once EC2 has stopped delivering it here, and so does its file', async ({
  directory,
}) => {
  const world = createWorld(directory);
  const { pairs } = world;
  const left = { ...onDisk, uid: null, generation: null, spec: null, verifiedNetworkInterfaceID: 'eni-1' };
  await openDisk(directory, left).save(left);
  pairs.restore(left);
  const imds = (addresses: string[]) =>
    pairs.imds({
      instanceID: 'i-1',
      networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses }],
    });
  imds(['10.10.10.11', VIP]);
  world.aheadMs = 60_000;
  imds(['10.10.10.11']);
  assert.equal(world.removed, []);
  world.aheadMs = 120_000;
  imds(['10.10.10.11']);
  await until('off', () => world.removed.includes(VIP));
  await until('forgotten', () => readdirSync(directory).length === 0);
});

test('beyond as many pairs as its owner allows, a node runs no pair, and those that run go on', async ({
  directory,
}) => {
  const world = createWorld(directory, undefined, { pairs: 1, minimumAdvertisementIntervalMilliseconds: 10 });
  const { pairs, put, sent } = world;
  put(instance('web'));
  await until('the worker runs it', () => types(sent).includes('set'));
  put(instance('db', { uid: 'u2' }));
  await until('it is said', () =>
    pairs.snapshot().some(({ key, isLoaded }) => key === 'prod/db' && !isLoaded),
  );
  await until('tried', () => world.timers.length > 0);
  const ran = sent.flatMap((message) => (message.type === 'set' ? [message.pair] : []));
  assert.equal([...new Set(ran)], ['prod/web']);
  await pairs.close();
});

test('a pair of a namespace that is served no more does not run, and its address goes once EC2 does not deliver it', async ({
  directory,
}) => {
  const world = createWorld(directory);
  const { pairs, sent } = world;
  pairs.restore({ ...onDisk, verifiedNetworkInterfaceID: 'eni-1' }, false);
  assert.equal(pairs.keys(), []);
  const imds = (addresses: string[]) =>
    pairs.imds({
      instanceID: 'i-1',
      networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses }],
    });
  imds(['10.10.10.11']);
  world.aheadMs = 60_000;
  imds(['10.10.10.11']);
  await until('off', () => world.removed.includes(VIP));
  assert.equal(sent, []);
});

test('what a former pair has left is no longer its own once another pair lists it', async ({ directory }) => {
  const world = createWorld(directory);
  const { pairs, put, sent } = world;
  const left = {
    ...onDisk,
    pairName: 'old',
    uid: null,
    generation: null,
    spec: null,
    verifiedNetworkInterfaceID: 'eni-1',
  };
  await openDisk(directory, left).save(left);
  pairs.restore(left);
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  pairs.imds({
    instanceID: 'i-1',
    networkInterfaces: [{ networkInterfaceID: 'eni-1', subnetCIDR: '10.10.10.0/24', addresses: [] }],
  });
  await until('forgotten', () => !readdirSync(directory).includes('prod.old.pair'));
  assert.equal(world.removed, []);
  await pairs.close();
});

test('another namespace’s list says nothing about this one', async ({ directory }) => {
  const { pairs, store } = createWorld(directory);
  pairs.restore(onDisk);
  pairs.ownListed(store, 'test');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(pairs.keys(), ['prod/web']);
  await pairs.close();
});

test('a claim by hand is for when the API server is away: it asks it, and names the way that goes by it', async ({
  directory,
}) => {
  const { pairs, put, sent } = createWorld(directory);
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  const { pair, refused } = await pairs.claimByHand('web');
  assert.is(pair, 'prod/web');
  assert.match(refused ?? '', 'the API server answers');
  assert.match(
    refused ?? '',
    `kubectl patch hapair web -n prod --type=merge -p '{"spec":{"pinnedNode":"node1"}}'`,
  );
  assert.not(types(sent).includes('claimByHand'));
  await pairs.close();
});

test('a claim by hand goes to the worker while the API server is away, and its answer comes back', async ({
  directory,
}) => {
  const world = createWorld(directory);
  const { pairs, put, sent } = world;
  put(instance());
  await until('the worker runs it', () => types(sent).includes('set'));
  world.apiUp = false;
  for (const refused of ['a live Master is heard', null]) {
    const claimed = pairs.claimByHand('prod/web');
    const asked = () => sent.find((message) => message.type === 'claimByHand');
    await until('the worker is asked', () => asked() !== undefined);
    pairs.worker({ type: 'claimByHand', pair: 'prod/web', id: asked()?.id ?? -1, refused });
    assert.equal(await claimed, { pair: 'prod/web', refused });
    sent.length = 0;
  }
  await pairs.close();
});

test('a claim by hand of a pair that is not served here, or of an ambiguous name, says what there is', async ({
  directory,
}) => {
  const { pairs } = createWorld(directory);
  assert.match((await pairs.claimByHand('web')).refused ?? '', 'it serves none');
  for (const namespace of ['prod', 'test']) pairs.restore({ ...emptyRecord(namespace, 'web'), spec: spec() });
  assert.match((await pairs.claimByHand('web')).refused ?? '', 'prod/web, test/web');
  assert.match((await pairs.claimByHand('api')).refused ?? '', 'it serves prod/web, test/web');
  await pairs.close();
});

test('what a predecessor ran for a namespace that is served no more ends', async ({ directory }) => {
  const first = createWorld(directory);
  first.put(instance());
  await until('the worker runs it', () => types(first.sent).includes('set'));
  const handover = { ...first.pairs.handOver({}), lastContactMs: null };
  assert.equal(Object.keys(handover.pairs), ['prod/web']);
  await first.pairs.close();

  const second = createWorld(directory, structuredClone(handover));
  second.pairs.restored();
  assert.equal(second.sent, [{ type: 'remove', pair: 'prod/web' }]);
});

test.run();
