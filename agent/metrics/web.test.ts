import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LogReason } from '../../crds/conditions.ts';
import { serve } from '../../runtime/http-server.ts';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { openWeb } from './web.ts';

const empty = {
  healthz: [],
  readyz: [],
  metrics: { contentType: 'text/plain', text: async () => 'up 1\n' },
};
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

/** A log whose lines can be waited for. */
const createBench = () => {
  const lines: { reason?: string }[] = [];
  let next = Promise.withResolvers<void>();
  const keep = (fields: object) => {
    lines.push(fields);
    next.resolve();
    next = Promise.withResolvers();
  };
  const until = async (wanted: LogReason): Promise<void> => {
    while (!lines.some(({ reason }) => reason === wanted)) await next.promise;
  };
  return { lines, until, log: { info: keep, warn: keep, error: keep } };
};

test('port 0: the kernel chooses, and the log says which', async () => {
  const { log, lines, until } = createBench();
  const config = { bindAddress: '127.0.0.1', port: 0 };
  const web = openWeb({ config, server: empty, clock: createVirtualClock(), log });
  await until('MetricsServed');
  const port = web.port();
  assert.equal(lines[0], { reason: 'MetricsServed', bindAddress: '127.0.0.1', port });
  assert.is(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), 'up 1\n');
  await web.close();
});

test('a busy port is said once and tried again until it is free', async () => {
  const other = await serve({ ...empty, bindAddress: '127.0.0.1', port: 0, log: quiet });
  const clock = createVirtualClock();
  const { log, lines, until } = createBench();
  const config = { bindAddress: '127.0.0.1', port: other.port };
  const web = openWeb({ config, server: empty, clock, log });
  await until('MetricsNotServed');
  assert.match(JSON.stringify(lines[0]), 'EADDRINUSE');
  assert.is(web.port(), null);
  // A second try, which the log need not repeat, and a third that succeeds.
  const pending = async (): Promise<void> => {
    while (clock.pending().length === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  await pending();
  await clock.advance(10_000);
  await pending();
  await other.close();
  await clock.advance(10_000);
  await until('MetricsServed');
  assert.is(lines.length, 2);
  assert.is(web.port(), other.port);
  await web.close();
});

test('closed while it waits, it tries no more', async () => {
  const other = await serve({ ...empty, bindAddress: '127.0.0.1', port: 0, log: quiet });
  const { log, until } = createBench();
  const clock = createVirtualClock();
  const config = { bindAddress: '127.0.0.1', port: other.port };
  const web = openWeb({ config, server: empty, clock, log });
  await until('MetricsNotServed');
  await web.close();
  assert.equal(clock.pending(), []);
  await other.close();
});

test.run();
