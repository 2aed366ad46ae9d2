/** What an answer of EC2 leaves behind: when the next attempt comes, what is told, and what is settled. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eipItem } from '../../delivery/eip.ts';
import type { Drift, PlannedCall } from '../../delivery/types.ts';
import { VIP as MOVABLE, vipItem } from '../../delivery/vip.ts';
import type { EC2Call } from '../../ec2/actions.ts';
import { failureOf } from '../../ec2/errors.ts';
import type { EC2Result } from '../../ec2/types.ts';
import { ALLOCATION, EPOCH_MS, NODE1, NODE2, VIP } from '../testing/fixtures.ts';
import { callAnswered, callDeferred, callStarted, emptyMemory } from './memory.ts';
import type { PairMemory } from './types.ts';

const failed = (code: string, httpStatus = 400): EC2Result => failureOf({ code, message: 'no', httpStatus });
const THROTTLED = failed('RequestLimitExceeded', 503);
const DENIED = failed('UnauthorizedOperation', 403);
const REJECTED = failed('InvalidParameterValue');
const LOST = failureOf({ code: 'TimeoutError', message: 'no answer' });

const assign = (...privateIPAddresses: string[]): EC2Call => ({
  ...{ action: 'AssignPrivateIpAddresses', networkInterfaceID: NODE1.networkInterfaceID },
  privateIPAddresses,
});

const move = (call = assign(VIP), purpose: PlannedCall['purpose'] = 'Move'): PlannedCall => ({
  ...{ call, movable: MOVABLE, node: 'node1', term: 2, purpose },
  items: [VIP],
  isBatch: 'privateIPAddresses' in call && call.privateIPAddresses.length > 1,
});

const led = (node = 'node1', term = 2): PairMemory => {
  const memory = emptyMemory(0);
  const head = { node, term, readAtMs: 0, readWallMs: EPOCH_MS, termReadAtMs: 0 };
  return { ...memory, authority: { ...memory.authority, head } };
};

const after = (
  memory: PairMemory,
  call: PlannedCall,
  result: EC2Result,
  atMs = 1_000,
  random = 1,
): PairMemory => callAnswered(callStarted(memory, call, 0), { result, atMs, random });

const delaysOf = (result: EC2Result, count: number, random = 1): number[] => {
  let memory = led();
  return Array.from({ length: count }, () => {
    memory = after(memory, move(), result, 1_000, random);
    return (memory.delivery.failure?.retryAtMs ?? 0) - 1_000;
  });
};

test('what time may heal is tried again after 200 ms, then ever later, up to 10 s', () => {
  assert.equal(delaysOf(THROTTLED, 9), [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
});

test('what needs a person is tried again after a second, then ever later, up to half a minute', () => {
  assert.equal(delaysOf(DENIED, 7), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test('chance takes away up to half of a delay, so that many pairs do not come at once', () => {
  assert.equal(delaysOf(THROTTLED, 3, 0), [100, 200, 400]);
  assert.equal(delaysOf(THROTTLED, 2, 0.5), [150, 300]);
});

test('a streak of equal failures makes one Event; another failure, and a success, make one of their own', () => {
  let memory = led();
  for (const result of [THROTTLED, THROTTLED, DENIED, DENIED, { ok: true } as const])
    memory = after(memory, move(), result);
  assert.equal(
    memory.calls.events.map(({ type, reason }) => `${type} ${reason}`),
    ['Warning EC2Throttled', 'Warning EC2Unauthorized', 'Normal AddressesMoved'],
  );
  assert.is(memory.delivery.failure, undefined, 'and the streak is over');
});

test('each purpose has its own word for success', () => {
  const wordOf = (purpose: PlannedCall['purpose']): string => {
    const [event] = after(led(), move(assign(VIP), purpose), { ok: true }).calls.events;
    return `${event?.type} ${event?.reason}`;
  };
  assert.is(wordOf('Place'), 'Normal AddressesMoved');
  assert.is(wordOf('Move'), 'Normal AddressesMoved');
  assert.is(wordOf('Repair'), 'Warning DriftRepaired');
  assert.is(wordOf('Release'), 'Normal AddressReleased');
});

test('several VIPs that are refused together are tried one by one, at once; a single one waits', () => {
  const several = after(led(), move(assign(VIP, '10.10.10.20')), REJECTED);
  assert.ok(several.delivery.oneByOne);
  assert.is(several.delivery.failure?.retryAtMs, 1_000);
  const single = after(led(), move(), REJECTED);
  assert.not(single.delivery.oneByOne);
  assert.is(single.delivery.failure?.retryAtMs, 2_000);
  assert.not(
    after(led(), move(assign(VIP, '10.10.10.20')), THROTTLED).delivery.oneByOne,
    'no address is at fault',
  );
  assert.ok(after(several, move(), { ok: true }).delivery.oneByOne, 'until another master');
});

test('a call whose answer was lost may have worked: EC2 is read first', () => {
  const lost = after(led(), move(), LOST);
  assert.is(lost.delivery.failure?.readFirst, true);
  assert.is(lost.delivery.answeredAtMs, 1_000);
  const refused = after(led(), move(), THROTTLED);
  assert.is(refused.delivery.failure?.readFirst, false);
});

test('success settles what was moved, and the first one is the time of the takeover', () => {
  const first = after(led(), move(), { ok: true }, 1_000);
  assert.equal(first.delivery.settled, [VIP]);
  assert.equal(first.delivery.landed, [{ call: assign(VIP), movable: MOVABLE, atMs: 1_000 }]);
  assert.is(first.delivery.firstAnsweredAtMs, 1_000);
  const again = after(first, move(), { ok: true }, 5_000);
  assert.is(again.delivery.firstAnsweredAtMs, 1_000);
  assert.equal(again.delivery.settled, [VIP], 'once');
});

test('an answer to a call for a former master settles nothing and delays nothing for the present one', () => {
  const memory = callStarted(led(), move(), 0);
  const other: PairMemory = { ...memory, authority: led('node2', 3).authority };
  const worked = callAnswered(other, { result: { ok: true }, atMs: 1_000, random: 1 });
  assert.equal(worked.delivery.settled, []);
  assert.is(worked.delivery.firstAnsweredAtMs, undefined);
  assert.is(worked.delivery.landed.length, 1, 'but EC2 is believed to have done it');
  const refused = callAnswered(other, { result: THROTTLED, atMs: 1_000, random: 1 });
  assert.is(refused.delivery.failure, undefined);
});

test('a release has a streak of its own, and the moves keep theirs', () => {
  const call: EC2Call = {
    ...{ action: 'UnassignPrivateIpAddresses', networkInterfaceID: NODE1.networkInterfaceID },
    privateIPAddresses: [VIP],
  };
  const throttled = after(led(), move(), THROTTLED);
  const both = after(throttled, move(call, 'Release'), DENIED);
  assert.equal([both.delivery.failure?.count, both.delivery.failure?.class], [1, 'Throttled']);
  assert.equal([both.release.failure?.count, both.release.failure?.class], [1, 'Unauthorized']);
  const twice = after(both, move(), THROTTLED);
  assert.equal([twice.delivery.failure?.count, twice.release.failure?.count], [2, 1]);
  const released = after(twice, move(call, 'Release'), { ok: true }, 7_000);
  assert.is(released.release.failure, undefined);
  assert.is(released.release.answeredAtMs, 7_000);
  assert.is(released.delivery.failure?.count, 2);
  assert.equal(released.delivery.settled, [], 'what went is not settled');
});

test('S5: no second call, and no answer to none', () => {
  const begun = callStarted(led(), move(), 0);
  assert.throws(
    () => callStarted(begun, move(), 1),
    /^S5 single step: AssignPrivateIpAddresses of 10\.10\.10\.10 to/,
  );
  assert.throws(() => callAnswered(led(), { result: { ok: true }, atMs: 0, random: 0 }), /^S5 single step/);
});

test('a begun call unsettles what was read, but a release concerns nothing that is wanted', () => {
  const memory: PairMemory = { ...led(), delivery: { ...led().delivery, converged: true } };
  assert.not(callStarted(memory, move(), 0).delivery.converged);
  assert.ok(callStarted(memory, move(assign(VIP), 'Release'), 0).delivery.converged);
  assert.not(callStarted(led(), move(assign(VIP), 'Release'), 0).delivery.converged);
});

test('a repair is told with what was found, counts in its series, and takes the suspicion with it', () => {
  const suspicions = {
    [VIP]: { item: vipItem(VIP), where: {}, seenAtMs: 0 },
    [ALLOCATION]: { item: eipItem(ALLOCATION, undefined), where: {}, seenAtMs: 0 },
  };
  const foundAt = (where: Drift['where']): Drift[] => [{ item: vipItem(VIP), where }];
  const repair = (where: Drift['where']): PlannedCall => ({
    ...move(assign(VIP), 'Repair'),
    drift: foundAt(where),
  });
  const first = callStarted({ ...led(), delivery: { ...led().delivery, suspicions } }, repair({}), 5);
  assert.equal(Object.keys(first.delivery.suspicions), [ALLOCATION]);
  assert.equal(first.delivery.repairs, { [VIP]: { where: {}, count: 1, lastAtMs: 5 } });
  assert.is(first.calls.events[0]?.reason, 'DriftFound');
  const answered = callAnswered(first, { result: { ok: true }, atMs: 6, random: 1 });
  assert.is(callStarted(answered, repair({}), 7).delivery.repairs[VIP]?.count, 2);
  assert.is(
    callStarted(answered, repair({ networkInterfaceID: NODE2.networkInterfaceID }), 7).delivery.repairs[VIP]
      ?.count,
    1,
  );
});

test('the wait for the call budget counts from its beginning, and ends with the call', () => {
  const waiting = callDeferred(callDeferred(led(), 10), 500);
  assert.is(waiting.calls.deferredSinceMs, 10);
  assert.is(callStarted(waiting, move(), 600).calls.deferredSinceMs, undefined);
});

test.run();
