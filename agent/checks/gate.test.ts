import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createGate } from './gate.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

test('no more than the limit are inside, and the others come in the order in which they asked', async () => {
  const gate = createGate(2);
  const entered: number[] = [];
  const ways = [1, 2, 3, 4].map((number) =>
    gate.enter(never).then((leave) => {
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
  const gate = createGate(1);
  const leave = await gate.enter(never);
  const ending = new AbortController();
  const second = gate.enter(ending.signal);
  const third = gate.enter(never);
  ending.abort();
  assert.is(await second, null);
  leave?.();
  assert.type(await third, 'function');
  assert.is(await gate.enter(AbortSignal.abort()), null);
});

test.run();
