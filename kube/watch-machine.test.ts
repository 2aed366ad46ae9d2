import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KubeError } from './errors.ts';
import type { KubeObject } from './types.ts';
import { type WatchAction, WatchMachine } from './watch-machine.ts';

const object = (name: string, resourceVersion = '1', uid = `uid-of-${name}`): KubeObject => ({
  metadata: { name, resourceVersion, uid },
});

/** Without jitter: random 0 takes each delay whole and the shortest watch. */
const createMachine = () => new WatchMachine({ keyOf: ({ metadata }) => metadata.name, random: () => 0 });

const page = (items: KubeObject[], resourceVersion = '10', continueToken?: string) =>
  ({ type: 'page', items, resourceVersion, continueToken }) as const;

const failed = (kind: KubeError['kind'], retryAfterMs?: number) =>
  ({ type: 'failed', error: new KubeError(kind, { kind, retryAfterMs }) }) as const;

const watchFrom = (resourceVersion: string): WatchAction => ({
  do: 'watch',
  resourceVersion,
  timeoutSeconds: 240,
});

const ASK: WatchAction = { do: 'ask' };

/** A machine that has listed `items` at version 10 and opened its watch at 0 ms. */
const watching = (items: KubeObject[]) => {
  const machine = createMachine();
  machine.step(page(items), 0);
  machine.step({ type: 'opened' }, 0);
  return machine;
};

test('lists page by page and shows nothing before the last one', () => {
  const machine = createMachine();
  assert.equal(machine.start(), { do: 'list', continueToken: undefined });
  const first = machine.step(page([object('a')], '10', 'more'), 0);
  assert.equal(first, { changed: [], action: { do: 'list', continueToken: 'more' } });
  assert.is(machine.lists, 0);
  const last = machine.step(page([object('b')]), 0);
  assert.equal(last, { changed: ['a', 'b'], action: watchFrom('10') });
  assert.is(machine.lists, 1);
  assert.equal([...machine.objects.keys()], ['a', 'b']);
});

test('takes events, and resumes from the last of them, bookmarks included', () => {
  const machine = watching([object('a')]);
  assert.is(machine.event({ type: 'ADDED', object: object('b', '11') }), 'b');
  assert.is(machine.event({ type: 'MODIFIED', object: object('a', '12') }), 'a');
  assert.is(machine.event({ type: 'DELETED', object: object('b', '13') }), 'b');
  assert.is(machine.event({ type: 'BOOKMARK', object: object('', '20') }), undefined);
  assert.equal([...machine.objects.keys()], ['a']);
  assert.equal(machine.step({ type: 'ended' }, 240_000).action, watchFrom('20'));
});

test('says how far it knows every change: not before a list is complete, and on the way to the next as far as before', () => {
  const machine = createMachine();
  machine.step(page([object('a')], '10', 'more'), 0);
  assert.is(machine.shownVersion, undefined);
  machine.step(page([object('b')]), 0);
  assert.is(machine.shownVersion, '10');
  machine.step({ type: 'opened' }, 0);
  machine.event({ type: 'DELETED', object: object('b', '13') });
  assert.is(machine.shownVersion, '13');
  machine.event({ type: 'BOOKMARK', object: object('', '20') });
  assert.is(machine.shownVersion, '20');
  machine.start();
  assert.is(machine.shownVersion, '20');
});

test('managedFields and annotations are not kept', () => {
  const machine = createMachine();
  const listed = {
    metadata: { name: 'a', managedFields: [{ manager: 'x' }], annotations: { much: 'text' } },
  };
  machine.step(page([listed]), 0);
  machine.event({ type: 'ADDED', object: { metadata: { name: 'b', managedFields: [{}] } } as KubeObject });
  assert.equal([...machine.objects.values()], [{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }]);
});

