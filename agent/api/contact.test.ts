import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KubeError, type KubeErrorKind } from '../../kube/client.ts';
import { trackContact } from './contact.ts';
import { type AgentClient, VRRP_INSTANCES, withContact } from './reports.ts';

const refused = (kind: KubeErrorKind) => new KubeError(`get VRRPInstance prod/web.node1: ${kind}`, { kind });

/** A client whose calls end as told, and what is known of the contact. */
const createWorld = () => {
  const world = { nowMs: 0, back: 0, told: [] as string[], error: null as Error | null };
  const note = (fields: object) => world.told.push(JSON.stringify(fields));
  const contact = trackContact({ now: () => world.nowMs }, { info: note, warn: note, error: note }, () => {
    world.back += 1;
  });
  const answer = async <T>(): Promise<T> => {
    if (world.error !== null) throw world.error;
    return {} as T;
  };
  const kube: AgentClient = { get: answer, list: answer, apply: answer };
  const client = withContact(kube, contact.called);
  const call = async (kind: KubeErrorKind | null, atMs: number) => {
    world.nowMs = atMs;
    world.error = kind === null ? null : refused(kind);
    await client.get(VRRP_INSTANCES, 'prod/web.node1').catch(() => undefined);
  };
  return { world, contact, call };
};

for (const kind of ['Unreachable', 'TimedOut', 'ServerError', 'Unauthorized'] as const) {
  test(`${kind}: the API server is away, said once, and back with the first answer`, async () => {
    const { world, contact, call } = createWorld();
    await call(null, 1_000);
    await call(kind, 2_000);
    await call(kind, 3_000);
    assert.is(contact.lastMs(), 1_000);
    assert.equal(contact.lastError(), {
      kind,
      message: `get VRRPInstance prod/web.node1: ${kind}`,
      sinceMs: 2_000,
    });
    assert.is(world.told.length, 1);
    const reason = kind === 'Unauthorized' ? 'APIServerUnauthorized' : 'APIServerUnavailable';
    assert.match(world.told[0] ?? '', new RegExp(`"${reason}".*get VRRPInstance prod/web\\.node1`));
    await call(null, 4_000);
    assert.is(contact.lastMs(), 4_000);
    assert.is(contact.lastError(), null);
    assert.is(world.back, 1);
  });
}

test('a lost or expired credential is the same case, and called by its name', async () => {
  const { world, call } = createWorld();
  await call('Unauthorized', 1_000);
  assert.match(world.told[0] ?? '', '"APIServerUnauthorized"');
});

test('Forbidden is no contact and shown, but does not make the API server away: other calls may be allowed', async () => {
  const { world, contact, call } = createWorld();
  await call(null, 1_000);
  for (let second = 2; second < 60; second += 2) {
    await call('Forbidden', second * 1_000);
    assert.is(contact.lastError()?.kind, 'Forbidden');
    await call(null, second * 1_000 + 500);
  }
  assert.is(world.back, 0, 'nothing is hurried by it');
  assert.equal(world.told, []);
  const lastMs = contact.lastMs();
  await call('Forbidden', 100_000);
  await call('Forbidden', 150_000);
  assert.is(contact.lastMs(), lastMs);
  assert.is(contact.lastError()?.sinceMs, 100_000);
});

for (const kind of ['NotFound', 'Conflict', 'Invalid', 'Gone', 'Throttled'] as const) {
  test(`${kind} is an answer`, async () => {
    const { contact, call } = createWorld();
    await call(kind, 1_000);
    assert.is(contact.lastMs(), 1_000);
    assert.is(contact.lastError(), null);
  });
}

test('before the first call nothing is known', () => {
  const { contact } = createWorld();
  assert.equal(contact.snapshot(), { isConnected: null, silenceMs: null, calls: {}, failure: null });
  assert.is(contact.lastMs(), null);
  assert.is(contact.answers(), null);
});

test('a credential that is refused is said as such also when the API server was away before, once', async () => {
  const { world, call } = createWorld();
  for (const kind of ['Unreachable', 'Unauthorized', 'Unreachable', 'Unauthorized'] as const)
    await call(kind, 1_000);
  assert.is(world.told.length, 2);
  assert.match(world.told[1] ?? '', '"APIServerUnauthorized"');
  await call(null, 43_000);
  assert.match(world.told[2] ?? '', /"APIServerAvailable","awaySeconds":42/);
});

test('when the reason of an outage changes, the log says so once', async () => {
  const { world, call } = createWorld();
  const kinds = [
    'Unreachable',
    ...Array.from({ length: 5 }, () => 'ServerError' as const),
    'Unreachable',
  ] as const;
  for (const kind of kinds) await call(kind, 1_000);
  assert.equal(
    world.told.map((line) => JSON.parse(line).cause),
    ['Unreachable', 'ServerError'],
  );
});

test('what can be seen: calls by result, the last failure, the silence', async () => {
  const { world, contact, call } = createWorld();
  await call(null, 1_000);
  await call('Unauthorized', 5_000);
  await call('Unauthorized', 6_000);
  world.nowMs = 8_000;
  assert.equal(contact.snapshot(), {
    isConnected: false,
    silenceMs: 7_000,
    calls: { Success: 1, Unauthorized: 2 },
    failure: { kind: 'Unauthorized', message: 'get VRRPInstance prod/web.node1: Unauthorized' },
  });
  await call('NotFound', 9_000);
  const { isConnected, silenceMs, failure } = contact.snapshot();
  assert.equal({ isConnected, silenceMs, failure }, { isConnected: true, silenceMs: 0, failure: null });
});

test('what a watch hears is a sign of life; so is what a replaced process heard', async () => {
  const { contact, call } = createWorld();
  await call(null, 1_000);
  contact.watch([{ lastContactMs: () => 4_000 }, { lastContactMs: () => Number.NEGATIVE_INFINITY }]);
  assert.is(contact.lastMs(), 4_000);
  const quiet = { info: () => {}, warn: () => {}, error: () => {} };
  const after = trackContact({ now: () => 9_000 }, quiet, () => {}, 3_000);
  assert.is(after.lastMs(), 3_000);
  assert.is(after.snapshot().isConnected, null, 'but no call of its own');
});

test.run();
