import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Sample } from '../lab/outage.ts';
import { fromCalls, fromLog, fromSamples } from './story.ts';
import { crashMs, resignMs, skewMs } from './theory.ts';
import { formatEntry, formatTable, inOrder } from './timeline.ts';

test('theory of the recipe: 3 adverts and the skew of priority 100, then listening, call and lag', () => {
  const costs = {
    advertisementIntervalMs: 1000,
    priority: 100,
    listenMs: 10,
    callMs: 1500,
    mappingLagMs: 1000,
  };
  assert.is(skewMs(100), 609.375);
  assert.is(crashMs(costs), 6119.375);
  assert.is(resignMs(costs), 3119.375);
});

test('a log becomes entries: only lines of the window, only what tells a person something', () => {
  const log = [
    '{"level":30,"time":"1970-01-01T00:00:00.100500Z","msg":"became Master","pair":"prod/web","reason":"MasterResigned","hidden":1}',
    '{"level":20,"time":"1970-01-01T00:00:00.101000Z","msg":"detail"}',
    'no JSON',
    '{"level":30,"time":"1970-01-01T00:00:00.900000Z","msg":"later"}',
    '{"level":30,"time":"1970-01-01T00:00:00.102000Z"}',
  ].join('\n');
  assert.equal(fromLog('agent', log, 100, 200), [
    { atMs: 100.5, who: 'agent', text: 'became Master reason=MasterResigned' },
  ]);
});

test('a call is told at its receipt, its answer and its effect on packets', () => {
  const call = {
    id: 1,
    action: 'AssignPrivateIpAddresses',
    parameters: { NetworkInterfaceId: 'eni-b', 'PrivateIpAddress.1': '10.10.10.10', Version: '2016-11-15' },
    accessKeyID: 'AK',
    userAgent: 'x',
    receivedAtMs: 100,
    answeredAtMs: 110,
    mappedAtMs: 120,
    status: 200,
  };
  assert.equal(
    fromCalls([call, { ...call, action: 'DescribeAddresses' }], 0, 200).map(
      ({ atMs, text }) => `${atMs} ${text}`,
    ),
    [
      '100 receives AssignPrivateIpAddresses eni-b 10.10.10.10',
      '110 answers AssignPrivateIpAddresses: 200',
      '120 packets follow AssignPrivateIpAddresses',
    ],
  );
});

test('a client tells of silences, and of a change of node without one', () => {
  const samples = (answers: string): Sample[] =>
    [...answers].map((by, i) => ({ seq: i + 1, sentAtMs: i * 10, ...(by !== '.' && { by }) }));
  assert.equal(
    fromSamples('client', samples('aa..b'), 0, 100).map(({ text }) => text),
    ['last answer before a silence', 'answered again by b, 2 probes lost, 30 ms'],
  );
  assert.equal(
    fromSamples('client', samples('aabb'), 0, 100).map(({ text }) => text),
    ['answered by b instead of a, no probe lost'],
  );
});

test('lines stand in order of time, with seconds to the millisecond', () => {
  const entries = inOrder([
    { atMs: 2500.4, who: 'b', text: 'second' },
    { atMs: 2000, who: 'a', text: 'first' },
  ]);
  assert.equal(
    entries.map((entry) => formatEntry(entry, 1000)),
    ['    1.000  a                 first', '    1.500  b                 second'],
  );
});

test('a table aligns words to the left and numbers to the right', () => {
  const text = formatTable([
    ['event', 's'],
    ['crash', '10.5'],
    ['x', '5'],
  ]);
  assert.is(text, ['event  s', '-----  ----', 'crash  10.5', 'x         5'].join('\n'));
});

test.run();
