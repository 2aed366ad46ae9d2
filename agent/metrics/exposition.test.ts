import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { expose } from './exposition.ts';

test('a family is its help, its type and a line for each series', () => {
  const samples = [{ labels: { pair: 'web', state: 'Master' }, value: 1 }, { value: 0.25 }];
  assert.is(
    expose([{ name: 'hapair_x', help: 'What it says.', type: 'gauge', samples }]),
    '# HELP hapair_x What it says.\n# TYPE hapair_x gauge\nhapair_x{pair="web",state="Master"} 1\nhapair_x 0.25\n',
  );
});

test('what would break a line is escaped', () => {
  const samples = [{ labels: { err: 'a "quoted"\nline\\' }, value: Number.POSITIVE_INFINITY }];
  assert.is(
    expose([{ name: 'x', help: 'two\nlines \\', type: 'counter', samples }]),
    '# HELP x two\\nlines \\\\\n# TYPE x counter\nx{err="a \\"quoted\\"\\nline\\\\"} +Inf\n',
  );
});

test('counts in separate buckets become cumulative ones, with their sum and count', () => {
  const buckets = { bounds: [0.001, 0.01], counts: [3, 2, 1], sum: 0.5 };
  assert.is(
    expose([{ name: 'late_seconds', help: 'Late.', type: 'histogram', buckets }]),
    [
      '# HELP late_seconds Late.\n# TYPE late_seconds histogram\n',
      'late_seconds_bucket{le="0.001"} 3\n',
      'late_seconds_bucket{le="0.01"} 5\n',
      'late_seconds_bucket{le="+Inf"} 6\n',
      'late_seconds_sum 0.5\n',
      'late_seconds_count 6\n',
    ].join(''),
  );
});

test('a family without series says its name and type all the same', () => {
  assert.is(expose([{ name: 'x', help: 'X.', type: 'gauge', samples: [] }]), '# HELP x X.\n# TYPE x gauge\n');
});

test.run();
