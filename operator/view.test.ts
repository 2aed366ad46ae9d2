import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ReadRequest, ReadResult } from '../ec2/client.ts';
import { failureOf } from '../ec2/errors.ts';
import { createVirtualClock } from '../kube/testing/virtual-clock.ts';
import { Cloud } from './testing/cloud.ts';
import { ALLOCATION, NODE1, NODE2, VIP } from './testing/fixtures.ts';
import { createViews } from './view.ts';

const SCOPE = {
  region: 'ap-northeast-1',
  networkInterfaceIDs: [NODE1.networkInterfaceID, NODE2.networkInterfaceID],
  allocationIDs: [ALLOCATION],
};

const bench = () => {
  const clock = createVirtualClock();
  const cloud = new Cloud();
  const requests: ReadRequest[] = [];
  const told: string[] = [];
  const stop = new AbortController();
  /** Readings fail while this is set. */
  const trouble: { with?: ReadResult['failure'] } = {};
  const read = async (request: ReadRequest): Promise<ReadResult> => {
    requests.push(request);
    const readAtMs = clock.now();
    await new Promise<void>((resolve) => clock.setTimer(5, resolve));
    return trouble.with
      ? { view: { readAtMs, networkInterfaces: {}, elasticIPs: {} }, failure: trouble.with }
      : { view: cloud.view(readAtMs) };
  };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const views = createViews({
    ec2: { read },
    clock,
    random: () => 0.5,
    onRead: (key) => told.push(key),
    signal: stop.signal,
    log,
  });
  return { clock, cloud, requests, told, stop, trouble, views };
};

test('pairs that ask at the same moment share one reading, and each is told', async () => {
  const { clock, requests, told, views } = bench();
  for (const key of ['a', 'b']) {
    views.cover(key, SCOPE);
    views.want(key, clock.now());
    views.want(key, clock.now());
  }
  await clock.advance(100);
  assert.is(requests.length, 1);
  assert.is(requests[0]?.networkInterfaceIDs.length, 2, 'each id once');
  assert.equal(told, ['a', 'b']);
  assert.ok((views.of('a').view?.readAtMs ?? -1) >= 0);
});

test('a reading under way that began in time is not repeated; one that began too early is', async () => {
  const { clock, requests, views } = bench();
  views.cover('a', SCOPE);
  views.want('a', 0);
  await clock.advance(11);
  views.want('a', 5);
  await clock.advance(1);
  views.want('a', 12);
  await clock.advance(100);
  assert.is(requests.length, 2);
  assert.ok((views.of('a').view?.readAtMs ?? 0) >= 12);
});

test('a failed reading keeps the last view, says why, and is repeated with growing delay', async () => {
  const { clock, requests, told, trouble, views } = bench();
  views.cover('a', SCOPE);
  views.want('a', 0);
  await clock.advance(100);
  trouble.with = failureOf({ code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 });
  told.length = 0;
  views.want('a', clock.now());
  await clock.advance(60_000);
  const { view, failure } = views.of('a');
  assert.ok(view, 'could not read is never absent');
  assert.is(failure?.class, 'Throttled');
  assert.ok(requests.length > 5 && requests.length < 20, String(requests.length));
  assert.equal(told, ['a'], 'told once of the failure');
  delete trouble.with;
  await clock.advance(11_000);
  assert.is(views.of('a').failure, undefined);
});

test('an answer that leaves something out is no reading of the pair', async () => {
  const { clock, views } = bench();
  views.cover('a', { ...SCOPE, networkInterfaceIDs: [...SCOPE.networkInterfaceIDs, 'eni-elsewhere'] });
  views.want('a', 0);
  await clock.advance(100);
  assert.is(views.of('a').view, undefined);
  assert.ok(views.of('a').failure);
});

test('all pairs are read together every 30 s; only those that changed are told', async () => {
  const { clock, cloud, requests, stop, told, views } = bench();
  views.cover('a', SCOPE);
  views.cover('b', {
    region: 'ap-northeast-1',
    networkInterfaceIDs: [NODE2.networkInterfaceID],
    allocationIDs: [],
  });
  const running = views.run();
  await clock.advance(31_000);
  assert.is(requests.length, 1);
  told.length = 0;
  await clock.advance(30_000);
  assert.equal(told, []);
  cloud.put(VIP, NODE1.networkInterfaceID);
  await clock.advance(30_000);
  assert.equal(told, ['a']);
  stop.abort();
  await running;
});

test('a pair that is forgotten is read no more', async () => {
  const { clock, requests, views } = bench();
  views.cover('a', SCOPE);
  views.want('a', 0);
  views.forget('a');
  await clock.advance(100);
  assert.is(requests.length, 0);
});

test.run();
