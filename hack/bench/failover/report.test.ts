import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { markdownTable } from '../common/tables.ts';
import type { Contender, Switch } from './contender.ts';
import type { End, RunRecord, TimedCall } from './measure.ts';
import { switchTable, verdicts, watchTable } from './report.ts';

const right: End = {
  masters: ['node2'],
  delivery: { vip: 'node2', publicIP: 'node2' },
  isWrong: false,
};
const wrong: End = { ...right, isWrong: true };

const calls = (count: number): TimedCall[] =>
  Array.from({ length: count }, () => ({
    action: 'AssignPrivateIpAddresses',
    receivedMs: 0,
    answeredMs: 1500,
    mappedMs: 2500,
    errorCode: null,
  }));

const record = (
  contender: Contender['name'],
  afterMs: number,
  change: { scenario?: Switch; count?: number; end?: End } = {},
): RunRecord => ({
  contender,
  run: 1,
  scenario: change.scenario ?? 'crash',
  lanOutageMs: afterMs,
  lanLost: 0,
  wanOutageMs: afterMs,
  wanLost: 0,
  detectionMs: 3100,
  afterMs,
  calls: calls(change.count ?? (contender === 'recipe' ? 3 : 1)),
  end: change.end ?? right,
});

const flap = (contender: Contender['name'], wrongMs: number, end: End): RunRecord => ({
  contender,
  run: 1,
  scenario: 'flap',
  windowMs: 15_000,
  secondMasterMs: 1,
  wrongMs,
  lanLost: 0,
  wanLost: 0,
  calls: [],
  end,
});

const reached = (records: RunRecord[]): Record<string, boolean> =>
  Object.fromEntries(verdicts(records).map(({ goal, isReached }) => [goal, isReached]));

test('three times shorter is reached at three, by the medians, for each kind of switch by itself', () => {
  const goal = 'crash: after detection at least 3 times shorter';
  const recipe = [record('recipe', 7000), record('recipe', 7500), record('recipe', 9000)];
  assert.is(reached([...recipe, record('hapair', 2500)])[goal], true);
  assert.is(reached([...recipe, record('hapair', 2510)])[goal], false);
  const [verdict] = verdicts([...recipe, record('hapair', 2500)]);
  assert.is(verdict?.measured, '3.00 times by the medians (2.80 to 3.60 by the extremes)');
  assert.not('stop: after detection at least 3 times shorter' in reached(recipe));
});

test('one call too many in one run misses the goal of calls', () => {
  const goal = 'one mutating EC2 call per switch against three';
  const runs = [record('recipe', 7500), record('hapair', 2500)];
  assert.is(reached(runs)[goal], true);
  assert.is(reached([...runs, record('hapair', 2500, { count: 2 })])[goal], false);
});

test('one wrong end of hapair, of whatever kind, misses the goal; the recipe may end as it likes', () => {
  const goal = 'never an address on the wrong node at the end';
  const runs = [record('hapair', 2500), flap('recipe', 9000, wrong)];
  assert.is(reached(runs)[goal], true);
  assert.is(reached([...runs, flap('hapair', 0, wrong)])[goal], false);
});

test('rows stand by scenario, the recipe first; a run that told nothing is in no row', () => {
  const failed: RunRecord = { contender: 'recipe', scenario: 'crash', run: 2, error: 'x' };
  const rows = switchTable([
    record('hapair', 2500),
    record('recipe', 7000),
    record('recipe', 8000),
    record('hapair', 2600, { scenario: 'stop' }),
    failed,
  ]);
  assert.equal(
    rows.slice(1).map(([scenario, by, n, , , , , after]) => [scenario, by, n, after].join(' ')),
    [
      'crash recipe 2 7.00 / 7.50 / 8.00',
      'crash hapair 1 2.50 / 2.50 / 2.50',
      'stop hapair 1 2.60 / 2.60 / 2.60',
    ],
  );
});

test('a millisecond apart is a blink, not an address with the wrong node', () => {
  const rows = watchTable([flap('recipe', 9000, wrong), flap('recipe', 1, right)]);
  assert.is(rows.length, 2);
  assert.is(rows[1]?.[5], '1 of 2');
  assert.is(rows[1]?.at(-1), '1 of 2');
});

test('every row of a Markdown table has the cells of its head', () => {
  assert.is(
    markdownTable([
      ['a', 'b'],
      ['1', '2'],
    ]),
    '| a | b |\n| --- | --- |\n| 1 | 2 |',
  );
});

test.run();
