import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spec } from '../testing/pair-bench.ts';
import { beyondLimits } from './limits.ts';

const LIMITS = { pairs: 2, minimumAdvertisementIntervalMilliseconds: 100 };
const { send } = spec().vrrp;
const withIntervals = (...[first = 0, ...others]: number[]) => {
  const set = (advertisementIntervalMilliseconds: number) => ({ ...send, advertisementIntervalMilliseconds });
  return spec({ vrrp: { send: set(first), accept: others.map(set) } });
};

test('no interval below the least that the owner allows, neither sent nor accepted', () => {
  assert.is(beyondLimits(withIntervals(100, 100), 0, LIMITS), null);
  for (const intervals of [
    [99, 100],
    [100, 99],
  ])
    assert.match(
      beyondLimits(withIntervals(...intervals), 0, LIMITS) ?? '',
      /no advertisement interval below 100 ms, and the HAPair has 99 ms.*agent\.yaml/,
    );
});

test('as many pairs as the owner allows, and no more', () => {
  assert.is(beyondLimits(withIntervals(100, 100), 1, LIMITS), null);
  assert.match(
    beyondLimits(withIntervals(100, 100), 2, LIMITS) ?? '',
    /as many pairs as it may \(2\).*limits\.pairs/,
  );
});

test.run();
