/** Readings of EC2 beside a crowd of HAPairs that name nothing real: budget, client and views together, in virtual time. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2API } from '../ec2/api.ts';
import { createBudget } from '../ec2/budget.ts';
import { createEC2 } from '../ec2/client.ts';
import { Cloud } from '../operator/testing/cloud.ts';
import { ALLOCATION, NODE1, NODE2 } from '../operator/testing/fixtures.ts';
import { createViews } from '../operator/view.ts';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { askedBy } from './ec2-answers.ts';

const REGION = 'ap-northeast-1';
const REAL = {
  region: REGION,
  networkInterfaceIDs: [NODE1.networkInterfaceID, NODE2.networkInterfaceID],
  allocationIDs: [ALLOCATION],
  privateIPAddresses: ['10.10.10.10'],
};
const READ_MS = 50;

/** One of a crowd: ids that nobody has. */
const invented = (pair: number, enis: number, eips: number) => ({
  region: REGION,
  networkInterfaceIDs: Array.from({ length: enis }, (_, at) => `eni-${pair}x${at}`),
  allocationIDs: Array.from({ length: eips }, (_, at) => `eipalloc-${pair}x${at}`),
  privateIPAddresses: [`10.20.${pair >> 8}.${pair & 255}`],
});

const bench = () => {
  const clock = createVirtualClock();
  const cloud = new Cloud();
  const calls: number[] = [];
  const told: { key: string; atMs: number }[] = [];
  const stop = new AbortController();
  const api: EC2API = {
    async send(_region, action, input) {
      calls.push(clock.now());
      await new Promise<void>((resolve) => clock.setTimer(READ_MS, resolve));
      const view = cloud.view(clock.now());
      return askedBy(action, input, view.elasticIPs).answer(view);
    },
    close: () => undefined,
  };
  const budget = createBudget({ clock, onTurn: () => undefined });
  const ec2 = createEC2({ api, clock, budget });
  const views = createViews({
    ec2: {
      read: (...request) => ec2.read(...request),
      holders: (...request) => ec2.holders(...request),
      facts: () => new Promise(() => undefined),
    },
    clock,
    random: () => 0.5,
    onRead: (key) => told.push({ key, atMs: clock.now() }),
    yieldToEventLoop: () => Promise.resolve(),
    signal: stop.signal,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  /** It runs on in small steps: what is answered at once goes on at once. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 10) await clock.advance(Math.min(10, left));
  };
  return { clock, cloud, calls, told, stop, views, pass };
};

test('O9: a restarted operator beside 500 HAPairs that name nothing real follows a crash within three seconds', async () => {
  const { clock, calls, told, stop, views, pass } = bench();
  for (let pair = 0; pair < 500; pair++) {
    views.cover(`crowd/pair${pair}`, invented(pair, 2, 0));
    views.want(`crowd/pair${pair}`, clock.now());
  }
  await pass(100);
  views.cover('prod/web', REAL);
  const askedAtMs = clock.now();
  views.want('prod/web', askedAtMs, true);
  await pass(120_000);
  const { atMs = Number.POSITIVE_INFINITY } = told.find(({ key }) => key === 'prod/web') ?? {};
  assert.ok(atMs - askedAtMs <= 1_000, `read after ${atMs - askedAtMs} ms`);
  assert.is(new Set(told.map(({ key }) => key)).size, 501, 'the crowd is told too');
  assert.ok(calls.length <= 60, `${calls.length} calls`);
  assert.equal(views.of('crowd/pair7').view?.networkInterfaces, { 'eni-7x0': null, 'eni-7x1': null });
  stop.abort();
});

test('O9: fifty HAPairs with invented ids leave the detection of a lost EIP at one period, and cost fewer than one call a second', async () => {
  const { clock, cloud, calls, told, stop, views, pass } = bench();
  for (let pair = 0; pair < 50; pair++) {
    views.cover(`crowd/pair${pair}`, invented(pair, 2, 16));
    views.want(`crowd/pair${pair}`, clock.now());
  }
  views.cover('prod/web', REAL);
  views.want('prod/web', clock.now());
  void views.run();
  await pass(10_000);
  const before = calls.length;
  for (let minute = 0; minute < 3; minute++) {
    const isThere = cloud.elasticIPs.get(ALLOCATION) !== undefined;
    told.length = 0;
    const lostAtMs = clock.now();
    cloud.elasticIPs.set(
      ALLOCATION,
      isThere ? undefined : { networkInterfaceID: NODE1.networkInterfaceID, privateIPAddress: NODE1.address },
    );
    await pass(60_000);
    const { atMs = Number.POSITIVE_INFINITY } = told.find(({ key }) => key === 'prod/web') ?? {};
    assert.ok(atMs - lostAtMs <= 35_000, `seen after ${atMs - lostAtMs} ms`);
  }
  assert.ok((calls.length - before) / 180 < 1, `${calls.length - before} calls in three minutes`);
  stop.abort();
});

test('O9: what did not exist and does is found by the reading of all pairs', async () => {
  const { clock, cloud, stop, views, pass } = bench();
  const scope = { ...REAL, networkInterfaceIDs: [NODE1.networkInterfaceID, NODE2.networkInterfaceID] };
  cloud.gone.add(NODE2.networkInterfaceID);
  views.cover('prod/late', scope);
  views.want('prod/late', clock.now());
  void views.run();
  await pass(1_000);
  const { networkInterfaces } = views.of('prod/late').view ?? {};
  assert.is(networkInterfaces?.[NODE2.networkInterfaceID], null);
  assert.ok(networkInterfaces?.[NODE1.networkInterfaceID], 'the others of its reading are there');
  cloud.gone.clear();
  await pass(35_000);
  assert.ok(views.of('prod/late').view?.networkInterfaces[NODE2.networkInterfaceID]);
  stop.abort();
});

test.run();
