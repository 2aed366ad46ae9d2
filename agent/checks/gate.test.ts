import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createGate } from './gate.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

/** A gate, who is inside in the order in which they came in, and their ways out. */
const createBench = (limit: number, pairs: readonly string[]) => {
  const gate = createGate(limit, () => pairs);
  const entered: string[] = [];
  const ways: (() => void)[] = [];
  const ask = (pair: string, times = 1): void => {
    for (let time = 0; time < times; time++)
      void gate.enter(pair, never).then((leave) => {
        entered.push(pair);
        if (leave !== null) ways.push(leave);
      });
  };
  return { entered, ask, ways };
};

test('no more than the limit are inside, and the others come in the order in which they asked', async () => {
  const gate = createGate(2, () => ['prod/web']);
  const entered: number[] = [];
  const ways = [1, 2, 3, 4].map((number) =>
    gate.enter('prod/web', never).then((leave) => {
      entered.push(number);
      return leave;
    }),
  );
  await settle();
  assert.equal(entered, [1, 2]);
  (await ways[1])?.();
  await settle();
  assert.equal(entered, [1, 2, 3]);
  (await ways[0])?.();
  (await ways[2])?.();
  await settle();
  assert.equal(entered, [1, 2, 3, 4]);
});

test('who gives up while waiting takes no place', async () => {
  const gate = createGate(1, () => ['prod/web']);
  const leave = await gate.enter('prod/web', never);
  const ending = new AbortController();
  const second = gate.enter('prod/web', ending.signal);
  const third = gate.enter('prod/web', never);
  ending.abort();
  assert.is(await second, null);
  leave?.();
  assert.type(await third, 'function');
  assert.is(await gate.enter('prod/web', AbortSignal.abort()), null);
});

test('a namespace has its share of the places, whatever others hold, and a pair its share of those', async () => {
  const { entered, ask } = createBench(8, ['evil/a', 'evil/b', 'prod/db', 'prod/web']);
  ask('evil/a', 8);
  ask('evil/b', 8);
  ask('prod/db', 8);
  await settle();
  assert.equal(entered, ['evil/a', 'evil/a', 'evil/b', 'evil/b', 'prod/db', 'prod/db']);
  ask('prod/web', 3);
  await settle();
  assert.equal(entered.slice(6), ['prod/web', 'prod/web']);
});

test('with more pairs than places they take turns, however many runs one of them wants', async () => {
  const { entered, ask, ways } = createBench(1, ['prod/a', 'prod/b', 'test/c']);
  ask('prod/a', 3);
  ask('prod/b', 2);
  ask('test/c', 2);
  for (let turn = 0; turn < 7; turn++) {
    await settle();
    ways.shift()?.();
  }
  assert.equal(entered, ['prod/a', 'test/c', 'prod/b', 'test/c', 'prod/a', 'prod/b', 'prod/a']);
});

test.run();
