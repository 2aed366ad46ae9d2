import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FactsRequest, HoldersRequest, ReadRequest, ReadResult } from '../ec2/client.ts';
import { failureOf } from '../ec2/errors.ts';
import type { CallPurpose, EC2Facts } from '../ec2/types.ts';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { Cloud } from './testing/cloud.ts';
import { ALLOCATION, NODE1, NODE2, VIP } from './testing/fixtures.ts';
import { createViews } from './view.ts';

const SCOPE = {
  region: 'ap-northeast-1',
  networkInterfaceIDs: [NODE1.networkInterfaceID, NODE2.networkInterfaceID],
  allocationIDs: [ALLOCATION],
  privateIPAddresses: [],
};

/** Each look at the clock takes `lookMs` of the processor. */
const bench = ({ yieldToEventLoop = () => Promise.resolve(), lookMs = 0 } = {}) => {
  const virtual = createVirtualClock();
  let spentMs = 0;
  const clock = {
    ...virtual,
    now: () => {
      spentMs += lookMs;
      return virtual.now() + spentMs;
    },
  };
  const cloud = new Cloud();
  const requests: ReadRequest[] = [];
  const purposes: CallPurpose[] = [];
  const factsRequests: FactsRequest[] = [];
  const lookups: (readonly string[])[] = [];
  const told: string[] = [];
  const stop = new AbortController();
  /** Readings fail while this is set. */
  const trouble: { with?: ReadResult['failure'] } = {};
  const moving = { on: false };
  /** How long a reading takes. */
  const slow = { readMs: 5 };
  const dryRun: { answer: EC2Facts['mayAssociate'][string] } = { answer: 'Allowed' };
  const read = async (request: ReadRequest, purpose: CallPurpose): Promise<ReadResult> => {
    requests.push(request);
    purposes.push(purpose);
    const readAtMs = clock.now();
    await new Promise<void>((resolve) => clock.setTimer(slow.readMs, resolve));
    return trouble.with
      ? { view: { readAtMs, networkInterfaces: {}, elasticIPs: {} }, failure: trouble.with }
      : { view: cloud.view(readAtMs) };
  };
  /** Knows everything that it is asked for, unless readings fail. */
  const facts = async (request: FactsRequest): Promise<EC2Facts> => {
    factsRequests.push(request);
    const all = <T>(ids: readonly string[], value: (id: string) => T) =>
      Object.fromEntries(trouble.with ? [] : ids.map((id) => [id, value(id)]));
    return {
      readAtMs: clock.now(),
      instances: all(request.instanceIDs, (instanceID) => ({
        instanceID,
        state: 'running',
        instanceType: 't3.micro',
        networkInterfaceIDs: [],
      })),
      subnets: all(request.subnetIDs, (subnetID) => ({
        subnetID,
        cidrBlock: '10.10.10.0/24',
        availabilityZone: 'ap-northeast-1a',
      })),
      securityGroupRules: all(request.securityGroupIDs, () => []),
      addressesPerInterface: all(request.instanceIDs.length > 0 ? ['t3.micro'] : [], () => 2),
      mayAssociate: all(
        request.associations.map(({ allocationID }) => allocationID),
        () => dryRun.answer,
      ),
      ...(trouble.with && { failure: { class: trouble.with.class, message: trouble.with.message } }),
    };
  };
  const holders = async ({ privateIPAddresses }: HoldersRequest) => {
    lookups.push(privateIPAddresses);
    return { holders: cloud.view(0).holders };
  };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const views = createViews({
    ec2: { read, holders, facts },
    isMoving: () => moving.on,
    clock,
    random: () => 0.5,
    onRead: (key) => told.push(key),
    yieldToEventLoop,
    signal: stop.signal,
    log,
  });
  return {
    clock,
    cloud,
    lookups,
    requests,
    purposes,
    factsRequests,
    told,
    stop,
    slow,
    trouble,
    moving,
    dryRun,
    views,
  };
};

test('pairs that ask at the same moment ask EC2 together, once each, and each is told', async () => {
  const { clock, requests, told, views } = bench();
  for (const key of ['a', 'b']) {
    views.cover(key, SCOPE);
    views.want(key, clock.now());
    views.want(key, clock.now());
  }
  await clock.advance(9);
  assert.equal(requests, []);
  await clock.advance(1);
  assert.is(requests.length, 2);
  assert.is(requests[0]?.networkInterfaceIDs.length, 2, 'each id once');
  await clock.advance(100);
  assert.equal(told, ['a', 'b']);
  assert.ok((views.of('a').view?.readAtMs ?? -1) >= 0);
});

