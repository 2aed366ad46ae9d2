import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { healthAnswer } from '../../runtime/health.ts';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { agentSnapshot, pairSnapshot, status } from '../testing/snapshot.ts';
import { healthChecks, readinessChecks } from './health.ts';
import type { AgentSnapshot } from './snapshot.ts';

const never = { isConnected: null, silenceMs: null, calls: {}, failure: null };
const query = new URLSearchParams('verbose');
const healthz = (change: Partial<AgentSnapshot> = {}) => {
  const clock = createVirtualClock();
  return healthAnswer(
    'healthz',
    healthChecks(() => agentSnapshot(change), clock, new AbortController().signal),
    query,
  );
};
const readyz = (change: Partial<AgentSnapshot> = {}) =>
  healthAnswer(
    'readyz',
    readinessChecks(() => agentSnapshot(change)),
    query,
  );

test('all is well', () => {
  assert.is(healthz().body, '[+]event-loop ok\n[+]vrrp-worker ok\nhealthz check passed\n');
  assert.is(readyz().body, '[+]api ok\n[+]specs ok\n[+]imds ok\n[+]watches ok\nreadyz check passed\n');
});

test('healthz: a worker that nobody has heard of for 30 s', () => {
  assert.is(healthz({ pongAgeMs: 30_000 }).status, 200);
  const { status, body } = healthz({ pongAgeMs: 31_000 });
  assert.is(status, 500);
  assert.match(body, '[-]vrrp-worker failed: it has not answered for 31 s');
});

test('healthz asks nothing that a restart would not mend', () => {
  const failure = { kind: 'Unreachable', message: 'refused' } as const;
  const api = { isConnected: false, silenceMs: null, calls: {}, failure };
  assert.is(healthz({ api, imdsAgeMs: null, pairs: [pairSnapshot({ election: 'Fault' })] }).status, 200);
});

test('readyz: before the first answer, with nothing on disk, not yet', () => {
  const { status, body } = readyz({ api: never, pairs: [] });
  assert.is(status, 500);
  assert.match(body, '[-]api failed: the API server has not answered yet, and no pair is on disk');
  assert.match(body, 'the first call is under way');
});

test('readyz: no pair is wanted here, and the API server has said so', () => {
  assert.is(readyz({ pairs: [] }).status, 200);
});

test('readyz: pairs that run from disk are ready without the API server', () => {
  assert.is(readyz({ api: never, pairs: [pairSnapshot({ isFromDisk: true })] }).status, 200);
});

test('readyz: an API server that is away, or refuses the credential, is told and fails nothing', () => {
  const away = { kind: 'Unreachable', message: 'get VRRPInstance: refused' } as const;
  const lost = readyz({ api: { isConnected: false, silenceMs: 65_000, calls: {}, failure: away } });
  assert.is(lost.status, 200);
  assert.match(lost.body, '[+]api ok: away for 65 s, the election goes on: get VRRPInstance: refused\n');
  const refused = { kind: 'Unauthorized', message: 'get VRRPInstance: 401' } as const;
  const denied = readyz({ api: { isConnected: false, silenceMs: null, calls: {}, failure: refused } });
  assert.is(denied.status, 200);
  assert.match(denied.body, 'it refuses the credential since the start, the election goes on');
});

test('readyz: a pair whose spec is not in force is named, with why', () => {
  const conditions = [
    {
      type: 'Ready',
      status: 'False',
      reason: 'SecretUnreadable',
      message: 'no such key',
      lastTransitionTime: '2026-11-22T10:00:00Z',
    } as const,
  ];
  const { status: code, body } = readyz({
    pairs: [
      pairSnapshot(),
      pairSnapshot({ key: 'prod/db', isLoaded: false, status: status({ conditions }) }),
    ],
  });
  assert.is(code, 500);
  assert.match(body, '[-]specs failed: prod/db: no such key\n');
});

test('readyz: an ENI that IMDS has not shown here keeps its pair from running', () => {
  const { status: code, body } = readyz({ pairs: [pairSnapshot({ isVerified: false })] });
  assert.is(code, 500);
  assert.match(body, '[-]imds failed: prod/web: IMDS has not shown its ENI on this instance\n');
});

test('readyz: a Master, a Backup and a node in Fault are all ready: they do their part', () => {
  for (const election of ['Master', 'Backup', 'Fault'] as const)
    assert.is(readyz({ pairs: [pairSnapshot({ election })] }).status, 200, election);
});

test('readyz: of many pairs a few are named', () => {
  const pairs = Array.from({ length: 9 }, (_, index) =>
    pairSnapshot({ key: `prod/p${index}`, isLoaded: false }),
  );
  assert.match(readyz({ pairs }).body, 'and 4 more');
});

test('readyz: a watch that is silent without an error has died; one that knows why retries', () => {
  const watch = { namespace: 'prod', of: 'own', relists: 0, reconnects: 0, forbidden: null } as const;
  const dead = readyz({ watches: [{ ...watch, ageMs: 181_000, isRetrying: false }] });
  assert.is(dead.status, 500);
  assert.match(dead.body, 'own of prod');
  assert.is(readyz({ watches: [{ ...watch, ageMs: 181_000, isRetrying: true }] }).status, 200);
  assert.is(readyz({ watches: [{ ...watch, ageMs: null, isRetrying: false }] }).status, 200);
});

test('readyz: a namespace that may not be read is not ready, and what lacks is said', () => {
  const watch = { namespace: 'prod', of: 'own', ageMs: 5_000, relists: 0, reconnects: 0 } as const;
  const forbidden = 'list VRRPInstance in prod: 403';
  const { status: code, body } = readyz({ watches: [{ ...watch, isRetrying: true, forbidden }] });
  assert.is(code, 500);
  assert.match(body, /\[-\]watches failed: the API server forbids .*prod.*403.*RoleBinding/);
});

test.run();
