import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { connect, isKubeError } from './client.ts';
import { startScriptedServer } from './testing/scripted-server.ts';
import type { KubeObject, Resource } from './types.ts';
import { watch } from './watcher.ts';

const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod' };

const pod = (name: string, resourceVersion: string, uid = `uid-of-${name}`, note?: string): KubeObject => ({
  metadata: { name, namespace: 'n', resourceVersion, uid, ...(note && { labels: { note } }) },
});

const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;

/** A watch of pods against a scripted server: real connections, virtual delays, no jitter. */
const start = async () => {
  const server = await startScriptedServer();
  const client = await connect({ kubeconfigPath: server.kubeconfigPath, userAgent: 'tester/1' });
  const clock = createVirtualClock();
  const stop = new AbortController();
  const changed: string[] = [];
  const changes = new EventTarget();
  const lost: string[] = [];
  const store = watch(
    client,
    PODS,
    { namespace: 'n', labelSelector: 'app=web' },
    {
      ...clock,
      random: () => 0,
      signal: stop.signal,
      onChange: (key) => {
        changed.push(key);
        changes.dispatchEvent(new Event('change'));
      },
      log: {
        info: () => undefined,
        warn: (fields) => lost.push(JSON.stringify(fields)),
        error: () => undefined,
      },
    },
  );
  return {
    server,
    clock,
    store,
    stop,
    changed,
    lost,
    /** Resolves when the next `count` changes were reported, and takes them. */
    async changes(count: number): Promise<string[]> {
      while (changed.length < count) await once(changes, 'change');
      return changed.splice(0);
    },
    /** Answers the list and returns the watch, opened. */
    async listed(items: KubeObject[], resourceVersion = '10') {
      (await server.next()).json(200, { metadata: { resourceVersion }, items });
      const exchange = await server.next();
      exchange.open();
      return exchange;
    },
    /** Answers what the newest version is; returns the watch. */
    async asked(resourceVersion: string) {
      const exchange = await server.next();
      assert.is(exchange.query.get('limit'), '1');
      exchange.json(200, { metadata: { resourceVersion }, items: [] });
      return server.next();
    },
    /** Waits until a retry is planned, and lets its time come; returns the delay. */
    async retried(): Promise<number> {
      while (clock.pending().length === 0 || store.error() === undefined) await new Promise(setImmediate);
      const [delayMs = 0] = clock.pending();
      await clock.advance(delayMs);
      return delayMs;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await client.close();
      await server.close();
    },
  };
};

test('lists, then watches with bookmarks from the list on', async () => {
  await using world = await start();
  const list = await world.server.next();
  assert.is(list.query.get('labelSelector'), 'app=web');
  list.json(200, { metadata: { resourceVersion: '10' }, items: [pod('a', '5')] });
  await world.store.synced;
  assert.equal(await world.changes(1), ['n/a']);
  const opened = await world.server.next();
  assert.is(opened.query.get('watch'), 'true');
  assert.is(opened.query.get('allowWatchBookmarks'), 'true');
  assert.is(opened.query.get('resourceVersion'), '10');
  assert.is(opened.query.get('labelSelector'), 'app=web');
  opened.open();
  opened.write(line('ADDED', pod('b', '11')) + line('DELETED', pod('a', '12')));
  assert.equal(await world.changes(2), ['n/b', 'n/a']);
  assert.equal(
    world.store.list().map(({ metadata }) => metadata.name),
    ['b'],
  );
});

test('characters cut between two chunks come out whole', async () => {
  await using world = await start();
  const stream = await world.listed([]);
  const bytes = Buffer.from(line('ADDED', pod('a', '11', 'u', 'Grüße 世界 🙂')));
  const cut = bytes.indexOf(Buffer.from('🙂')) + 2;
  stream.write(bytes.subarray(0, cut));
  await new Promise(setImmediate);
  stream.write(bytes.subarray(cut));
  await world.changes(1);
  assert.is(world.store.get('n/a')?.metadata.labels?.note, 'Grüße 世界 🙂');
});

test('a clean end resumes from the last bookmark, at once', async () => {
  await using world = await start();
  const stream = await world.listed([pod('a', '5')]);
  stream.write(line('BOOKMARK', { metadata: { resourceVersion: '77' } }) + line('ADDED', pod('b', '78')));
  await world.changes(2);
  await world.clock.advance(60_000);
  stream.end();
  const resumed = await world.server.next();
  assert.is(resumed.query.get('resourceVersion'), '78');
  assert.is(resumed.query.get('watch'), 'true');
});

test('70 s of silence on a half-open connection reconnect from where it was', async () => {
  await using world = await start();
  const stream = await world.listed([pod('a', '5')]);
  stream.write(line('BOOKMARK', { metadata: { resourceVersion: '20' } }));
  stream.write(line('ADDED', pod('b', '21')));
  await world.changes(2);
  await world.clock.advance(69_999);
  assert.is(world.store.error(), undefined);
  await world.clock.advance(1);
  assert.is(await world.retried(), 200);
  assert.match(world.lost.join(), 'silent for 70 s');
  assert.is((await world.asked('30')).query.get('resourceVersion'), '21');
});

