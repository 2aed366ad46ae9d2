import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Mapper } from './mapper.ts';
import type { Mapping } from './state.ts';

const never = new AbortController().signal;

const to = (routes: Record<string, string>, nat: Record<string, string> = {}): Mapping => ({
  routes: new Map(Object.entries(routes)),
  nat: new Map(Object.entries(nat)),
});

/** A fabric that writes down what it is told. */
const recorder = () => {
  const told: string[] = [];
  const fabric = {
    route: async (address: string, eni: string | null) => void told.push(`${address} -> ${eni}`),
    nat: async (publicIP: string, address: string | null) => void told.push(`${publicIP} -> ${address}`),
  };
  return { told, mapper: new Mapper(fabric, (message) => told.push(message)) };
};

test('tells the fabric what changed, and nothing else', async () => {
  const { told, mapper } = recorder();
  await mapper.follow(to({ vip: 'eni-1', other: 'eni-1' }, { eip: 'vip' }), 0, never);
  await mapper.follow(to({ vip: 'eni-2', other: 'eni-1' }, { eip: 'vip' }), 0, never);
  assert.equal(told, ['vip -> eni-1', 'other -> eni-1', 'eip -> vip', 'vip -> eni-2']);
});

test('ends NAT before the address under it goes', async () => {
  const { told, mapper } = recorder();
  await mapper.follow(to({ vip: 'eni-1' }, { eip: 'vip' }), 0, never);
  await mapper.follow(to({}), 0, never);
  assert.equal(told.slice(2), ['eip -> null', 'vip -> null']);
  assert.equal(mapper.mapped, to({}));
});

test('the newest change of an address wins, even when an older one comes due later', async () => {
  const { told, mapper } = recorder();
  const older = mapper.follow(to({ vip: 'eni-1' }), 20, never);
  await mapper.follow(to({ vip: 'eni-2' }), 0, never);
  await older;
  assert.equal(told, ['vip -> eni-2']);
  assert.equal(mapper.mapped, to({ vip: 'eni-2' }));
});

test('a fabric that refuses is asked again, and told about once', async () => {
  const told: string[] = [];
  let refusals = 1;
  const route = async () => {
    if (refusals-- > 0) throw new Error('network is down');
  };
  const mapper = new Mapper({ route, nat: async () => undefined }, (message) => told.push(message));
  await mapper.follow(to({ vip: 'eni-1' }), 0, never);
  assert.equal(mapper.mapped, to({ vip: 'eni-1' }));
  assert.is(told.length, 1);
});

test('settled waits for the last change', async () => {
  const { mapper } = recorder();
  const followed = mapper.follow(to({ vip: 'eni-1' }), 10, never);
  assert.is(mapper.pending, 1);
  assert.is(await mapper.settled(5000), true);
  await followed;
});

test.run();
