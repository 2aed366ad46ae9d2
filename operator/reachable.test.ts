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

test('not ready with the reason until EC2 answers about anything, then for good', async () => {
  const clock = createVirtualClock();
  let reads = 0;
  let isRefusing = true;
  const ec2 = {
    read: async ({ networkInterfaceIDs: [id = ''] }: { networkInterfaceIDs: readonly string[] }) => {
      reads++;
      if (isRefusing) return refused();
      return { view: { readAtMs: 0, networkInterfaces: { [id]: null }, elasticIPs: {} } };
    },
  };
  const reachability = createReachability(ec2, 'ap-northeast-1', clock, () => 1);
  assert.match(reachability.check.problem() ?? '', 'has not answered yet');
  const proving = reachability.prove(new AbortController().signal);
  await clock.advance(10_000);
  assert.is(reachability.check.problem(), 'AuthFailure: not you');
  assert.is(reads, 4, 'at 0, 1, 3 and 7 s');
  isRefusing = false;
  await clock.advance(30_000);
  await proving;
  assert.is(reachability.check.problem(), undefined);
  reachability.note(refused());
  assert.is(reachability.check.problem(), undefined, 'a restart would not mend what came later');
});

test("a pair's reading is proof as well, and an answer about nothing is none", async () => {
  const clock = createVirtualClock();
  const ec2 = { read: async () => refused() };
  const reachability = createReachability(ec2, 'ap-northeast-1', clock, () => 1);
  const proving = reachability.prove(new AbortController().signal);
  await clock.advance(0);
  reachability.note(nothing());
  assert.ok(reachability.check.problem());
  const view = { readAtMs: 0, networkInterfaces: { 'eni-1': null }, elasticIPs: {} };
  reachability.note({ view });
  assert.is(reachability.check.problem(), undefined);
  await clock.advance(1_000);
  await proving;
});

test.run();
