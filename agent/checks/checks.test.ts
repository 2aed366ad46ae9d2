import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HealthCheck } from '../../crds/types.ts';
import { createVirtualClock } from '../../runtime/testing/virtual-clock.ts';
import type { CheckFinding, Outcome } from '../rules/verdict.ts';
import { Checks } from './checks.ts';

const PLACE = { pair: 'prod/web', sourceAddress: '10.10.10.11' };
const ok: Outcome = { result: 'success' };
const bad: Outcome = { result: 'failure', cause: 'HTTP 503', message: 'it answers 503' };

const check = (change: Partial<HealthCheck> = {}): HealthCheck => ({
  name: 'app',
  httpGet: { port: 8080, path: '/healthz', scheme: 'HTTP' },
  periodSeconds: 10,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
  ...change,
});
const command = (name: string): HealthCheck => {
  const { httpGet: _none, ...rest } = check({ name, timeoutSeconds: 5 });
  return { ...rest, command: { name } };
};

/** Checks over virtual time, and what a test makes of each run; the first run comes at once. */
const createBench = () => {
  const clock = createVirtualClock();
  /** What the process has slept through, over and above the timers' own time. */
  const slept = { ms: 0 };
  const runs: { name: string; atMs: number; end: (outcome: Outcome) => void; signal: AbortSignal }[] = [];
  const found: (boolean | null)[] = [];
  const story: string[] = [];
  /** By default a run hangs until the test ends it. */
  const world = { outcome: undefined as Outcome | undefined };
  const log = (fields: object, message: string): void => {
    story.push(`${message} ${JSON.stringify(fields)}`);
  };
  const checks = new Checks({
    runner: ({ name }, _place, signal) => {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      runs.push({ name, atMs: clock.now(), end: resolve, signal });
      if (world.outcome !== undefined) resolve(world.outcome);
      return promise;
    },
    clock: { ...clock, now: () => clock.now() + slept.ms },
    phase: () => 0,
    log: { info: log, warn: log, error: log },
    onFindings: (_pair, [first]) => found.push(first?.healthy ?? null),
  });
  return { checks, clock, slept, runs, found, story, world };
};
const healthOf = (findings: readonly CheckFinding[]) => findings.map(({ healthy }) => healthy);

test('a check runs once a period, and tells only what is new', async () => {
  const { checks, clock, runs, found, world } = createBench();
  world.outcome = ok;
  assert.equal(healthOf(checks.follow(PLACE, [check()])), [null]);
  await clock.advance(35_000);
  assert.equal(
    runs.map(({ atMs }) => atMs),
    [0, 10_000, 20_000, 30_000],
  );
  assert.equal(found, [true]);
});

test('one line of log for each change of a verdict, with its reason', async () => {
  const { checks, clock, story, world } = createBench();
  world.outcome = bad;
  checks.follow(PLACE, [check()]);
  await clock.advance(60_000);
  world.outcome = ok;
  await clock.advance(60_000);
  assert.equal(story, [
    'check fails {"pair":"prod/web","check":"app","reason":"ChecksFailed","message":"it answers 503"}',
    'check passes {"pair":"prod/web","check":"app","reason":"ChecksPassed"}',
  ]);
});

test('a run that hangs is over at its deadline: it is told to end, and counts as a failure', async () => {
  const { checks, clock, runs } = createBench();
  checks.follow(PLACE, [check({ failureThreshold: 1 })]);
  await clock.advance(999);
  assert.not(runs[0]?.signal.aborted);
  await clock.advance(1);
  assert.ok(runs[0]?.signal.aborted);
  const [snapshot] = checks.snapshot();
  assert.equal(snapshot, {
    pair: 'prod/web',
    name: 'app',
    healthy: false,
    runs: { success: 0, failure: 0, timeout: 1 },
    lastDurationMs: 1_000,
  });
});

test('what cannot be ended is never begun twice: each period without an end is a failure', async () => {
  const { checks, clock, runs, found } = createBench();
  checks.follow(PLACE, [check()]);
  await clock.advance(45_000);
  assert.is(runs.length, 1);
  assert.equal(found, [false]);
  assert.equal(
    checks.snapshot()[0]?.runs,
    { success: 0, failure: 0, timeout: 4 },
    'its own, at 20, 30 and 40 s',
  );
  runs[0]?.end(ok);
  await clock.advance(10_000);
  assert.is(runs.length, 2, 'it goes on once that has ended');
});

test('a run that ends a little after its deadline holds up the next one, and is no second failure', async () => {
  const { checks, clock, runs } = createBench();
  checks.follow(PLACE, [check({ periodSeconds: 1 })]);
  await clock.advance(1_200);
  runs[0]?.end(ok);
  await clock.advance(300);
  assert.is(runs.length, 2);
  assert.equal(checks.snapshot()[0]?.runs, { success: 0, failure: 0, timeout: 1 });
});

