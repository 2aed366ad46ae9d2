import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Check, eventLoopCheck, healthAnswer, syncedCheck, taskCheck, watchCheck } from './health.ts';
import { createVirtualClock } from './testing/virtual-clock.ts';

const fine: Check = { name: 'fine', problem: () => undefined };
const broken: Check = { name: 'broken', problem: () => 'it is on fire' };
const query = (text = '') => new URLSearchParams(text);

test('all is well: 200 and ok, and with ?verbose a line per check', () => {
  assert.equal(healthAnswer('readyz', [fine], query()), { status: 200, body: 'ok' });
  assert.equal(healthAnswer('readyz', [fine], query('verbose')), {
    status: 200,
    body: '[+]fine ok\nreadyz check passed\n',
  });
});

test('one check fails: 500 and every line, with the reason', () => {
  assert.equal(healthAnswer('healthz', [fine, broken], query()), {
    status: 500,
    body: '[+]fine ok\n[-]broken failed: it is on fire\nhealthz check failed\n',
  });
});

test('an excluded check does not count, and is named as excluded', () => {
  assert.equal(healthAnswer('healthz', [fine, broken], query('exclude=broken&verbose')), {
    status: 200,
    body: '[+]fine ok\n[+]broken excluded: ok\nhealthz check passed\n',
  });
});

test('what fails nothing is said with ?verbose', () => {
  const away: Check = { name: 'api', problem: () => undefined, note: () => 'away for 12 s' };
  const silent: Check = { name: 'api', problem: () => undefined, note: () => undefined };
  assert.is(healthAnswer('readyz', [away], query()).body, 'ok');
  assert.is(
    healthAnswer('readyz', [away, silent], query('verbose')).body,
    '[+]api ok: away for 12 s\n[+]api ok\nreadyz check passed\n',
  );
});

test('the event loop: fails while no timer is served, and is well again after the next', async () => {
  const clock = createVirtualClock();
  const stopping = new AbortController();
  // A loop that is stuck serves no timer, but a socket's callback may still come first when it goes on.
  let stuckMs = 0;
  const check = eventLoopCheck(
    { now: () => clock.now() + stuckMs, setTimer: clock.setTimer },
    stopping.signal,
  );
  await clock.advance(60_000);
  assert.is(check.problem(), undefined);
  stuckMs = 11_000;
  assert.match(check.problem() ?? '', 'no timer was served for 11 s');
  await clock.advance(1_000);
  assert.is(check.problem(), undefined);
  stopping.abort();
});

test('a task that ended is named with how', async () => {
  const running = taskCheck('elector', new Promise(() => undefined));
  const lost = taskCheck('elector', Promise.resolve('Lost'));
  const failed = taskCheck('elector', Promise.reject(new Error('out of luck')));
  await Promise.resolve();
  await Promise.resolve();
  assert.is(running.problem(), undefined);
  assert.is(lost.problem(), 'it has ended: Lost');
  assert.is(failed.problem(), 'out of luck');
});

test('a watch: silence with a known error is a retry, silence without one is death', () => {
  let [nowMs, contactMs] = [1_000, Number.NEGATIVE_INFINITY];
  let error: Error | undefined;
  const store = { lastContactMs: () => contactMs, error: () => error };
  const check = watchCheck('hapairs', store, { now: () => nowMs });
  assert.is(check.problem(), undefined, 'it has only begun');
  contactMs = 2_000;
  nowMs = 182_000;
  assert.is(check.problem(), undefined);
  nowMs = 183_000;
  assert.match(check.problem() ?? '', 'silent for 181 s');
  error = new Error('the API server is away');
  assert.is(check.problem(), undefined, 'a restart would not bring the API server back');
});

test('a store is ready after its first complete list, and says what keeps it until then', async () => {
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  let error: Error | undefined;
  const check = syncedCheck('hapairs', { synced, error: () => error });
  assert.is(check.problem(), 'the first list is under way');
  error = new Error('list hapairs: 403 Forbidden');
  assert.is(check.problem(), 'list hapairs: 403 Forbidden');
  resolve();
  await synced;
  assert.is(check.problem(), undefined);
});

test.run();
