import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renewLease } from '../../kube/lease.ts';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { aliveWhileAnswering } from './sign-of-life.ts';
import type { Pong } from './worker-client.ts';

const pong: Pong = {
  type: 'pong',
  id: 1,
  lastAdvertAtMs: { 'prod/web': 7 },
  realtime: false,
  stats: { pairs: {}, lateness: { boundsMs: [], counts: [0], sumMs: 0, maxMs: 0 } },
};

test('T19: a worker that hangs silences the Lease although the main thread runs, and ends the process', async () => {
  const clock = createVirtualClock();
  const stop = new AbortController();
  const renewals: number[] = [];
  const adverts: Pong['lastAdvertAtMs'][] = [];
  const deaths: string[] = [];
  let hangs = false;
  const done = renewLease({
    client: {
      async apply(_resource, object) {
        renewals.push(clock.now());
        return object;
      },
    },
    key: 'hapair-system/hapair-agent-node1',
    holderIdentity: 'node1',
    fieldManager: 'test',
    signal: stop.signal,
    isAlive: aliveWhileAnswering({
      ping: async () => {
        if (hangs) throw new Error('the VRRP worker did not answer within 5000 ms; its loop hangs');
        return pong;
      },
      onPong: ({ lastAdvertAtMs }) => adverts.push(lastAdvertAtMs),
      onDead: ({ message }) => deaths.push(message),
    }),
    onError: (error) => assert.unreachable(String(error)),
    clock,
  });
  await clock.advance(15_000);
  assert.equal(renewals, [0, 10_000]);
  assert.equal(adverts.at(-1), { 'prod/web': 7 });
  assert.equal(deaths, []);

  hangs = true;
  await clock.advance(60_000);
  assert.equal(renewals, [0, 10_000], 'nobody takes it for alive');
  assert.match(deaths[0] ?? '', 'its loop hangs');
  stop.abort();
  await done;
});

test.run();
