import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HAPair } from '../crds/types.ts';
import { WorkQueue } from '../kube/queue.ts';
import type { Key } from '../kube/types.ts';
import { PairQueue } from './pair-queue.ts';
import { pairOf } from './testing/fixtures.ts';

/** A pair that was elected in `term`; 0: never. */
const elected = (term: number, hasArrived = true): HAPair => {
  const status = hasArrived ? ('True' as const) : ('False' as const);
  const arrived = { type: 'AddressesConverged', status, reason: 'Converged', message: '' };
  const lastTransitionTime = '2026-11-22T10:00:00Z';
  return {
    ...pairOf(),
    status: { ...(term > 0 && { term }), conditions: [{ ...arrived, lastTransitionTime }] },
  };
};

const PAIRS: Record<Key, HAPair> = {
  'prod/new': elected(0),
  'prod/served': elected(3),
  'prod/open': elected(3, false),
};

const queueOf = () => {
  const queue = new WorkQueue();
  return { queue, pairQueue: new PairQueue(queue, (key) => PAIRS[key]) };
};

/** The keys that wait, in the order in which one worker takes them. */
const taken = async (queue: WorkQueue): Promise<Key[]> => {
  const keys: Key[] = [];
  const ending = new AbortController();
  const left = queue.depth();
  if (left === 0) return keys;
  await queue.run({
    workers: 1,
    signal: ending.signal,
    handle: async (key) => {
      keys.push(key);
      if (keys.length === left) ending.abort();
      return undefined;
    },
    onError: () => undefined,
  });
  return keys;
};

test('before this process works on pairs nobody waits', async () => {
  const { queue, pairQueue } = queueOf();
  pairQueue.changed('prod/served');
  pairQueue.noticed('prod/served');
  assert.equal(await taken(queue), []);
});

test('of the pairs that a new leader finds, open failovers come first', async () => {
  const { queue, pairQueue } = queueOf();
  pairQueue.open(
    Object.entries(PAIRS).map(([key, pair]) => ({ key, pair, terms: [pair.status?.term ?? 0] })),
  );
  assert.equal(await taken(queue), ['prod/open', 'prod/new', 'prod/served']);
});

test('an election that the status does not know of is an open failover', async () => {
  const { queue, pairQueue } = queueOf();
  const terms = { 'prod/new': [1], 'prod/served': [3, 4] };
  pairQueue.open(
    Object.entries(terms).map(([key, each]) => ({ key, pair: PAIRS[key] ?? pairOf(), terms: each })),
  );
  assert.equal(await taken(queue), ['prod/served', 'prod/new']);
});

test('a change of a pair that has served overtakes pairs that were never elected, and what nobody waits for', async () => {
  const { queue, pairQueue } = queueOf();
  pairQueue.open([]);
  pairQueue.changed('prod/new');
  pairQueue.noticed('prod/open');
  pairQueue.changed('prod/served');
  assert.equal(await taken(queue), ['prod/served', 'prod/new', 'prod/open']);
});

test.run();
