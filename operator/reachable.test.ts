import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ReadResult } from '../ec2/client.ts';
import { failureOf } from '../ec2/errors.ts';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { createReachability } from './reachable.ts';

const nothing = (): ReadResult => ({ view: { readAtMs: 0, networkInterfaces: {}, elasticIPs: {} } });
const refused = (): ReadResult => ({
  ...nothing(),
  failure: failureOf({ code: 'AuthFailure', message: 'not you', httpStatus: 401 }),
});

/** EC2 as it answers; `reads` counts how often it was asked. */
const bench = () => {
  const clock = createVirtualClock();
  const ec2 = {
    mood: 'refusing' as 'refusing' | 'well' | 'silent',
    reads: 0,
    read: async ({ networkInterfaceIDs: [id = ''] }: { networkInterfaceIDs: readonly string[] }) => {
      ec2.reads++;
      if (ec2.mood === 'silent') return new Promise<never>(() => undefined);
      if (ec2.mood === 'refusing') return refused();
      return { view: { readAtMs: 0, networkInterfaces: { [id]: null }, elasticIPs: {} } };
    },
  };
  const stopping = new AbortController();
  const reachability = createReachability(ec2, 'ap-northeast-1', clock, () => 1);
  const problem = () => reachability.check.problem();
  return { clock, ec2, reachability, problem, stopping };
};

test('not ready with the reason until EC2 answers about anything', async () => {
  const { clock, ec2, reachability, problem, stopping } = bench();
  assert.match(problem() ?? '', 'has not answered yet');
  const proving = reachability.prove(stopping.signal);
  await clock.advance(10_000);
  assert.is(problem(), 'AuthFailure: not you');
  assert.is(ec2.reads, 4, 'at 0, 1, 3 and 7 s');
  ec2.mood = 'well';
  await clock.advance(30_000);
  assert.is(problem(), undefined);
  stopping.abort();
  await proving;
});

test('a proof is asked for again every minute, and holds for two', async () => {
  const { clock, ec2, reachability, problem, stopping } = bench();
  ec2.mood = 'well';
  void reachability.prove(stopping.signal);
  await clock.advance(300_000);
  assert.is(ec2.reads, 6);
  assert.is(problem(), undefined);
  ec2.mood = 'refusing';
  await clock.advance(119_000);
  assert.is(problem(), undefined, 'a blip is told of by nobody');
  await clock.advance(2_000);
  assert.is(problem(), 'no answer for 121 s; AuthFailure: not you');
  ec2.mood = 'well';
  await clock.advance(31_000);
  assert.is(problem(), undefined);
  stopping.abort();
});

test('what was known before proves nothing', async () => {
  const { clock, reachability, problem, stopping } = bench();
  const view = { readAtMs: 0, networkInterfaces: { 'eni-1': null, 'eni-2': null }, elasticIPs: {} };
  reachability.note({ view, remembered: 2 });
  assert.match(problem() ?? '', 'has not answered yet');
  reachability.note({ view, remembered: 1 });
  assert.is(problem(), undefined);
  await clock.advance(1);
  stopping.abort();
});

test('a reading that never ends is no proof', async () => {
  const { clock, ec2, reachability, problem, stopping } = bench();
  ec2.mood = 'well';
  void reachability.prove(stopping.signal);
  await clock.advance(1_000);
  ec2.mood = 'silent';
  await clock.advance(200_000);
  assert.is(problem(), 'no answer for 201 s; EC2 has not answered since');
  stopping.abort();
});

test("a pair's reading is proof as well: no other is asked for", async () => {
  const { clock, ec2, reachability, problem, stopping } = bench();
  const view = { readAtMs: 0, networkInterfaces: { 'eni-1': null }, elasticIPs: {} };
  reachability.note({ view });
  void reachability.prove(stopping.signal);
  for (let passed = 0; passed < 300; passed += 30) {
    await clock.advance(30_000);
    reachability.note({ view });
  }
  assert.is(problem(), undefined);
  assert.is(ec2.reads, 0);
  reachability.note(nothing());
  await clock.advance(130_000);
  assert.match(problem() ?? '', 'no answer for 130 s', 'an answer about nothing is none');
  stopping.abort();
});

test.run();
