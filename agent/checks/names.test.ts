import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createResolver } from './names.ts';

test('an address is its own answer', async () => {
  const resolve = createResolver((host) => Promise.reject(new Error(`asked for ${host}`)));
  assert.is(await resolve('10.10.10.11'), '10.10.10.11');
  assert.is(await resolve('::1'), '::1');
});

test('a resolver that is away is asked once for a name, however often checks ask', async () => {
  const asked: string[] = [];
  const answer = Promise.withResolvers<string>();
  const resolve = createResolver((host) => {
    asked.push(host);
    return answer.promise;
  });
  const answers = [resolve('db'), resolve('db'), resolve('db')];
  assert.equal(asked, ['db']);
  answer.resolve('10.0.0.1');
  assert.equal(await Promise.all(answers), ['10.0.0.1', '10.0.0.1', '10.0.0.1']);
  await resolve('db');
  assert.equal(asked, ['db', 'db'], 'and again once it has answered');
});

test('a failure is not remembered', async () => {
  let isAway = true;
  const resolve = createResolver(async () => {
    if (isAway) throw new Error('EAI_AGAIN');
    return '10.0.0.1';
  });
  await resolve('db').then(assert.unreachable, (error: Error) => assert.is(error.message, 'EAI_AGAIN'));
  isAway = false;
  assert.is(await resolve('db'), '10.0.0.1');
});

test.run();
