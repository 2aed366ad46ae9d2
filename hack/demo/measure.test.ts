import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SeenAdvert } from '../lab/adverts.ts';
import type { Sample } from '../lab/outage.ts';
import type { CallRecord } from '../lab/types.ts';
import {
  answerSegments,
  deliverySegments,
  type Evidence,
  type Expectation,
  lastAdvertBefore,
  masterSegments,
  measure,
  tableOf,
} from './measure.ts';

/** A probe every 100 ms from 0 on; each letter is who answered it: a, b, or . for nobody. */
const samples = (answers: string): Sample[] =>
  [...answers].map((by, i) => ({ seq: i + 1, sentAtMs: i * 100, ...(by !== '.' && { by }) }));

const call = (receivedAtMs: number, change: Partial<CallRecord> = {}): CallRecord => ({
  id: receivedAtMs,
  action: 'AssignPrivateIpAddresses',
  parameters: { NetworkInterfaceId: 'eni-b', 'PrivateIpAddress.1': '10.10.10.10' },
  accessKeyID: 'AK',
  userAgent: 'aws-sdk-js',
  receivedAtMs,
  answeredAtMs: receivedAtMs + 50,
  mappedAtMs: receivedAtMs + 100,
  status: 200,
  ...change,
});

const evidence = (lan: string, internet = lan, calls: CallRecord[] = []): Evidence => ({
  lan: samples(lan),
  internet: samples(internet),
  calls,
  adverts: [],
});

const crash: Expectation = {
  title: 'crash',
  kind: 'outage',
  fromMs: 250,
  toMs: 900,
  mutatingCalls: 1,
  theoryMs: 400,
  mappingLagMs: 50,
};

test('an outage is measured from the last answer to the first answer by the other node', () => {
  const outcome = measure(evidence('aaa...bbbb', 'aaa....bbb', [call(400)]), crash);
  assert.equal(outcome.faults, []);
  assert.is(outcome.lanLost, 3);
  assert.is(outcome.wanLost, 4);
  // The slower client counts: sent at 700, the crash was at 250.
  assert.is(outcome.servedMs, 450);
  assert.is(outcome.excessMs, 50);
});

test('a client that never got through, a missing call and a second call are faults', () => {
  const silent = measure(evidence('aaa...bbbb', 'aaa.......', [call(400)]), crash);
  assert.match(silent.faults.join(), 'not both clients');
  assert.match(measure(evidence('aaa...bbbb'), crash).faults.join(), '0 mutating EC2 calls, 1 expected');
  const twice = measure(evidence('aaa...bbbb', undefined, [call(400), call(500)]), crash);
  assert.match(twice.faults.join(), '2 mutating EC2 calls, 1 expected');
});

test('one client served before EC2 mapped is a fault, however late the other is', () => {
  const outcome = measure(evidence('aaa...bbbb', 'aaa.bbbbbb', [call(400)]), crash);
  assert.match(outcome.faults.join(), 'a client was served 100 ms before EC2 mapped');
});

test('an answer before theory allows is a fault', () => {
  const outcome = measure(evidence('aaa...bbbb', undefined, [call(400)]), { ...crash, theoryMs: 600 });
  assert.match(outcome.faults.join(), 'before theory allows');
});

test('a handover may lose no probe', () => {
  const handover: Expectation = { ...crash, kind: 'handover', theoryMs: 250 };
  assert.equal(measure(evidence('aaaaabbbbb', undefined, [call(400)]), handover).faults, []);
  assert.match(
    measure(evidence('aaaa.bbbbb', undefined, [call(400)]), handover).faults.join(),
    '1 LAN and 1 WAN probes lost',
  );
});

test('where nothing may happen, neither a loss nor another node goes unseen', () => {
  const nothing: Expectation = { ...crash, kind: 'nothing', mutatingCalls: 0 };
  assert.equal(measure(evidence('aaaaaaaaaa'), nothing).faults, []);
  assert.match(measure(evidence('aaaaaabbbb'), nothing).faults.join(), 'another node answered');
  assert.match(measure(evidence('aaaaaa.aaa'), nothing).faults.join(), 'probes lost');
});

test("calls by a person's aws command are not the operator's; reads change nothing", () => {
  const calls = [
    call(400, { userAgent: 'aws-cli/2.9' }),
    call(500, { action: 'DescribeNetworkInterfaces' }),
    call(600),
  ];
  assert.is(measure(evidence('aaaaabbbbb', undefined, calls), crash).mutatingCalls, 1);
});

test('the table marks what exceeds theory by more than 0.3 s', () => {
  const outcome = measure(evidence('aaa...bbbb', undefined, [call(400)]), crash);
  const [, fine] = tableOf([{ ...outcome, excessMs: 299 }]);
  const [, late] = tableOf([{ ...outcome, excessMs: 301 }]);
  assert.is(fine?.[7], '0.299');
  assert.is(late?.[7], '0.301 !');
});

const advert = (atMs: number, source: string, priority = 100): SeenAdvert => ({
  atMs,
  source,
  version: 2,
  virtualRouterID: 10,
  priority,
});

test('theory counts from the last advert before the crash', () => {
  const adverts = [advert(0, 'a'), advert(1000, 'a'), advert(1500, 'b'), advert(2000, 'a')];
  assert.is(lastAdvertBefore(adverts, 'a', 1999)?.atMs, 1000);
  assert.is(lastAdvertBefore(adverts, 'c', 1999), undefined);
});

test('lanes of the picture: answers, Masters, deliveries', () => {
  assert.equal(answerSegments('lan', samples('aa.b')), [
    { lane: 'lan', fromMs: 0, toMs: 200, state: 'a' },
    { lane: 'lan', fromMs: 200, toMs: 300, state: 'lost' },
    { lane: 'lan', fromMs: 300, toMs: 300, state: 'b' },
  ]);
  const adverts = [advert(0, 'a'), advert(1000, 'a'), advert(1200, 'a', 0), advert(1800, 'b')];
  assert.equal(
    masterSegments('m', adverts, (source) => source, 1000),
    [
      { lane: 'm', fromMs: 0, toMs: 1200, state: 'a' },
      { lane: 'm', fromMs: 1800, toMs: 2800, state: 'b' },
    ],
  );
  const calls = [
    call(100),
    call(500, { action: 'UnassignPrivateIpAddresses' }),
    call(700, { parameters: { NetworkInterfaceId: 'eni-b', 'PrivateIpAddress.1': '10.10.10.1' } }),
  ];
  assert.equal(
    deliverySegments('e', calls, '10.10.10.10', () => 'b', 1000),
    [
      { lane: 'e', fromMs: 200, toMs: 600, state: 'b' },
      { lane: 'e', fromMs: 600, toMs: 1000, state: 'lost' },
    ],
  );
});

test.run();