test('a deadline that the process slept through says nothing of the node', async () => {
  const { checks, clock, slept, runs, found } = createBench();
  checks.follow(PLACE, [check({ failureThreshold: 1 })]);
  await clock.advance(500);
  slept.ms = 30_000;
  await clock.advance(600);
  runs[0]?.end(ok);
  await clock.advance(0);
  assert.equal(found, []);
  assert.equal(checks.snapshot()[0]?.runs, { success: 0, failure: 0, timeout: 0 });
  await clock.advance(2_000);
  assert.is(runs.length, 2);
  assert.equal(found, [false], 'the next one counts again');
});

test('a run may take longer than a period, and the next begins after it', async () => {
  const { checks, clock, runs } = createBench();
  checks.follow(PLACE, [check({ periodSeconds: 1, timeoutSeconds: 5 })]);
  await clock.advance(3_500);
  assert.is(runs.length, 1);
  runs[0]?.end(ok);
  await clock.advance(0);
  await clock.advance(0);
  assert.equal(
    runs.map(({ atMs }) => atMs),
    [0, 3_500],
  );
});

test('a runner that throws has failed', async () => {
  const clock = createVirtualClock();
  const checks = new Checks({
    runner: async () => {
      throw new Error('no more sockets');
    },
    clock,
    phase: () => 0,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    onFindings: () => {},
  });
  checks.follow(PLACE, [check({ failureThreshold: 1 })]);
  await clock.advance(100);
  assert.is(checks.follow(PLACE, [check({ failureThreshold: 1 })])[0]?.message, 'no more sockets');
});

test('an edit keeps the verdict of every check that asks for the same thing', async () => {
  const { checks, clock, world } = createBench();
  world.outcome = bad;
  const other = check({ name: 'other', httpGet: { port: 9090, path: '/', scheme: 'HTTP' } });
  checks.follow(PLACE, [check({ failureThreshold: 1 }), other]);
  await clock.advance(1_000);
  const edited = check({ failureThreshold: 5, periodSeconds: 20, timeoutSeconds: 2 });
  const explicit = {
    ...other,
    httpGet: { port: 9090, path: '/', scheme: 'HTTP' as const, host: '10.10.10.11' },
  };
  assert.equal(healthOf(checks.follow(PLACE, [edited, explicit])), [false, null]);
  assert.equal(
    checks.snapshot().map(({ runs: { failure } }) => failure),
    [1, 1],
  );
});

test('a check that asks for another thing begins anew, and counts on', async () => {
  const { checks, clock, world } = createBench();
  world.outcome = bad;
  checks.follow(PLACE, [check({ failureThreshold: 1 })]);
  await clock.advance(1_000);
  const mended = check({ failureThreshold: 1, httpGet: { port: 8080, path: '/health', scheme: 'HTTP' } });
  world.outcome = ok;
  assert.equal(
    healthOf(checks.follow(PLACE, [mended])),
    [null],
    'a wrong path that was mended is no Fault any more',
  );
  await clock.advance(1_000);
  assert.equal(healthOf(checks.follow(PLACE, [mended])), [true]);
  assert.equal(checks.snapshot()[0]?.runs, { success: 1, failure: 1, timeout: 0 });
});

test('at another address of the node a check begins anew, unless it names its host', async () => {
  const { checks, clock, world } = createBench();
  world.outcome = ok;
  const named = check({ name: 'named', httpGet: { port: 80, path: '/', scheme: 'HTTP', host: 'db' } });
  checks.follow(PLACE, [check(), named]);
  await clock.advance(1_000);
  const moved = { ...PLACE, sourceAddress: '10.10.10.13' };
  assert.equal(healthOf(checks.follow(moved, [check(), named])), [null, true]);
});

test('a shorter period counts from the last run', async () => {
  const { checks, clock, runs, world } = createBench();
  world.outcome = ok;
  checks.follow(PLACE, [check({ periodSeconds: 3_600 })]);
  await clock.advance(10_000);
  checks.follow(PLACE, [check({ periodSeconds: 2 })]);
  await clock.advance(0);
  assert.equal(
    runs.map(({ atMs }) => atMs),
    [0, 10_000],
  );
});

test('a check that is taken away runs no more, and one under way is ended and says nothing', async () => {
  const { checks, clock, runs, found } = createBench();
  checks.follow(PLACE, [check({ failureThreshold: 1 })]);
  await clock.advance(500);
  assert.equal(checks.follow(PLACE, []), []);
  assert.ok(runs[0]?.signal.aborted);
  runs[0]?.end(bad);
  await clock.advance(60_000);
  assert.is(runs.length, 1);
  assert.equal(found, []);
  assert.equal(checks.snapshot(), []);
});

