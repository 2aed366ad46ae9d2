import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createClaimWarmUp, warmUp } from './warm-up.ts';

test('a warm-up claims, advertises, answers and claims again, in both versions', () => {
  const once = warmUp(1);
  assert.ok(once >= 2 * 6, `${once} adverts`);
  assert.is(warmUp(2), 2 * once);
});

test('a claim can be warmed up again and again, and sends one advert each time', () => {
  const warmUpClaim = createClaimWarmUp();
  assert.equal([warmUpClaim(), warmUpClaim(), warmUpClaim()], [1, 1, 1]);
});

test.run();
