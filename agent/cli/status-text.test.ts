import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AgentStatus } from '../control.ts';
import { emptyRecord } from '../ports.ts';
import { createMaster, spec, VIP } from '../testing/pair-bench.ts';
import { diskText, statusText } from './status-text.ts';

const statusOf = async (change: Partial<AgentStatus> = {}): Promise<AgentStatus> => ({
  ...{ nodeName: 'node1', version: '0.1.0', pid: 42, startedAt: '2026-11-22T10:00:00Z' },
  ...{ reloads: 2, reloadFailure: null, realtime: true },
  api: { answers: true, error: null, lastContactMilliseconds: 1_234 },
  pairs: [(await createMaster()).pair.view()],
  ...change,
});

test('a Master with its VIP, what it reported, and how it came to be one', async () => {
  const text = statusText(await statusOf());
  assert.match(text, 'node1: hapair-agent 0.1.0 runs as pid 42 since 2026-11-22T10:00:00Z, reloaded 2 times');
  assert.match(text, 'API server: last answer 1.2 s ago');
  assert.match(text, 'real-time scheduling: yes');
  assert.match(text, /PAIR +STATE +TERM +SINCE +PRIORITY +PEER +VIPS UP\/HERE\/ALL +REPORTED/);
  assert.match(text, /prod\/web +Master +1 +2026-11-22T10:00:00Z +200 +- +1\/1\/1 +yes/);
  assert.match(text, `  VIP            ${VIP}: on the interface, EC2 delivers it here`);
  assert.match(text, '  Ready          True InstanceConfigured');
  assert.match(text, 'became Master: MasterDownTimerExpired');
});

test('what is not as it should be begins with !', async () => {
  const { pairs } = await statusOf();
  const elsewhere = pairs.map((pair) => ({
    ...pair,
    vips: pair.vips.map((vip) => ({ ...vip, delivered: false })),
    conditions: [{ type: 'Healthy', status: 'False' as const, reason: 'ChecksFailed', message: 'no' }],
  }));
  const text = statusText(await statusOf({ pairs: elsewhere }));
  assert.match(text, `! VIP            ${VIP}: on the interface, EC2 delivers it elsewhere`);
  assert.match(text, '! Healthy        False ChecksFailed: no');
  assert.match(text, '  adverts ');
});

test('an API server that is away, a worker that hangs and a reload that failed are said', async () => {
  const text = statusText(
    await statusOf({
      api: { answers: false, error: 'connection refused', lastContactMilliseconds: null },
      realtime: null,
      reloadFailure: 'ENOENT',
      pairs: [],
    }),
  );
  assert.match(
    text,
    'API server: away; has not answered yet; the election goes on from disk: connection refused',
  );
  assert.match(text, 'real-time scheduling: unknown: the VRRP worker does not answer');
  assert.match(text, 'the last reload failed: ENOENT');
  assert.match(text, 'no pair is served here');
});

test('an agent that does not run: what it would go on with, and which files it could not', () => {
  const record = {
    ...emptyRecord('prod', 'web'),
    spec: spec(),
    generation: 3,
    highestTerm: 7,
    interface: 'eth0',
  };
  const text = diskText({ nodeName: 'node1', stateDir: '/state' }, [
    { path: '/state/prod.web.pair', record: { ...record, added: [VIP] } },
    { path: '/state/prod.api.pair', err: 'its checksum does not match its content' },
  ]);
  assert.match(text, 'node1: the agent does not run; on disk in /state:');
  assert.match(text, 'generation 3: priority 200, claim Normal');
  assert.match(text, /highest term +7/);
  assert.match(text, `${VIP} on eth0`);
  assert.match(text, '/state/prod.api.pair: its checksum does not match its content');
});

test.run();
