import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Condition, HAPair } from '../crds/types.ts';
import { createPairSeries } from './pair-series.ts';
import { pairOf } from './testing/fixtures.ts';

const NOW_MS = Date.parse('2026-11-22T10:00:00Z');

const condition = (
  type: string,
  status: Condition['status'],
  reason: string,
  lastTransitionTime = '2026-11-22T09:59:30Z',
): Condition => ({ type, status, reason, message: '', lastTransitionTime });

const withConditions = (...conditions: Condition[]): HAPair => ({ ...pairOf(), status: { conditions } });

const right = withConditions(
  condition('Ready', 'True', 'Serving'),
  condition('Redundant', 'True', 'StandbyReady'),
  condition('PreflightPassed', 'Unknown', 'NotChecked'),
  condition('AddressesConverged', 'True', 'Converged'),
);
const wrong = withConditions(
  condition('Ready', 'False', 'NotConverged'),
  condition('AddressesConverged', 'False', 'AddressElsewhere'),
);

const LABELS = 'namespace="prod",pair="web"';
const has = (text: string, line: string): void =>
  assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);

test('a pair that is right: its conditions by status and reason, and 0 s', () => {
  const series = createPairSeries(() => NOW_MS);
  series.observe('prod/web', right);
  const text = series.text();
  has(text, `hapair_pair_condition{${LABELS},condition="Ready",status="True",reason="Serving"} 1`);
  has(
    text,
    `hapair_pair_condition{${LABELS},condition="PreflightPassed",status="Unknown",reason="NotChecked"} 1`,
  );
  has(text, `hapair_pair_unconverged_seconds{${LABELS}} 0`);
  has(text, 'hapair_pairs{condition="Ready",status="True"} 1');
  has(text, 'hapair_pairs{condition="Ready",status="False"} 0');
});

test('unconverged since its own time, also for a process that came later, until it is right again', () => {
  let nowMs = NOW_MS;
  const series = createPairSeries(() => nowMs);
  series.observe('prod/web', wrong);
  has(series.text(), `hapair_pair_unconverged_seconds{${LABELS}} 30`);
  nowMs += 10_000;
  // From wrong to not known is no beginning.
  const unknown = condition('AddressesConverged', 'Unknown', 'EC2ReadFailed', '2026-11-22T10:00:10Z');
  series.observe('prod/web', withConditions(unknown));
  has(series.text(), `hapair_pair_unconverged_seconds{${LABELS}} 40`);
  series.observe('prod/web', right);
  has(series.text(), `hapair_pair_unconverged_seconds{${LABELS}} 0`);
});

test('a pair without a status counts as unknown from the first sight of it on', () => {
  let nowMs = NOW_MS;
  const series = createPairSeries(() => nowMs);
  series.observe('prod/web', pairOf());
  nowMs += 5_000;
  const text = series.text();
  has(text, `hapair_pair_unconverged_seconds{${LABELS}} 5`);
  has(text, 'hapair_pairs{condition="Redundant",status="Unknown"} 1');
});

test("a pair's series vanish with it, and each status has one series", () => {
  const series = createPairSeries(() => NOW_MS);
  series.observe('prod/web', right);
  series.observe('prod/web', wrong);
  assert.is(
    series.text().split('condition="Ready",status="').length - 1,
    4,
    'three of all pairs, one of this',
  );
  has(series.text(), 'hapair_pairs{condition="Ready",status="True"} 0');
  series.observe('prod/web', undefined);
  assert.not.match(series.text(), LABELS);
  has(series.text(), 'hapair_pairs{condition="Ready",status="False"} 0');
});

test.run();
