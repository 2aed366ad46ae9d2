/** The budget in virtual time: who gets a token, and when. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createVirtualClock } from '../runtime/testing/virtual-clock.ts';
import { ACTIONS, type EC2Action } from './actions.ts';
import { LEFT_TO_OTHERS } from './bucket.ts';
import { createBudget, HELD_MS } from './budget.ts';
import { failureOf } from './errors.ts';
import { LONG_MS, RESERVE } from './line.ts';
import { CALL_PURPOSES, type CallPurpose } from './types.ts';

const REGION = 'ap-northeast-1';
const ASSIGN = 'AssignPrivateIpAddresses';
const READ = 'DescribeNetworkInterfaces';
const OWN = 1 - LEFT_TO_OTHERS;
const CAPACITY = ACTIONS[ASSIGN].bucket.capacity * OWN;
const REFILL = ACTIONS[ASSIGN].bucket.refillPerSecond * OWN;
const THROTTLED = failureOf({ code: 'RequestLimitExceeded', message: 'slow down', httpStatus: 503 });

/** A budget whose callers take their token as soon as they are told, unless they sleep. */
const bench = () => {
  const clock = createVirtualClock();
  const wishes = new Map<string, { action: EC2Action; purpose: CallPurpose }>();
  const granted: { key: string; atMs: number }[] = [];
  const sleepers = new Set<string>();
  const told: string[] = [];
  const ask = (key: string): boolean => {
    const wish = wishes.get(key);
    if (!wish) return false;
    const isGranted = budget.admit(key, REGION, wish.action, wish.purpose);
    if (isGranted) {
      wishes.delete(key);
      granted.push({ key, atMs: clock.now() });
    }
    return isGranted;
  };
  const budget = createBudget({
    clock,
    shareOf: (key) => key.slice(0, Math.max(0, key.indexOf('/'))),
    onTurn: (key) => {
      told.push(key);
      if (!sleepers.has(key)) clock.setTimer(0, () => ask(key));
    },
  });
  const want = (key: string, purpose: CallPurpose, action: EC2Action = ASSIGN): boolean => {
    wishes.set(key, { action, purpose });
    return ask(key);
  };
  /** Failovers take all there is. */
  const drain = (): void => {
    while (budget.admit('drain', REGION, ASSIGN, 'Move'));
    budget.withdraw('drain');
  };
  const keys = () => granted.map(({ key }) => key);
  return { clock, budget, granted, sleepers, told, want, ask, drain, keys };
};

test("a thousand failovers at once are granted at exactly the bucket's own bound", async () => {
  const { clock, granted, want } = bench();
  for (let n = 0; n < 1_000; n++) want(`pair${n}`, 'Move');
  await clock.advance(250_000);
  assert.is(granted.length, 1_000);
  for (const [index, { key, atMs }] of granted.entries()) {
    assert.is(key, `pair${index}`, 'first come, first served');
    const boundMs = Math.max(0, ((index + 1 - CAPACITY) / REFILL) * 1_000);
    assert.ok(Math.abs(atMs - boundMs) < 1, `the ${index}th: ${atMs} ms, bound ${boundMs} ms`);
  }
});

test('whatever waits, the next token goes to the most urgent purpose', async () => {
  const { clock, want, drain, keys } = bench();
  drain();
  want('preflight', 'Preflight');
  want('release', 'Release');
  want('place', 'Place');
  want('repair', 'Repair');
  want('move', 'Move');
  await clock.advance(60_000);
  assert.equal(keys(), ['move', 'repair', 'place', 'release', 'preflight']);
});

test('everything but a failover leaves a reserve, which a failover then has at once', () => {
  const { want, keys } = bench();
  for (let n = 0; n < 200; n++) want(`repair${n}`, 'Repair');
  assert.is(keys().length, Math.floor(CAPACITY * (1 - RESERVE)));
  for (let n = 0; n < 20; n++) assert.ok(want(`move${n}`, 'Move'));
});

test('readings that look for drift leave a reserve for read-backs', () => {
  const { want, keys } = bench();
  const capacity = ACTIONS[READ].bucket.capacity * OWN;
  for (let n = 0; n < 200; n++) want(`watch${n}`, 'Watch', READ);
  assert.is(keys().length, Math.floor(capacity * (1 - RESERVE)));
  assert.ok(want('confirm', 'Confirm', READ));
});

test('a reading that has waited for long is served before younger ones of any purpose', async () => {
  const { clock, want, keys } = bench();
  let n = 0;
  const flood = () => {
    for (let each = 0; each < 40; each++) want(`confirm${n++}`, 'Confirm', READ);
  };
  for (let each = 0; each < 5; each++) flood();
  want('watch', 'Watch', READ);
  for (let second = 0; second < 2 * (LONG_MS / 1_000); second++) {
    flood();
    await clock.advance(1_000);
  }
  assert.ok(keys().includes('watch'));
  assert.ok(keys().length < n, 'the flood went on');
});

test('nothing makes a failover wait but failovers before it', async () => {
  const { clock, want, drain, granted } = bench();
  drain();
  for (let n = 0; n < 100; n++) want(`repair${n}`, 'Repair');
  await clock.advance(3 * LONG_MS);
  drain();
  const askedAtMs = clock.now();
  want('move', 'Move');
  await clock.advance(10_000);
  const move = granted.find(({ key }) => key === 'move');
  assert.ok((move?.atMs ?? Number.POSITIVE_INFINITY) - askedAtMs <= 1_000 / REFILL + 1);
});