test('while a reading of many pairs is taken the event loop turns, and a pair forgotten meanwhile is told nothing', async () => {
  const others: (() => void)[] = [];
  let turns = 0;
  const yieldToEventLoop = async (): Promise<void> => {
    turns += 1;
    for (const other of others.splice(0)) other();
  };
  const { clock, told, views } = bench({ yieldToEventLoop, lookMs: 1 });
  for (let at = 0; at < 100; at++) {
    views.cover(`pair${at}`, SCOPE);
    views.want(`pair${at}`, 0);
  }
  await clock.advance(14);
  others.push(() => views.forget('pair99'));
  await clock.advance(100);
  assert.ok(turns >= 10, `${turns} turns`);
  assert.is(told.length, 99);
  assert.not.ok(told.includes('pair99'));
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

test('who asks while the periodic reading goes on does not wait for its end', async () => {
  const { clock, purposes, slow, stop, views } = bench();
  views.cover('a', SCOPE);
  const running = views.run();
  slow.readMs = 14_000;
  await clock.advance(32_000);
  assert.equal(purposes, ['Watch']);
  slow.readMs = 5;
  const askedAtMs = clock.now() - 5_000; // before it began, which would do, were it not for its end
  views.want('a', askedAtMs);
  await clock.advance(100);
  assert.equal(purposes, ['Watch', 'Look']);
  assert.ok((views.of('a').view?.readAtMs ?? 0) >= askedAtMs);
  stop.abort();
  await clock.advance(20_000);
  await running;
});

test('a periodic reading that failed, begun before one that did not, says nothing', async () => {
  const { clock, slow, stop, trouble, views } = bench();
  views.cover('a', SCOPE);
  const running = views.run();
  slow.readMs = 14_000;
  await clock.advance(32_000);
  slow.readMs = 5;
  views.want('a', clock.now());
  await clock.advance(100);
  trouble.with = failureOf({ code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 });
  await clock.advance(14_000);
  assert.ok(views.of('a').view);
  assert.is(views.of('a').failure, undefined);
  stop.abort();
  await running;
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

test('who has a VIP is asked only where the ENIs of the pair have it not', async () => {
  const { clock, cloud, lookups, views } = bench();
  views.cover('a', { ...SCOPE, privateIPAddresses: ['10.10.10.10'] });
  cloud.put('10.10.10.10', NODE1.networkInterfaceID);
  views.want('a', 0);
  await clock.advance(100);
  assert.equal(lookups, []);
  assert.equal(views.of('a').view?.holders, {});
  cloud.put('10.10.10.10', 'eni-0dddddddddddddddd');
  views.want('a', clock.now());
  await clock.advance(100);
  assert.equal(lookups, [['10.10.10.10']]);
  const [holder] = views.of('a').view?.holders['10.10.10.10'] ?? [];
  assert.is(holder?.networkInterfaceID, 'eni-0dddddddddddddddd');
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
  const { clock, cloud, requests, purposes, stop, told, views } = bench();
  views.cover('a', SCOPE);
  views.cover('b', {
    region: 'ap-northeast-1',
    networkInterfaceIDs: [NODE2.networkInterfaceID],
    allocationIDs: [],
    privateIPAddresses: [],
  });
  const running = views.run();
  await clock.advance(31_000);
  assert.equal(purposes, ['Watch']);
  assert.is(requests.length, 1);
  await clock.advance(5_000);
  told.length = 0;
  await clock.advance(25_000);
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

test('what a pair waits for is read at once, and each Region by itself', async () => {
  const { clock, requests, purposes, views } = bench();
  views.cover('a', SCOPE);
  views.cover('b', { ...SCOPE, region: 'eu-west-1' });
  views.want('a', clock.now());
  views.want('b', clock.now(), true);
  await clock.advance(100);
  assert.equal(purposes, ['Look', 'Confirm']);
  assert.equal(requests.map(({ region }) => region).sort(), ['ap-northeast-1', 'eu-west-1']);
});

test('O9: a reading that becomes urgent while it waits its turn is asked for once more, as such, and once', async () => {
  const { clock, purposes, slow, views } = bench();
  slow.readMs = 60_000;
  views.cover('prod/web', SCOPE);
  views.want('prod/web', clock.now());
  await clock.advance(100);
  for (let n = 0; n < 3; n++) {
    views.want('prod/web', 0, true);
    await clock.advance(100);
  }
  assert.equal(purposes, ['Look', 'Confirm']);
});

test('O9: what a step of the periodic reading has found counts before the next begins, and no Region waits for another', async () => {
  const { clock, requests, slow, stop, told, views } = bench();
  const keys = Array.from({ length: 150 }, (_, at) => `prod/pair${at}`);
  for (const key of keys) views.cover(key, SCOPE);
  views.cover('far/web', { ...SCOPE, region: 'eu-west-1' });
  slow.readMs = 14_000;
  void views.run();
  await clock.advance(30_000 + 14_000 + 50);
  const seen = (): number => new Set(told.filter((key) => key.startsWith('prod/'))).size;
  assert.is(seen(), 64);
  assert.ok(told.includes('far/web'));
  await clock.advance(30_000);
  assert.is(
    requests.filter(({ region }) => region === 'eu-west-1').length,
    2,
    'its next period came on time',
  );
  assert.is(seen(), 150);
  stop.abort();
});

test('O9: where nothing can be read the rest of a round is told so after three steps', async () => {
  const { clock, requests, stop, trouble, views } = bench();
  for (let at = 0; at < 1_000; at++) views.cover(`prod/pair${at}`, SCOPE);
  trouble.with = failureOf({ code: 'TimeoutError', message: 'no answer' });
  void views.run();
  await clock.advance(31_000);
  assert.is(requests.length, 3);
  assert.is(views.of('prod/pair999').failure?.class, 'TimedOut');
  stop.abort();
});

test('a reading that says the same leaves the very same things in place', async () => {
  const { clock, views } = bench();
  views.cover('a', SCOPE);
  views.want('a', clock.now());
  await clock.advance(100);
  const before = views.of('a').view;
  views.want('a', clock.now());
  await clock.advance(100);
  const after = views.of('a').view;
  assert.ok((after?.readAtMs ?? 0) > (before?.readAtMs ?? 0));
  assert.ok(after?.networkInterfaces[NODE1.networkInterfaceID]);
  assert.is(
    after?.networkInterfaces[NODE1.networkInterfaceID],
    before?.networkInterfaces[NODE1.networkInterfaceID],
  );
});

/** Readings run, and every pair asks for one. */
const begin = (keys: readonly string[], { clock, views }: ReturnType<typeof bench>): void => {
  void views.run();
  for (const key of keys) {
    views.cover(key, SCOPE);
    views.want(key, clock.now());
  }
};

test('facts of pairs that appear together are read once, soon, and each pair is told', async () => {
  const all = bench();
  begin(['a', 'b'], all);
  await all.clock.advance(20_000);
  assert.is(all.factsRequests.length, 1);
  assert.equal(all.factsRequests[0]?.subnetIDs, ['subnet-1']);
  assert.is(all.factsRequests[0]?.instanceIDs.length, 2);
  const { facts } = all.views.of('a');
  assert.is(facts?.mayAssociate[ALLOCATION], 'Allowed');
  assert.is(Object.keys(facts?.instances ?? {}).length, 2);
  assert.ok(all.told.filter((key) => key === 'b').length >= 2, 'told of its view and of its facts');
  all.stop.abort();
});

test('facts are read again every five minutes; a failure takes nothing away and says why', async () => {
  const all = bench();
  begin(['a'], all);
  await all.clock.advance(20_000);
  const before = all.views.of('a').facts;
  all.trouble.with = failureOf({ code: 'UnauthorizedOperation', message: 'not allowed', httpStatus: 403 });
  await all.clock.advance(330_000);
  assert.ok(all.factsRequests.length >= 2);
  const { facts } = all.views.of('a');
  assert.equal(facts?.instances, before?.instances);
  assert.is(facts?.failure?.class, 'Unauthorized');
  const { sinceMs } = facts?.failure ?? {};
  await all.clock.advance(660_000);
  assert.is(all.views.of('a').facts?.failure?.sinceMs, sinceMs, 'as long as they fail');
  all.trouble.with = undefined;
  await all.clock.advance(330_000);
  assert.is(all.views.of('a').facts?.failure, undefined);
  all.stop.abort();
});

test('a dry run that tells nothing takes no earlier answer away; one that tells otherwise does', async () => {
  const all = bench();
  begin(['a'], all);
  await all.clock.advance(20_000);
  const answer = () => all.views.of('a').facts?.mayAssociate[ALLOCATION];
  all.dryRun.answer = 'Unknown';
  await all.clock.advance(330_000);
  assert.is(answer(), 'Allowed');
  all.dryRun.answer = 'Denied';
  await all.clock.advance(330_000);
  assert.is(answer(), 'Denied');
  all.stop.abort();
});

test('facts that stay the same tell nobody', async () => {
  const all = bench();
  begin(['a'], all);
  await all.clock.advance(60_000);
  all.told.length = 0;
  await all.clock.advance(1_000_000);
  assert.ok(all.factsRequests.length >= 3);
  assert.equal(all.told, []);
  all.stop.abort();
});

test('no facts are read while addresses are being moved', async () => {
  const all = bench();
  all.moving.on = true;
  begin(['a'], all);
  await all.clock.advance(600_000);
  assert.equal(all.factsRequests, []);
  all.moving.on = false;
  await all.clock.advance(2_000);
  assert.is(all.factsRequests.length, 1);
  all.stop.abort();
});

test.run();
