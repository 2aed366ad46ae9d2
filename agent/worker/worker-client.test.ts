import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startVRRPWorker, type VRRPWorker } from './worker-client.ts';

const STALL_MS = 200;

/** A worker whose thread stands still before it has loaded, and again whenever it is told anything but `ping`. */
const PROGRAM = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    const stall = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${STALL_MS});
    stall();
    parentPort.on('message', ({ type, id }) => {
      if (type === 'ping') parentPort.postMessage({ type: 'pong', id });
      else if (type === 'stop') process.exit(0);
      else stall();
    });
  `)}`,
);

const test = suite<{ worker?: VRRPWorker }>('worker client');

test.after.each(async ({ worker }) => {
  await worker?.stop();
});

const start = (first: number, later: number): VRRPWorker =>
  startVRRPWorker({
    onMessage: () => undefined,
    onExit: () => undefined,
    deadlinesMs: { first, later },
    program: PROGRAM,
  });

test('a worker that still loads its program is waited for', async (context) => {
  context.worker = start(60_000, STALL_MS / 10);
  assert.is((await context.worker.ping()).type, 'pong');
});

test('one that has answered before and stands still hangs', async (context) => {
  context.worker = start(60_000, STALL_MS / 10);
  await context.worker.ping();
  context.worker.send({ type: 'remove', pair: 'prod/web' });
  const ending = await context.worker.ping().then(
    () => 'answered',
    (error: Error) => error.message,
  );
  assert.is(ending, `the VRRP worker did not answer within ${STALL_MS / 10} ms; its loop hangs`);
});

test('nor is the first answer waited for without end', async (context) => {
  context.worker = start(STALL_MS / 10, 60_000);
  const ending = await context.worker.ping().then(
    () => 'answered',
    (error: Error) => error.message,
  );
  assert.match(ending, 'its loop hangs');
});

test.run();
