import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FromWorker, ToWorker, WorkerConfig } from './messages.ts';
import { advertOfPeer, routerConfig as config, FakeLink, MASTER_DOWN_MS } from './testing/fake-link.ts';
import { WorkerClock } from './worker-clock.ts';
import { WorkerLoop } from './worker-loop.ts';

const set = (changes: Partial<WorkerConfig> = {}): ToWorker => ({
  type: 'set',
  pair: 'web',
  config: config(changes),
});

/** A worker in virtual time. `waiting` are messages; `onEmpty` is called whenever none is found, and may post some. */
const world = () => {
  const state = { now: 0, suspendedMs: 0, waiting: [] as ToWorker[], onEmpty: () => {} };
  const said: FromWorker[] = [];
  const link = new FakeLink('10.0.0.1');
  const loop = new WorkerLoop({
    receive: () => {
      const message = state.waiting.shift();
      if (message === undefined) state.onEmpty();
      return message;
    },
    post: (message) => said.push(message),
    clock: new WorkerClock(
      () => state.now,
      () => state.now + state.suspendedMs,
    ),
    realtime: false,
    openLink: () => link,
  });
  const turnAt = (now: number): boolean => {
    state.now = now;
    return loop.turn();
  };
  /** The pair is Master, settled, and its next advert is due at the time returned. */
  const becomeMaster = (): number => {
    state.waiting = [set()];
    turnAt(0);
    turnAt(MASTER_DOWN_MS);
    turnAt(MASTER_DOWN_MS + 10);
    return MASTER_DOWN_MS + 1000;
  };
  return { state, said, link, loop, turnAt, becomeMaster };
};

test('the first turn waits for nothing, later ones until the next timer, one without timers for a second', () => {
  const { state, loop, turnAt } = world();
  assert.is(loop.waitMs, 0);
  turnAt(0);
  assert.is(loop.waitMs, 1000);
  state.waiting = [set({ advertisementIntervalMs: 100 })];
  turnAt(5);
  turnAt(300);
  assert.is(loop.waitMs, 5 + 360.9375 - 300 - 4, 'four milliseconds for a look at the link');
  state.now = 9000;
  assert.is(loop.waitMs, 0, 'never a negative wait');
});

test('four milliseconds before a claim it looks at the link and says so, and it claims no sooner than it may', () => {
  const { state, link, loop, turnAt } = world();
  state.waiting = [set()];
  turnAt(0);
  const looks = link.looks;
  assert.is(loop.isAboutToClaim, false);
  turnAt(MASTER_DOWN_MS - 4);
  assert.is(link.looks, looks + 1);
  assert.ok(loop.isAboutToClaim);
  turnAt(MASTER_DOWN_MS - 0.01);
  assert.equal(link.sent, []);
  turnAt(MASTER_DOWN_MS);
  assert.is(link.sent.length, 1);
  assert.is(link.looks, looks + 1, 'the look is still good');
});

test('a Master sleeps until its next advert, however near it is', () => {
  const { state, loop, becomeMaster } = world();
  state.now = becomeMaster() - 0.25;
  assert.is(loop.waitMs, 0.25);
  assert.not(loop.isAboutToClaim);
});

test('no advert leaves under parameters that a message posted before it has replaced', () => {
  const { state, link, turnAt, becomeMaster } = world();
  const due = becomeMaster();
  // Posted while the socket is being drained: after the first look at the messages.
  let looks = 0;
  state.onEmpty = () => {
    if (++looks === 1) state.waiting = [set({ priority: 150 })];
  };
  turnAt(due);
  assert.is(link.sent.at(-1)?.priority, 150);
});

test('a datagram is judged by the parameters that were acknowledged before it came', () => {
  const { state, said, link, turnAt } = world();
  state.waiting = [set()];
  turnAt(0);
  state.waiting = [set({ checksum: 'MessageOnly' })];
  link.waiting = [advertOfPeer(config({ checksum: 'MessageOnly' }))];
  turnAt(100);
  assert.equal(
    said.map(({ type }) => type),
    ['state', 'peer'],
  );
});

test('a flood of messages does not keep the timers waiting, and none is lost', () => {
  const { state, said, loop, link, turnAt, becomeMaster } = world();
  const due = becomeMaster();
  state.waiting = Array.from({ length: 1000 }, (_, id): ToWorker => ({ type: 'ping', id }));
  turnAt(due);
  assert.is(link.sent.length, 2, 'the advert has left');
  assert.ok(state.waiting.length > 0, 'before all was read');
  assert.is(loop.waitMs, 0, 'and the rest is not waited for');
  for (let turns = 0; turns < 20; turns++) turnAt(due + 1);
  assert.equal(
    said.flatMap((message) => (message.type === 'pong' ? [message.id] : [])),
    Array.from({ length: 1000 }, (_, id) => id),
  );
  assert.ok(loop.waitMs > 0);
});

test('a Master wakes up from a suspension of the machine as from any pause', () => {
  const { state, said, link, turnAt, becomeMaster } = world();
  const due = becomeMaster();
  const sent = link.sent.length;
  state.suspendedMs = 600_000;
  turnAt(due);
  const last = said.at(-1);
  assert.ok(last?.type === 'state' && last.reason === 'Overslept' && last.atMs === due, JSON.stringify(last));
  assert.is(link.sent.length, sent);
});

test('what a pong and a resumed pair say is in the time of the other threads', () => {
  const { state, said, turnAt } = world();
  state.suspendedMs = 600_000;
  state.waiting = [
    { type: 'set', pair: 'web', config: config(), resume: { lastAdvertAtMs: 500, fault: null } },
    { type: 'ping', id: 7 },
  ];
  turnAt(1000);
  const pong = said.at(-1);
  assert.ok(pong?.type === 'pong');
  assert.equal(
    said.flatMap((message) => (message.type === 'state' ? [message.reason] : [])),
    ['AgentReloaded'],
  );
  assert.equal(pong?.type === 'pong' ? pong.lastAdvertAtMs : null, { web: 1000 });
});

test('told to stop, it resigns, says so and ends', () => {
  const { state, said, link, turnAt, becomeMaster } = world();
  becomeMaster();
  state.waiting = [{ type: 'stop' }, { type: 'ping', id: 1 }];
  assert.is(turnAt(4000), false);
  assert.is(link.sent.at(-1)?.priority, 0);
  assert.is(said.at(-1)?.type, 'stopped');
  assert.ok(link.isClosed);
});

test.run();