test('whatever the number of those who wait in one share, the others take turns with it', async () => {
  const { clock, want, drain, keys } = bench();
  drain();
  for (let n = 0; n < 200; n++) want(`crowd/${n}`, 'Move');
  want('prod/a', 'Move');
  want('prod/b', 'Move');
  want('test/c', 'Move');
  await clock.advance((7 * 1_000) / REFILL);
  assert.equal(keys(), ['crowd/0', 'prod/a', 'test/c', 'crowd/1', 'prod/b', 'crowd/2', 'crowd/3']);
});

test('of a crowd that has waited for long, only every other one passes by what is more urgent', async () => {
  const { clock, want, drain, granted, keys } = bench();
  drain();
  for (let n = 0; n < 400; n++) want(`crowd/${n}`, 'Order');
  await clock.advance(2 * LONG_MS);
  assert.ok(keys().length < 100);
  const askedAtMs = clock.now();
  want('prod/a', 'Repair');
  await clock.advance(60_000);
  const { atMs = Number.POSITIVE_INFINITY } = granted.find(({ key }) => key === 'prod/a') ?? {};
  assert.ok(atMs - askedAtMs <= (2 * 1_000) / REFILL + 1, String(atMs - askedAtMs));
});

test('a key that waits has one place, however often it asks', async () => {
  const { clock, budget, want, drain, keys } = bench();
  drain();
  for (let n = 0; n < 5; n++) want('a', 'Move');
  assert.is(budget.levels()[0]?.waiting, 1);
  await clock.advance(5_000);
  assert.equal(keys(), ['a']);
});

test('a token that is not taken within its time goes to the next', async () => {
  const { clock, want, drain, sleepers, keys, told } = bench();
  drain();
  sleepers.add('asleep');
  want('asleep', 'Move');
  want('next', 'Move');
  await clock.advance(1_000 / REFILL + HELD_MS + 10);
  assert.equal(told.slice(0, 1), ['asleep']);
  assert.equal(keys(), ['next']);
});

test('a token given back is not lost: as many calls are made as the bucket allows', async () => {
  const { clock, budget, want, drain, sleepers, keys } = bench();
  drain();
  for (const key of ['a', 'b', 'c']) {
    sleepers.add(key);
    want(key, 'Move');
  }
  await clock.advance((3 * 1_000) / REFILL + 1);
  for (const key of ['a', 'b', 'c']) budget.withdraw(key);
  for (const key of ['d', 'e', 'f']) want(key, 'Move');
  assert.equal(keys(), ['d', 'e', 'f']);
});

test('who asks for another action gives up the first', async () => {
  const { clock, budget, want, drain, keys } = bench();
  drain();
  want('a', 'Move');
  assert.ok(want('a', 'Move', 'AssociateAddress'));
  await clock.advance(5_000);
  assert.equal(keys(), ['a']);
  assert.is(budget.levels().find(({ action }) => action === ASSIGN)?.waiting, 0);
});

test('Regions and actions have buckets of their own', () => {
  const { budget, drain } = bench();
  drain();
  assert.not(budget.admit('a', REGION, ASSIGN, 'Move'));
  assert.ok(budget.admit('b', 'eu-west-1', ASSIGN, 'Move'));
  assert.ok(budget.admit('c', REGION, 'UnassignPrivateIpAddresses', 'Move'));
});

test('refused calls that were under way together slow the refill once; served ones bring it back', async () => {
  const { clock, budget } = bench();
  const refill = () => budget.levels()[0]?.refillPerSecond ?? 0;
  budget.admit('a', REGION, ASSIGN, 'Move');
  for (let n = 0; n < 10; n++) budget.answered(REGION, ASSIGN, THROTTLED);
  assert.is(refill(), REFILL / 2);
  assert.is(budget.levels()[0]?.tokens, 0);
  for (let n = 0; n < 100; n++) {
    await clock.advance(2_000);
    budget.answered(REGION, ASSIGN, THROTTLED);
  }
  assert.ok(refill() > 0, 'never so slow that nothing moves');
  for (let n = 0; n < 20; n++) budget.answered(REGION, ASSIGN, { ok: true });
  assert.is(refill(), REFILL);
});

test('a reading waits for its turn, and leaves the line when it is called off', async () => {
  const { clock, budget } = bench();
  const stop = new AbortController();
  const taken: string[] = [];
  const capacity = ACTIONS[READ].bucket.capacity * OWN;
  for (let n = 0; n < capacity; n++) {
    void budget.take(REGION, READ, 'Confirm', stop.signal).then(() => taken.push('early'));
  }
  const late = budget.take(REGION, READ, 'Watch', stop.signal).then(
    () => 'taken',
    () => 'called off',
  );
  stop.abort();
  assert.is(await late, 'called off');
  assert.is(taken.length, capacity);
  assert.is(budget.levels()[0]?.waiting, 0);
  await clock.advance(60_000);
  assert.is(
    budget.levels()[0]?.tokens,
    ACTIONS[READ].bucket.capacity * OWN,
    'no token was lost to the ones called off',
  );
});

test('whatever is asked, no more is granted than the bucket holds and gets, and in the end everybody is served', async () => {
  const wish = fc.record({
    key: fc.nat(30),
    purpose: fc.constantFrom(...CALL_PURPOSES),
    pauseMs: fc.nat(3_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(wish, { maxLength: 60 }), async (wishes) => {
      const { clock, granted, want, drain, budget } = bench();
      drain();
      const wanted = new Set<string>();
      for (const { key, purpose, pauseMs } of wishes) {
        wanted.add(`pair${key}`);
        want(`pair${key}`, purpose);
        await clock.advance(pauseMs);
        assert.ok(granted.length <= 1 + (clock.now() / 1_000) * REFILL);
      }
      await clock.advance(120_000);
      assert.is(budget.levels()[0]?.waiting, 0);
      assert.equal([...new Set(granted.map(({ key }) => key))].sort(), [...wanted].sort());
    }),
    { numRuns: 50 },
  );
});

test.run();
