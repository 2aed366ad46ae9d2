import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KubeError, type KubeErrorKind } from '../kube/errors.ts';
import { createVirtualClock } from '../kube/testing/virtual-clock.ts';
import { trackContact } from './contact.ts';

const createBench = () => {
  const clock = createVirtualClock(1_000);
  const lines: string[] = [];
  let returns = 0;
  const keep = (fields: object, message: string) => {
    lines.push(`${message}${'awaySeconds' in fields ? ` (${fields.awaySeconds} s)` : ''}`);
  };
  const onBack = () => {
    returns += 1;
  };
  const contact = trackContact({ clock, log: { info: keep, warn: keep, error: keep }, onBack });
  const fail = (kind: KubeErrorKind, answered = false) =>
    contact.called(answered, new KubeError(`get VRRPInstance: ${kind}`, { kind }));
  return { clock, lines, contact, fail, returns: () => returns };
};

test('before the first call nothing is known', () => {
  const { contact } = createBench();
  assert.equal(contact.look(), { isConnected: null, silenceMs: null, calls: {}, failure: null });
  assert.is(contact.lastMs(), null);
});

test('each loss and each return is said once, with how long it was away', async () => {
  const { clock, lines, contact, fail, returns } = createBench();
  contact.called(true);
  fail('Unreachable');
  await clock.advance(30_000);
  fail('TimedOut');
  await clock.advance(12_000);
  assert.is(contact.look().isConnected, false);
  assert.is(contact.look().silenceMs, 42_000);
  assert.is(contact.look().failure?.kind, 'TimedOut');
  contact.called(true);
  contact.called(true);
  assert.equal(lines, ['API server away; going on from disk', 'API server back (42 s)']);
  assert.is(returns(), 1);
  assert.equal(contact.look(), {
    isConnected: true,
    silenceMs: 0,
    calls: { Success: 3, Unreachable: 1, TimedOut: 1 },
    failure: null,
  });
});

test('a credential that is refused is said as such, also when the API server was away before', () => {
  const { lines, contact, fail } = createBench();
  fail('Unreachable');
  fail('Unauthorized');
  fail('Unauthorized');
  assert.equal(lines, [
    'API server away; going on from disk',
    "API server refuses this node's credential; renew it. Going on from disk",
  ]);
  assert.is(contact.look().failure?.kind, 'Unauthorized');
  assert.is(contact.look().calls.Unauthorized, 2);
});

test('a refusal by a working API server is an answer', () => {
  const { lines, contact, fail } = createBench();
  fail('NotFound', true);
  assert.is(contact.look().isConnected, true);
  assert.equal(contact.look().calls, { NotFound: 1 });
  assert.equal(lines, []);
});

test('what a watch hears is a sign of life', async () => {
  const { clock, contact, fail } = createBench();
  contact.called(true);
  await clock.advance(5_000);
  fail('TimedOut');
  contact.watch([{ lastContactMs: () => 4_000 }, { lastContactMs: () => Number.NEGATIVE_INFINITY }]);
  assert.is(contact.lastMs(), 4_000);
  assert.is(contact.look().silenceMs, 2_000);
});

test.run();
