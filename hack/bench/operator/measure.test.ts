import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describe } from './api.ts';
import {
  bucketBoundMs,
  messagesOf,
  reportsRead,
  requestTotals,
  tally,
  usageOf,
  writesBetween,
} from './measure.ts';

const test = suite('bench measures');
let dir = '';
test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'hapair-bench-'));
});
test.after.each(() => rmSync(dir, { recursive: true }));

const file = (name: string, lines: readonly object[]): string => {
  const path = join(dir, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
};

test('a bucket grants its capacity at once and the rest as it refills', () => {
  assert.is(bucketBoundMs(1000, 100, 5), 180_000);
  assert.is(bucketBoundMs(100, 100, 5), 0);
});

const audit = (atMs: number, user: string, resource: string, subresource?: string) => ({
  user: { username: user },
  verb: 'patch',
  objectRef: { resource, ...(subresource !== undefined && { subresource }) },
  responseStatus: { code: 200 },
  stageTimestamp: new Date(atMs).toISOString(),
});

test('writes are those that ended within the time, also in rotated logs', async () => {
  const now = Date.now();
  file('audit-2026-11-24T10-00-00.000.log', [audit(now, 'a', 'hapairs', 'status')]);
  file('audit.log', [
    audit(now - 1, 'b', 'leases'),
    audit(now, 'c', 'leases'),
    audit(now + 10, 'd', 'leases'),
  ]);
  const writes = await writesBetween(dir, now, now + 10);
  assert.equal(writes.map(({ user, verb, resource, status }) => [user, verb, resource, status]).sort(), [
    ['a', 'patch', 'hapairs/status', 200],
    ['c', 'patch', 'leases', 200],
  ]);
});

test('requests are summed over codes and versions', () => {
  const totals = requestTotals(
    [
      '# TYPE apiserver_request_total counter',
      'apiserver_request_total{code="200",group="hapair.io",resource="hapairs",subresource="status",verb="APPLY",version="v1alpha1"} 5',
      'apiserver_request_total{code="409",group="hapair.io",resource="hapairs",subresource="status",verb="APPLY",version="v1alpha1"} 2',
      'apiserver_request_total{code="200",group="",resource="secrets",subresource="",verb="GET",version="v1"} 1',
      'apiserver_request_terminations_total{code="429",verb="GET",resource="secrets"} 9',
    ].join('\n'),
  );
  assert.equal(
    [...totals],
    [
      ['APPLY hapairs/status', 7],
      ['GET secrets', 1],
    ],
  );
});

test('own requests are named as the API server names them', () => {
  const rows: [string, string, string][] = [
    [
      'PATCH',
      '/apis/hapair.io/v1alpha1/namespaces/prod/vrrpinstances/a.b/status?force=true',
      'PATCH vrrpinstances/status',
    ],
    ['GET', '/apis/hapair.io/v1alpha1/namespaces/prod/hapairs?watch=true', 'GET hapairs'],
    ['GET', '/api/v1/namespaces/prod/secrets/x', 'GET secrets'],
    ['GET', '/metrics', 'GET /metrics'],
  ];
  for (const [method, path, name] of rows) assert.is(describe(method, path), name);
});

test("the operator's log tells when it read a report, and what it said how often", async () => {
  const path = file('operator.log', [
    {
      level: 30,
      pair: 'prod/a',
      term: 2,
      reason: 'Elected',
      readAt: '1970-01-01T00:00:01.000500Z',
      msg: 'report read',
    },
    { level: 40, reason: 'EC2ReadFailed', msg: 'EC2 could not be read' },
    { level: 30, msg: 'operator started' },
    { level: 30, msg: 'operator started' },
  ]);
  assert.equal([...(await reportsRead(path))], [['prod/a 2', 1000.5]]);
  assert.equal(tally(await messagesOf(path)), {
    'operator started': 2,
    'report read (Elected)': 1,
    'WARN EC2 could not be read (EC2ReadFailed)': 1,
  });
});

test('this process uses memory and processor; one that does not exist is told', () => {
  const usage = usageOf(process.pid);
  assert.ok(
    usage.rssMB > 1 && usage.peakRSSMB >= usage.rssMB * 0.5 && usage.cpuSeconds > 0,
    JSON.stringify(usage),
  );
  assert.throws(() => usageOf(2 ** 30), /no process/);
});

test.run();
