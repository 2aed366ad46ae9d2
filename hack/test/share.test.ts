import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { capacityOf, measureShare } from './share.ts';

test('a machine of our own takes all that fits, a busy one as much less as we get of it, and never nothing', () => {
  assert.is(capacityOf(2, 3, 1), 6);
  assert.is(capacityOf(2, 3, 0.5), 3);
  assert.is(capacityOf(2, 3, 0.01), 2);
});

test('the share is a part of the time', async () => {
  const share = await measureShare();
  assert.ok(share > 0 && share <= 1, `${share}`);
});

test.run();
