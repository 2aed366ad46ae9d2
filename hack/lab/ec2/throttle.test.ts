import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findAction } from './actions.ts';
import type { Parameters } from './parameters.ts';
import { TokenBuckets } from './throttle.ts';

const FILTERED: Parameters = { 'Filter.1.Name': 'subnet-id', 'Filter.1.Value.1': 'subnet-0eeeeeeeeeeeeeee5' };

const CASES: { action: string; parameters: Parameters; bucket: number; refill: number }[] = [
  { action: 'AssignPrivateIpAddresses', parameters: {}, bucket: 100, refill: 5 },
  { action: 'UnassignPrivateIpAddresses', parameters: {}, bucket: 100, refill: 5 },
  { action: 'AssociateAddress', parameters: {}, bucket: 50, refill: 5 },
  { action: 'DisassociateAddress', parameters: {}, bucket: 50, refill: 5 },
  { action: 'DescribeNetworkInterfaces', parameters: FILTERED, bucket: 100, refill: 20 },
  { action: 'DescribeNetworkInterfaces', parameters: { MaxResults: '5' }, bucket: 100, refill: 20 },
  { action: 'DescribeNetworkInterfaces', parameters: {}, bucket: 50, refill: 10 },
  { action: 'DescribeInstances', parameters: {}, bucket: 50, refill: 10 },
  {
    action: 'DescribeInstances',
    parameters: { 'InstanceId.1': 'i-0aaaaaaaaaaaaaaa1' },
    bucket: 100,
    refill: 20,
  },
  { action: 'DescribeAddresses', parameters: {}, bucket: 100, refill: 20 },
];

/** How many calls pass at one instant. */
const drain = (buckets: TokenBuckets, name: string, parameters: Parameters, nowMs: number): number => {
  let passed = 0;
  while (buckets.take(name, findAction(name), parameters, nowMs)) passed++;
  return passed;
};

for (const { action, parameters, bucket, refill } of CASES) {
  const words = Object.keys(parameters)[0] ?? 'no ids, filters or MaxResults';
  test(`${action} (${words}): ${bucket} at once, then ${refill} per second`, () => {
    const buckets = new TokenBuckets();
    assert.is(drain(buckets, action, parameters, 0), bucket);
    assert.is(drain(buckets, action, parameters, 1000), refill);
    assert.is(drain(buckets, action, parameters, 3_600_000), bucket);
  });
}

test('each action has a bucket of its own, and filtered reads another one than unfiltered', () => {
  const buckets = new TokenBuckets();
  drain(buckets, 'AssignPrivateIpAddresses', {}, 0);
  drain(buckets, 'DescribeNetworkInterfaces', {}, 0);
  assert.is(drain(buckets, 'UnassignPrivateIpAddresses', {}, 0), 100);
  assert.is(drain(buckets, 'DescribeNetworkInterfaces', FILTERED, 0), 100);
});

test.run();
