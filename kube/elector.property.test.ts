/** Two replicas under pauses, slow calls and lost answers: never two leaders, and the promised margin between them. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../runtime/clock.ts';
import { createVirtualClock, type VirtualClock } from '../runtime/testing/virtual-clock.ts';
import { Elector } from './elector.ts';
import { ELECTOR_TIMES } from './elector-machine.ts';
import { type Fate, LeaseServer } from './testing/lease-server.ts';

type Pause = { who: 0 | 1; atMs: number; forMs: number };

const RUN_MS = 120_000;
const LOOK_MS = 250;
const MARGIN_MS = ELECTOR_TIMES.leaseDurationMs - ELECTOR_TIMES.renewDeadlineMs;

const pause: fc.Arbitrary<Pause> = fc.record({
  who: fc.constantFrom(0 as const, 1 as const),
  atMs: fc.nat(RUN_MS),
  forMs: fc.oneof(fc.nat(3_000), fc.integer({ min: 15_000, max: 40_000 })),
});

/** Most calls are quick; some take seconds one way, past every patience. */
const way = fc.oneof(
  { weight: 4, arbitrary: fc.nat(50) },
  { weight: 3, arbitrary: fc.nat(4_500) },
  { weight: 1, arbitrary: fc.nat(25_000) },
);
const fates = fc.array(fc.record({ thereMs: way, backMs: way }), { minLength: 1, maxLength: 30 });

/** A process's clock: while it is paused time goes on, and nothing of it runs. */
const processClock = (clock: VirtualClock, pauses: Pause[]): Clock => {
  const resumesAtMs = (nowMs: number): number => {
    const covering = pauses.filter(({ atMs, forMs }) => atMs <= nowMs && nowMs < atMs + forMs);
    return Math.max(nowMs, ...covering.map(({ atMs, forMs }) => resumesAtMs(atMs + forMs)));
  };
  return {
    now: clock.now,
    wall: clock.wall,
    setTimer(delayMs, fire) {
      const nowMs = clock.now();
      return clock.setTimer(resumesAtMs(nowMs + delayMs) - nowMs, fire);
    },
  };
};

/** The fates of a process's calls, one after the other and over again. */
const fateOf = (list: Fate[]) => {
  let next = 0;
  return (): Fate => list[next++ % list.length] ?? { thereMs: 0, backMs: 0 };
};

type Reign = { identity: string; elector: Elector; end: AbortSignal; sinceMs: number; latestMs: number };

test('leaders follow each other with at least leaseDuration - renewDeadline between them', async () => {
  let takeovers = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(pause, { maxLength: 6 }), fc.tuple(fates, fates), async (pauses, ways) => {
      const clock = createVirtualClock();
      const server = new LeaseServer(clock);
      const stop = new AbortController();
      const electors: Elector[] = [];
      const reigns: Reign[] = [];
      const stand = (who: 0 | 1): void => {
        const own = processClock(
          clock,
          pauses.filter((each) => each.who === who),
        );
        const identity = String(who);
        const client = server.client(fateOf(ways[who]), own);
        const elector = new Elector({
          ...{ client, key: 'n/leader', identity, clock: own, random: () => 0.3, onError: () => undefined },
        });
        electors.push(elector);
        void elector.run(stop.signal, (end) => {
          reigns.push({ identity, elector, end, sinceMs: clock.now(), latestMs: elector.deadlineMs() });
        });
      };
      stand(0);
      stand(1);
      while (clock.now() < RUN_MS) {
        await clock.advance(LOOK_MS);
        assert.ok(electors.filter((elector) => elector.isLeader()).length <= 1, 'two leaders at one time');
        for (const reign of reigns) {
          if (!reign.end.aborted) reign.latestMs = reign.elector.deadlineMs();
          const held = server.holders.findLastIndex(
            ({ holder, sinceMs }) => holder === reign.identity && sinceMs <= reign.sinceMs,
          );
          const next = held < 0 ? undefined : server.holders[held + 1];
          if (next === undefined) continue;
          takeovers += 1;
          const said = `taken by ${next.holder} at ${next.sinceMs}, led until ${reign.latestMs}`;
          assert.ok(reign.latestMs + MARGIN_MS <= next.sinceMs, said);
        }
      }
      stop.abort();
      await clock.advance(60_000);
    }),
    { numRuns: 300 },
  );
  assert.ok(takeovers > 0, 'nothing was ever taken over: the runs prove nothing');
});

test.run();