test('410 in the stream lists anew; only what differs is reported, a changed UID and a deletion included', () => {
  const machine = watching([object('same'), object('gone'), object('reborn')]);
  let error: unknown;
  try {
    machine.event({ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old' } });
  } catch (thrown) {
    error = thrown;
  }
  assert.instance(error, KubeError);
  const { action } = machine.step({ type: 'failed', error: error as KubeError }, 1);
  assert.equal(action, { do: 'list', continueToken: undefined });
  assert.is(machine.objects.size, 3, 'the store stays until the list is complete');
  const relisted = machine.step(
    page([object('same'), object('reborn', '1', 'another'), object('late')], '30'),
    2,
  );
  assert.equal(relisted, { changed: ['gone', 'reborn', 'late'], action: watchFrom('30') });
  assert.is(machine.objects.get('reborn')?.metadata.uid, 'another');
});

test('410 again and again waits longer each time', () => {
  const machine = watching([]);
  assert.is(machine.step(failed('Gone'), 1).action.do, 'list');
  const delays = [0, 0, 0].map(() => {
    const { action } = machine.step(failed('Gone'), 2);
    return action.do === 'wait' && action.delayMs;
  });
  assert.equal(delays, [800, 1600, 3200]);
});

test('410 between two pages drops the pages read so far', () => {
  const machine = createMachine();
  machine.step(page([object('a')], '10', 'more'), 0);
  assert.equal(machine.step(failed('Gone'), 0).action, { do: 'list', continueToken: undefined });
  assert.equal(machine.step(page([object('b')]), 0).changed, ['b']);
});

test('another error between two pages goes on with the next page', () => {
  const machine = createMachine();
  machine.step(page([object('a')], '10', 'more'), 0);
  const { action } = machine.step(failed('ServerError'), 0);
  assert.equal(action, { do: 'wait', delayMs: 200, next: { do: 'list', continueToken: 'more' } });
});

test('an error keeps the store, names itself and resumes with growing delays up to the maximum', () => {
  const machine = watching([object('a')]);
  const delays = Array.from({ length: 9 }, () => {
    const { action } = machine.step(failed('Unreachable'), 1);
    assert.equal(action.do === 'wait' && action.next, ASK);
    assert.equal(machine.step({ type: 'newest', resourceVersion: '10' }, 1).action, watchFrom('10'));
    return action.do === 'wait' && action.delayMs;
  });
  assert.equal(delays, [200, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000]);
  assert.is(machine.objects.size, 1);
  assert.is(machine.error?.message, 'Unreachable');
  machine.step({ type: 'opened' }, 2);
  assert.is(machine.error, undefined);
});

test('delays grow on while connections are short, and start anew after a stable one', () => {
  const machine = watching([]);
  machine.step(failed('Unreachable'), 1);
  machine.step({ type: 'opened' }, 1_000);
  const short = machine.step(failed('Unreachable'), 2_000).action;
  assert.is(short.do === 'wait' && short.delayMs, 800);
  machine.step({ type: 'opened' }, 100_000);
  const late = machine.step(failed('Unreachable'), 101_000).action;
  assert.is(late.do === 'wait' && late.delayMs, 1_600, 'short, however old the process is');
  machine.step({ type: 'opened' }, 103_000);
  const stable = machine.step(failed('Unreachable'), 133_000).action;
  assert.is(stable.do === 'wait' && stable.delayMs, 200);
});

test('Retry-After lengthens a delay, within reason', () => {
  const asked = watching([]).step(failed('Throttled', 5_000), 1).action;
  assert.is(asked.do === 'wait' && asked.delayMs, 5_000);
  const absurd = watching([]).step(failed('Throttled', 86_400_000), 1).action;
  assert.is(absurd.do === 'wait' && absurd.delayMs, 60_000);
});

test('a stream that ends at once is no clean end: no hot loop', () => {
  const { action } = watching([]).step({ type: 'ended' }, 10);
  assert.equal(action, { do: 'wait', delayMs: 200, next: ASK });
});

test('a stream that ends before its headers came is no clean end either', () => {
  const machine = createMachine();
  machine.step(page([]), 0);
  assert.equal(machine.step({ type: 'ended' }, 60_000).action, {
    do: 'wait',
    delayMs: 200,
    next: ASK,
  });
});

test('O14: an API server that has gone back behind what is held is listed afresh, and that list is the truth', () => {
  const machine = watching([object('a', '10'), object('lost', '9')]);
  machine.event({ type: 'MODIFIED', object: object('a', '12') });
  machine.step(failed('Unreachable'), 1);
  assert.equal(machine.step({ type: 'newest', resourceVersion: '5' }, 1).action.do, 'list');
  const { changed, action } = machine.step(page([object('a', '4')], '5'), 1);
  assert.equal([...changed].sort(), ['a', 'lost']);
  assert.equal(action, watchFrom('5'));
  assert.is(machine.shownVersion, '5');
});

test('O14: an event or a bookmark that is older than what is held leads to a new list', () => {
  for (const type of ['MODIFIED', 'BOOKMARK'] as const) {
    const machine = watching([object('a', '10')]);
    machine.event({ type: 'BOOKMARK', object: object('', '12') });
    machine.event({ type: 'BOOKMARK', object: object('', '12') });
    assert.throws(
      () => machine.event({ type, object: object('a', '11') }),
      (error: unknown) => error instanceof KubeError && error.kind === 'Gone',
    );
    assert.is(machine.objects.get('a')?.metadata.resourceVersion, '10');
  }
});

test('O14: a line that is no event leads to a new list, not to the same line again', () => {
  for (const line of [
    null,
    {},
    { type: 'ADDED' },
    { type: 'ADDED', object: {} },
    { type: 'NEW', object: object('b') },
  ])
    assert.throws(
      () => watching([]).event(line as never),
      (error: unknown) => error instanceof KubeError && error.kind === 'Invalid',
    );
});

test('a stream that lived for a second has ended cleanly; one that lived for half a minute has made up for failures', () => {
  const machine = watching([]);
  assert.equal(machine.step({ type: 'ended' }, 1_000).action, watchFrom('10'));
  machine.step(failed('Unreachable'), 1_000);
  machine.step({ type: 'opened' }, 2_000);
  assert.equal(machine.step({ type: 'ended' }, 31_999).action, watchFrom('10'));
  const still = machine.step(failed('Unreachable'), 32_000).action;
  assert.is(still.do === 'wait' && still.delayMs, 800);
  machine.step({ type: 'opened' }, 40_000);
  assert.equal(machine.step({ type: 'ended' }, 70_000).action, watchFrom('10'));
  const anew = machine.step(failed('Unreachable'), 70_000).action;
  assert.is(anew.do === 'wait' && anew.delayMs, 200);
});

test('a position the server calls invalid is given up', () => {
  const { action } = watching([]).step(failed('Invalid'), 10);
  assert.equal(action, { do: 'wait', delayMs: 200, next: { do: 'list', continueToken: undefined } });
});

test('started again, it lists from the first page, and reports only what that list changes', () => {
  const machine = watching([object('same'), object('gone')]);
  assert.equal(machine.start(), { do: 'list', continueToken: undefined });
  machine.step(page([object('same')], '20', 'more'), 1);
  assert.equal(machine.start(), { do: 'list', continueToken: undefined });
  assert.is(machine.objects.size, 2);
  const listed = machine.step(page([object('same')], '30'), 2);
  assert.equal(listed, { changed: ['gone'], action: watchFrom('30') });
});

test('watches end after 240 to 295 s, by chance', () => {
  const machine = new WatchMachine({ keyOf: ({ metadata }) => metadata.name, random: () => 0.9999 });
  const { action } = machine.step(page([]), 0);
  assert.is(action.do === 'watch' && action.timeoutSeconds, 295);
});

test('begun anew in the middle of a list, it forgets the pages so far', () => {
  const machine = createMachine();
  machine.start();
  machine.step(page([object('a')], '10', 'more'), 0);
  assert.equal(machine.start(), { do: 'list', continueToken: undefined });
  assert.equal(machine.step(page([object('b')], '20'), 0).changed, ['b']);
  assert.equal([...machine.objects.keys()], ['b']);
});

test('an ERROR event without a code is a failure of the server', () => {
  const machine = watching([object('a')]);
  assert.throws(
    () => machine.event({ type: 'ERROR', object: { metadata: { name: '' }, message: 'odd' } } as never),
    (error: unknown) => error instanceof KubeError && error.kind === 'ServerError',
  );
});

test.run();
