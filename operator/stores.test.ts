import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPair, VRRPInstance } from '../crds/types.ts';
import type { WatchSource } from '../kube/client.ts';
import type { KubeObject } from '../kube/types.ts';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { watchAll } from './stores.ts';
import { pairOf } from './testing/fixtures.ts';
import { Rig } from './testing/rig.ts';

const BALLAST = 'x'.repeat(250_000);

/** With everything that anybody may write beside what the API's schema bounds. */
const loaded = <T extends KubeObject>(object: T, name: string): T => ({
  ...object,
  metadata: {
    ...object.metadata,
    name,
    resourceVersion: '1',
    annotations: { note: BALLAST },
    managedFields: [{ manager: BALLAST }],
    labels: { ...object.metadata.labels, note: BALLAST },
  },
});

/** The stores once they have listed, page by page, and everything that they hold. */
const held = async (pages: Record<string, KubeObject[][]>) => {
  const stop = new AbortController();
  const kube: WatchSource = {
    listPage: async <T extends KubeObject>({ plural }: { plural: string }, _scope: unknown, token = '0') => {
      const items = (pages[plural]?.[Number(token)] ?? []) as unknown as T[];
      const isLast = Number(token) + 1 >= (pages[plural]?.length ?? 0);
      return { items, resourceVersion: '9', continueToken: isLast ? undefined : String(Number(token) + 1) };
    },
    openWatch: () => new Promise(() => undefined),
  };
  const texts: string[] = [];
  const stores = watchAll({
    kube,
    namespace: 'hapair-system',
    leaderLease: 'hapair-system/leader',
    life: { observe: (_source, text) => texts.push(text ?? ''), forget: () => undefined },
    clock: createVirtualClock(),
    onPair: () => undefined,
    onInstanceOf: () => undefined,
    onLeaderLease: () => undefined,
    signal: stop.signal,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  await Promise.all([stores.pairs.synced, stores.instances.synced, stores.leases.synced]);
  stop.abort();
  const all = [...stores.pairs.list(), ...stores.instances.list(), ...stores.leases.list()];
  return { stores, all, texts };
};

test('O12: of a thousand HAPairs with 250 kB of annotations each, what is kept is what is read', async () => {
  const shown = (at: number) => loaded(pairOf(), `pair${at}`);
  const pages = Array.from({ length: 10 }, (_, page) =>
    Array.from({ length: 100 }, (__, at) => shown(100 * page + at)),
  );
  const { stores, all } = await held({ hapairs: pages });
  assert.is(stores.pairs.list().length, 1_000);
  assert.ok(JSON.stringify(all).length < 50_000_000 / 8);
  const { metadata, spec } = stores.pairs.get('prod/pair7') as HAPair;
  assert.equal(spec, pairOf().spec);
  assert.is(metadata.uid, pairOf().metadata.uid);
});

test('O12: nor are the labels, the report and the Lease of an agent kept twice or as long as it likes', async () => {
  const rig = Rig.converged();
  const instance = loaded(rig.instance('node1'), 'web.node1');
  const lease = {
    metadata: { name: 'hapair-agent-node1', namespace: 'hapair-system' },
    spec: { holderIdentity: BALLAST, renewTime: 'now' },
  };
  const { stores, all, texts } = await held({
    vrrpinstances: [[instance]],
    leases: [[loaded(lease, 'hapair-agent-node1')]],
  });
  assert.ok(JSON.stringify(all).length < 10_000);
  assert.ok(texts.length === 2 && texts.every((text) => text.length < 100));
  const kept = stores.instances.get('prod/web.node1') as VRRPInstance;
  assert.equal(kept.metadata.labels, rig.instance('node1').metadata.labels);
  assert.equal(kept.metadata.ownerReferences, rig.instance('node1').metadata.ownerReferences);
  assert.equal(kept.status, rig.instance('node1').status);
});

test.run();
