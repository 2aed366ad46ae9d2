/** What is remembered of drift and of calls that worked. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EC2Call } from '../ec2/actions.ts';
import { Cloud } from '../operator/testing/cloud.ts';
import { NODE1, NODE2, VIP } from '../operator/testing/fixtures.ts';
import { learn, NO_DELIVERY, type Observation, repairsOf } from './memory.ts';
import { VIP as VIPS, vipItem } from './vip.ts';

const ITEM = vipItem(VIP);
const OTHER = vipItem('10.10.10.20');
const at = (networkInterfaceID: string) => ({ networkInterfaceID });

const observation = (change: Partial<Observation>): Observation => ({
  ...{ nowMs: 100, view: new Cloud().view(50), items: [ITEM], standings: {}, target: NODE1 },
  ...{ authority: { term: 1, readAtMs: 0 }, memory: NO_DELIVERY, unanswered: undefined },
  ...change,
});

test('repairs are in a row only if the item was found in the same place each time', () => {
  const repairs = { [VIP]: { where: at('eni-2'), count: 3, lastAtMs: 0 } };
  const memory = { ...NO_DELIVERY, repairs };
  assert.is(repairsOf(memory, { item: ITEM, where: at('eni-2') })?.count, 3);
  assert.is(repairsOf(memory, { item: ITEM, where: {} }), undefined);
  assert.is(repairsOf(memory, { item: OTHER, where: at('eni-2') }), undefined);
});

test('a call that worked is believed until a reading that began after its answer', () => {
  const call: EC2Call = {
    ...{ action: 'AssignPrivateIpAddresses', networkInterfaceID: NODE1.networkInterfaceID },
    privateIPAddresses: [VIP],
  };
  const landed = [{ call, movable: VIPS, atMs: 50 }];
  const memory = { ...NO_DELIVERY, landed, answeredAtMs: 50 };
  assert.is(learn(observation({ memory })).landed.length, 1, 'the reading began in the same instant');
  assert.is(learn(observation({ memory, view: new Cloud().view(51) })).landed.length, 0);
  assert.is(learn(observation({ memory, view: undefined })).landed.length, 1);
});

test('before anything was read nothing has converged', () => {
  assert.not(NO_DELIVERY.converged);
  const elsewhere = new Cloud();
  elsewhere.put(VIP, NODE2.networkInterfaceID);
  assert.not(learn(observation({ view: elsewhere.view(50) })).converged);
  assert.not(learn(observation({ view: undefined })).converged);
});

test.run();
