import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SeenAdvert } from '../../lab/adverts.ts';
import type { Sample } from '../../lab/outage.ts';
import type { CallRecord } from '../../lab/types.ts';
import { RECIPE_PAIR as pair } from './harness.ts';
import {
  deliveriesIn,
  type Evidence,
  firstAdvert,
  mastershipsIn,
  mastersIn,
  switchFigures,
  watchFigures,
} from './measure.ts';

const [first, second] = pair.nodes;

/** A probe every 100 ms from 0 on; each letter is who answered it: 1, 2, or . for nobody. */
const samples = (answers: string): Sample[] =>
  [...answers].map((by, i) => ({ seq: i + 1, sentAtMs: i * 100, ...(by !== '.' && { by: `recipe${by}` }) }));

const advert = (node: 1 | 2, atMs: number, priority = 100): SeenAdvert => ({
  atMs,
  source: pair.nodes[node - 1]?.address ?? '',
  version: 2,
  virtualRouterID: 20,
  priority,
});

const call = (action: string, node: 1 | 2, mappedAtMs?: number): CallRecord => ({
  id: 1,
  action,
  parameters: {
    NetworkInterfaceId: pair.nodes[node - 1]?.networkInterfaceID ?? '',
    'PrivateIpAddress.1': pair.vip,
  },
  accessKeyID: 'AK',
  userAgent: 'aws-cli',
  receivedAtMs: 100,
  answeredAtMs: 200,
  ...(mappedAtMs === undefined ? { errorCode: 'InvalidParameterValue' } : { mappedAtMs }),
  status: mappedAtMs === undefined ? 400 : 200,
});

const assign = (node: 1 | 2, atMs: number): CallRecord => call('AssignPrivateIpAddresses', node, atMs);

const evidence = (change: Partial<Evidence>): Evidence => ({
  pair,
  fromMs: 250,
  toMs: 1000,
  adverts: [],
  calls: [],
  lan: samples('1111111111'),
  wan: samples('1111111111'),
  masters: [first.name],
  delivery: { vip: first.name, publicIP: first.name },
  ...change,
});

const moved = { masters: [second.name], delivery: { vip: second.name, publicIP: second.name } };

test('a switch: outages from the last answer before it, the rest from the first advert and to the slower client', () => {
  const seen = evidence({
    ...moved,
    adverts: [advert(1, 200), advert(2, 420)],
    lan: samples('111...2222'),
    wan: samples('111....222'),
    calls: [assign(2, 500)],
  });
  const figures = switchFigures(seen, 1);
  assert.is(figures.detectionMs, 170);
  assert.is(figures.afterMs, 280, 'the internet client was served at 700');
  assert.equal([figures.lanOutageMs, figures.lanLost], [400, 3]);
  assert.equal([figures.wanOutageMs, figures.wanLost], [500, 4]);
  assert.equal(figures.calls, [
    {
      action: 'AssignPrivateIpAddresses',
      receivedMs: -150,
      answeredMs: -50,
      mappedMs: 250,
      errorCode: null,
    },
  ]);
  assert.is(figures.end.isWrong, false);
});

test('a person decides before anything is on the wire', () => {
  const seen = evidence({
    lan: samples('222....111'),
    wan: samples('222....111'),
    adverts: [advert(1, 600)],
  });
  const figures = switchFigures(seen, 0, 250);
  assert.is(figures.detectionMs, 0);
  assert.is(figures.afterMs, 450);
});

test('a switch that nobody saw is no figure', () => {
  const seen = evidence({ lan: samples('111..2222'), wan: samples('1111111111'), adverts: [advert(2, 420)] });
  assert.throws(() => switchFigures(seen, 1), 'did not answer both clients');
  assert.throws(() => switchFigures(evidence({ adverts: [advert(2, 420, 0)] }), 1), 'no advert as Master');
});

test('a resignation makes nobody a Master, and an advert of before does not count', () => {
  const adverts = [advert(1, 100), advert(1, 200, 0), advert(2, 300), advert(2, 400)];
  assert.equal(mastersIn(adverts, pair, 150, 500), [second.name]);
  assert.equal(mastersIn(adverts, pair, 0, 500), [first.name, second.name]);
  assert.is(firstAdvert(adverts, second, 350)?.atMs, 400);
  assert.is(firstAdvert(adverts, first, 150), undefined);
});

test('a flap that moved EC2 is wrong from the move to the end of the window, and at the end', () => {
  const seen = evidence({
    adverts: [advert(1, 250, 0), advert(2, 300), advert(1, 301), advert(1, 900)],
    calls: [call('UnassignPrivateIpAddresses', 1, 500), assign(2, 700)],
    delivery: { vip: second.name, publicIP: second.name },
  });
  const figures = watchFigures(seen, 1000);
  assert.is(figures.secondMasterMs, 1);
  // 1 ms of the false mastership itself, then from 500 (nowhere) to 1250.
  assert.is(figures.wrongMs, 751);
  assert.is(figures.end.isWrong, true);
});

test('a flap that moved nothing was wrong for as long as the false mastership', () => {
  const seen = evidence({ adverts: [advert(2, 300), advert(1, 301), advert(1, 900)] });
  const figures = watchFigures(seen, 1000);
  assert.is(figures.wrongMs, 1);
  assert.is(figures.end.isWrong, false);
  assert.equal([figures.lanLost, figures.wanLost], [0, 0]);
});

test('nothing is wrong while nobody is Master; losses count from the deed to the end of the window', () => {
  const seen = evidence({ lan: samples('.11.......'), adverts: [advert(1, 600)] });
  const figures = watchFigures(seen, 500);
  assert.equal([figures.secondMasterMs, figures.wrongMs, figures.lanLost], [0, 0, 5]);
});

test('an end is right only with one Master and both addresses at it', () => {
  const isWrong = (change: Partial<Evidence>): boolean => watchFigures(evidence(change), 500).end.isWrong;
  assert.is(isWrong({}), false);
  assert.is(isWrong({ masters: [] }), true);
  assert.is(isWrong({ masters: [first.name, second.name] }), true);
  assert.is(isWrong({ delivery: { vip: first.name, publicIP: null } }), true);
  assert.is(isWrong({ delivery: { vip: second.name, publicIP: first.name } }), true);
});

test('adverts of other pairs make no mastership, later ones neither', () => {
  const other = { ...advert(1, 300), source: '10.10.10.11' };
  assert.equal(mastershipsIn(pair, [other, advert(1, 400), advert(2, 1100)], 250, 1000), [
    { node: first.name, fromMs: 400, toMs: 1000 },
  ]);
});

test('packets follow what EC2 mapped; a refused call moves nothing', () => {
  const calls = [call('UnassignPrivateIpAddresses', 1), assign(2, 700), assign(1, 1200)];
  const found = deliveriesIn(pair, calls, first.name, 1000).map(({ node, toMs }) => ({ node, toMs }));
  assert.equal(found, [
    { node: first.name, toMs: 700 },
    { node: second.name, toMs: 1000 },
  ]);
});

test.run();