test('a reset connection keeps the store and resumes', async () => {
  await using world = await start();
  const stream = await world.listed([pod('a', '5')]);
  await world.changes(1);
  stream.reset();
  assert.is(await world.retried(), 200);
  assert.is(world.store.list().length, 1);
  const resumed = await world.asked('10');
  assert.is(resumed.query.get('resourceVersion'), '10');
  resumed.open();
  resumed.write(line('MODIFIED', pod('a', '11')));
  assert.equal(await world.changes(1), ['n/a']);
  assert.is(world.store.error(), undefined);
});

test('500 on the list and on the watch are retried with growing delays', async () => {
  await using world = await start();
  (await world.server.next()).json(500, { reason: 'InternalError' });
  assert.is(await world.retried(), 200);
  (await world.server.next()).json(500, { reason: 'InternalError' });
  assert.is(await world.retried(), 800);
  (await world.server.next()).json(200, { metadata: { resourceVersion: '10' }, items: [] });
  (await world.server.next()).json(500, { reason: 'InternalError' });
  assert.is(await world.retried(), 1600);
  assert.is((await world.asked('10')).query.get('resourceVersion'), '10');
});

test('429 waits as long as the server asks', async () => {
  await using world = await start();
  (await world.server.next()).json(429, { reason: 'TooManyRequests' }, { 'retry-after': '5' });
  assert.is(await world.retried(), 5_000);
  await world.listed([]);
});

for (const form of ['as status', 'in the stream'] as const) {
  test(`410 ${form} lists anew, at once; deletions and a new UID are reported`, async () => {
    await using world = await start();
    const stream = await world.listed([pod('same', '1'), pod('gone', '2'), pod('reborn', '3')]);
    // An event tells that the watch is open.
    stream.write(line('MODIFIED', pod('gone', '11')));
    await world.changes(4);
    if (form === 'in the stream') {
      stream.write(line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }));
    } else {
      await world.clock.advance(60_000);
      stream.end();
      (await world.server.next()).json(410, { kind: 'Status', code: 410, reason: 'Expired' });
    }
    await world.listed([pod('same', '1'), pod('reborn', '3', 'another-uid')], '40');
    assert.equal(await world.changes(2), ['n/gone', 'n/reborn']);
    assert.is(world.store.get('n/reborn')?.metadata.uid, 'another-uid');
  });
}

test('a line nobody can read leads to a new list, and is not quoted', async () => {
  await using world = await start();
  const stream = await world.listed([]);
  stream.write('{"type":"ADDED", secret-value\n');
  assert.is(await world.retried(), 200);
  assert.not.match(world.lost.join(), 'secret-value');
  assert.not((await world.server.next()).query.has('watch'));
});

test('a line without end is cut off at 8 MiB and leads to a new list', async () => {
  await using world = await start();
  const stream = await world.listed([]);
  stream.write('x'.repeat(8 * 1024 * 1024 + 1));
  assert.is(await world.retried(), 200);
  assert.match(world.lost.join(), 'longer than 8388608 bytes');
  assert.not((await world.server.next()).query.has('watch'));
});

test('a refresh lists anew and waits for that list; the watch goes on from it', async () => {
  await using world = await start();
  const old = await world.listed([pod('a', '5'), pod('gone', '6')]);
  old.write(line('MODIFIED', pod('a', '11')));
  await world.changes(3);
  const refreshed = world.store.refresh();
  const list = await world.server.next();
  assert.not(list.query.has('watch'));
  assert.not(list.query.has('resourceVersion'));
  list.json(200, { metadata: { resourceVersion: '30' }, items: [pod('a', '11'), pod('b', '29')] });
  await refreshed;
  assert.equal(await world.changes(2), ['n/gone', 'n/b']);
  const stream = await world.server.next();
  assert.is(stream.query.get('resourceVersion'), '30');
  stream.open();
  stream.write(line('DELETED', pod('b', '31')));
  assert.equal(await world.changes(1), ['n/b']);
  assert.equal(world.lost, []);
  const { lastContactMs: _, ...counted } = world.store.stats();
  assert.equal(counted, { relists: 1, reconnects: 1, events: 2, objects: 1 });
});

test('a list that was under way when a refresh was asked for does not answer it', async () => {
  await using world = await start();
  const early = await world.server.next();
  let isFresh = false;
  const refreshed = world.store.refresh().then(() => {
    isFresh = true;
  });
  const list = await world.server.next();
  early.json(200, { metadata: { resourceVersion: '10' }, items: [pod('old', '5')] });
  list.json(500, { reason: 'InternalError' });
  assert.is(await world.retried(), 200);
  assert.not(isFresh);
  await world.listed([pod('new', '6')], '20');
  await refreshed;
  assert.equal(await world.changes(1), ['n/new']);
});

test('a refresh that the end of the watch overtakes is Aborted', async () => {
  await using world = await start();
  await world.listed([]);
  const refreshed = world.store.refresh().catch((error: unknown) => error);
  world.stop.abort();
  assert.ok(isKubeError(await refreshed, 'Aborted'));
  const late = await world.store.refresh().catch((error: unknown) => error);
  assert.ok(isKubeError(late, 'Aborted'));
});

test('the signal ends everything: no request, no timer', async () => {
  await using world = await start();
  const stream = await world.listed([pod('a', '5')]);
  await world.changes(1);
  world.stop.abort();
  stream.reset();
  await world.clock.advance(600_000);
  assert.equal(world.clock.pending(), []);
  assert.is(world.server.waiting(), 0);
  assert.is(world.store.list().length, 1);
});

test.run();
