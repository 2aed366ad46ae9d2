import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rehearse } from './rehearsal.ts';

test('a rehearsal claims, advertises, answers and claims again, in both versions', () => {
  const once = rehearse(1);
  assert.ok(once >= 2 * 6, `${once} adverts`);
  assert.is(rehearse(2), 2 * once);
});

test.run();