test('at most eight commands run at one time, and one that hangs holds its place only until its deadline', async () => {
  const { checks, clock, runs } = createBench();
  const names = Array.from({ length: 20 }, (_, index) => `c${index}`);
  for (const name of names) checks.follow({ ...PLACE, pair: `prod/${name}` }, [command(name)]);
  checks.follow(PLACE, [check()]);
  await clock.advance(1_000);
  assert.equal(
    runs.map(({ name }) => name),
    [...names.slice(0, 8), 'app'],
    'a check without a process does not wait for them',
  );
  await clock.advance(4_500);
  assert.equal(
    runs.filter(({ name }) => name !== 'app').map(({ name }) => name),
    names.slice(0, 16),
  );
  await clock.advance(5_000);
  assert.ok(runs.some(({ name }) => name === 'c19'));
});

/** Others' checks hang; one of this pair passes once, then fails: it must be told within 2 s x 3 + 1 s. */
const failBeside = async (others: number, perPair: number, make: (name: string) => HealthCheck) => {
  const { checks, clock, runs } = createBench();
  for (let pair = 0; pair < others; pair++) {
    const hanging = Array.from({ length: perPair }, (_, index) => ({
      ...make(`h${index}`),
      timeoutSeconds: 60,
    }));
    checks.follow({ ...PLACE, pair: `prod/other${pair}` }, hanging);
  }
  checks.follow(PLACE, [{ ...make('good'), periodSeconds: 2, timeoutSeconds: 1 }]);
  const healthy = () => checks.snapshot().find(({ name }) => name === 'good')?.healthy;
  const endRuns = (outcome: Outcome): void => {
    for (const run of runs) if (run.name === 'good') run.end(outcome);
  };
  await clock.advance(500);
  endRuns(ok);
  await clock.advance(0);
  assert.is(healthy(), true);
  const untilMs = clock.now() + 7_000;
  while (healthy() !== false && clock.now() < untilMs) {
    await clock.advance(100);
    endRuns(bad);
  }
  assert.is(healthy(), false);
};

test('while 64 checks of other pairs hang, a failing check puts its node in Fault within period x threshold + timeout', () =>
  failBeside(8, 8, (name) => check({ name })));

test('while eight commands of two other pairs hang, a command that fails puts its node in Fault in the same time', () =>
  failBeside(2, 4, command));

test('a run that waits for its turn counts as a timeout, once at its deadline and then each period', async () => {
  const { checks, clock, runs } = createBench();
  const many = Array.from({ length: 8 }, (_, index) => ({ ...command(`h${index}`), timeoutSeconds: 60 }));
  const late = { ...command('late'), periodSeconds: 2, timeoutSeconds: 1 };
  checks.follow(PLACE, [...many, late]);
  const snapshot = () => checks.snapshot().find(({ name }) => name === 'late');
  await clock.advance(1_500);
  assert.is(snapshot()?.runs.timeout, 1);
  await clock.advance(4_000);
  assert.is(snapshot()?.healthy, false);
  assert.match(checks.follow(PLACE, [...many, late]).at(-1)?.message ?? '', 'no place to run in time');
  runs[0]?.end(ok);
  await clock.advance(0);
  assert.is(runs.at(-1)?.name, 'late', 'it has kept its place');
});

test('both nodes of a pair begin at the same time after an edit, and different pairs do not', async () => {
  const firstRunOf = async (pair: string): Promise<number> => {
    const clock = createVirtualClock();
    const started = Promise.withResolvers<number>();
    const checks = new Checks({
      runner: async () => {
        started.resolve(clock.now());
        return ok;
      },
      clock,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      onFindings: () => {},
    });
    checks.follow({ ...PLACE, pair }, [check()]);
    await clock.advance(1_000);
    return started.promise;
  };
  const pairs = ['prod/web', 'prod/db', 'prod/mail', 'test/web'];
  const first = await Promise.all(pairs.map(firstRunOf));
  assert.equal(first, await Promise.all(pairs.map(firstRunOf)));
  assert.is(new Set(first).size, pairs.length);
});

test('closed, nothing runs and nothing can be followed', async () => {
  const { checks, clock, runs } = createBench();
  checks.follow(PLACE, [check()]);
  await clock.advance(100);
  checks.close();
  assert.ok(runs[0]?.signal.aborted);
  assert.equal(checks.follow(PLACE, [check()]), []);
  await clock.advance(60_000);
  assert.is(runs.length, 1);
  assert.equal(clock.pending(), []);
});

test.run();
