import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findTestFiles, jobsOf, jobsOfFile, SUITE_NAMES, suiteOf } from './jobs.ts';

const plan = { cores: 2, seeds: 5, firstSeed: 10 };

test('a file belongs to the suite of its folder', () => {
  assert.is(suiteOf('operator/plan.test.ts'), 'unit');
  assert.is(suiteOf('sim/traces.test.ts'), 'sim');
  assert.is(suiteOf('test/chart.test.ts'), 'integration');
  assert.is(suiteOf('test/e2e/pin.test.ts'), 'e2e');
  assert.is(suiteOf('test/machine/vrrp-many.test.ts'), 'machine');
});

test('every test file of the work tree is run once, and the random schedules with other seeds each', () => {
  const jobs = SUITE_NAMES.flatMap((suite) => jobsOf(suite, plan));
  const ran = jobs.flatMap(({ files }) => files).sort();
  const random = 'sim/random.test.ts';
  assert.equal([...new Set(ran)], findTestFiles());
  assert.equal(
    ran.filter((file, index) => ran.indexOf(file) !== index),
    [random],
  );
  assert.ok(ran.length > 100);
});

test('units are shared out, two jobs for each processor', () => {
  const files = ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}.test.ts`);
  assert.equal(
    jobsOf('unit', plan, files).map((job) => job.files),
    [['a.test.ts', 'e.test.ts'], ['b.test.ts'], ['c.test.ts'], ['d.test.ts']],
  );
  assert.is(jobsOf('unit', plan, ['a.test.ts']).length, 1, 'no job without a file');
});

test('the seeds are shared out over the processors, none twice', () => {
  const jobs = jobsOf('sim', plan, ['sim/random.test.ts']);
  assert.equal(
    jobs.map(({ env }) => env),
    [
      { SIM_FIRST: '10', SIM_SEEDS: '3' },
      { SIM_FIRST: '13', SIM_SEEDS: '2' },
    ],
  );
});

test('the random schedules as one file are shared out too, but for a single seed', () => {
  assert.is(jobsOfFile('sim/random.test.ts', plan).length, 2);
  assert.is(jobsOfFile('sim/random.test.ts', { ...plan, seeds: 1 }).length, 1);
});

test('one file is run with what its suite needs', () => {
  const [job, ...others] = jobsOfFile('test/e2e/pin.test.ts', plan);
  assert.equal(others, []);
  assert.equal(job?.files, ['test/e2e/pin.test.ts']);
  assert.ok(job?.sharesPlane && job.needsTools);
});

test.run();
