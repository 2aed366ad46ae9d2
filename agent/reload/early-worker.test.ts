import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PairHandover } from '../pair/handover.ts';
import { createBackup, createMaster } from '../testing/pair-bench.ts';
import type { FromWorker, ToWorker } from '../worker/messages.ts';
import type { VRRPWorker, VRRPWorkerOptions } from '../worker/worker-client.ts';
import { startEarlyWorker } from './early-worker.ts';

const handed = async (create: typeof createMaster, lastAdvertAtMs: number | null): Promise<PairHandover> => {
  const handover = (await create()).pair.handOver(lastAdvertAtMs);
  if (handover === null) throw new Error('nothing runs');
  return handover;
};

/** A worker that a test speaks for. */
const createWorker = () => {
  const sent: ToWorker[] = [];
  let listener: VRRPWorkerOptions | undefined;
  const worker: VRRPWorker = {
    send: (message) => void sent.push(message),
    stop: async () => undefined,
    ping: () => Promise.reject(new Error('pinged')),
  };
  return {
    sent,
    worker,
    start(options: VRRPWorkerOptions) {
      listener = options;
      return worker;
    },
    say: (message: FromWorker) => listener?.onMessage(message),
    end: (error: Error) => listener?.onExit(error),
  };
};

test('a Master goes on from its last advert with its fault, a Backup listens first, and a fault stands', async () => {
  const { sent, start } = createWorker();
  const web = await handed(createMaster, 4711);
  const api = await handed(createBackup, null);
  const fault = 'ChecksFailed';
  const withFault = (pair: PairHandover) => ({ ...pair, running: { ...pair.running, fault } }) as const;
  startEarlyWorker({ pairs: { web, db: withFault(web), api: withFault(api) } }, start);
  assert.equal(sent, [
    { type: 'set', pair: 'web', config: web.running.config, resume: { lastAdvertAtMs: 4711, fault: null } },
    { type: 'set', pair: 'db', config: web.running.config, resume: { lastAdvertAtMs: 4711, fault } },
    { type: 'set', pair: 'api', config: api.running.config },
    { type: 'fault', pair: 'api', fault },
  ]);
});

test('what the worker says before anybody listens is heard later, in order, and nothing twice', async () => {
  const { start, say, worker } = createWorker();
  const startWorker = startEarlyWorker({ pairs: {} }, start);
  say({ type: 'peer', pair: 'web', heard: true, priority: 100, atMs: 1 });
  say({ type: 'peer', pair: 'web', heard: false, priority: 100, atMs: 2 });
  const heard: FromWorker[] = [];
  const adopted = startWorker({
    onMessage: (message) => heard.push(message),
    onExit: () => assert.unreachable('it runs'),
  });
  assert.is(adopted, worker);
  assert.equal(heard, [], 'its caller has not even got the worker yet');
  say({ type: 'peer', pair: 'web', heard: true, priority: 100, atMs: 3 });
  await Promise.resolve();
  say({ type: 'peer', pair: 'web', heard: false, priority: 100, atMs: 4 });
  assert.equal(
    heard.map((message) => (message.type === 'peer' ? message.atMs : message)),
    [1, 2, 3, 4],
  );
});

test('a worker that ended before anybody listened is said to have', async () => {
  const { start, end } = createWorker();
  const startWorker = startEarlyWorker({ pairs: {} }, start);
  end(new Error('no socket'));
  const ends: (Error | null)[] = [];
  startWorker({ onMessage: () => undefined, onExit: (error) => ends.push(error) });
  await Promise.resolve();
  assert.equal(
    ends.map((error) => error?.message),
    ['no socket'],
  );
});

test.run();
