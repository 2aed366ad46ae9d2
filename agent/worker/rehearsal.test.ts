import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { prepareClaim, rehearse } from './rehearsal.ts';

test('a rehearsal claims, advertises, answers and claims again, in both versions', () => {
  const once = rehearse(1);
  assert.ok(once >= 2 * 6, `${once} adverts`);
  assert.is(rehearse(2), 2 * once);
});

test('a claim can be rehearsed again and again, and sends one advert each time', () => {
  const rehearseClaim = prepareClaim();
  assert.equal([rehearseClaim(), rehearseClaim(), rehearseClaim()], [1, 1, 1]);
});

test.run();
