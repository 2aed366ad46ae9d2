import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCalmLog } from './calm-log.ts';
import { createVirtualClock } from './testing/virtual-clock.ts';

/** A calm log whose lines are kept, as `level message count`, and a minute hand. */
const createBench = () => {
  const clock = createVirtualClock();
  const lines: string[] = [];
  const fields: object[] = [];
  const keep = (level: string) => (said: object, message: string) => {
    lines.push(`${level} ${message}${'count' in said ? ` ${said.count}` : ''}`);
    fields.push(said);
  };
  const log = createCalmLog({ info: keep('info'), warn: keep('warn'), error: keep('error') }, clock.now);
  /** Lets seconds pass, with a tick each, and calls `each` in every one of them. */
  const seconds = async (count: number, each: () => void = () => {}): Promise<void> => {
    for (let second = 0; second < count; second += 1) {
      await clock.advance(1_000);
      each();
      log.tick();
    }
  };
  return { log, lines, fields, seconds };
};

test('the first of a kind is said at once, as it is', () => {
  const { log, lines, fields } = createBench();
  log.warn({ pair: 'prod/web', err: 'refused' }, 'step failed');
  assert.equal(lines, ['warn step failed']);
  assert.equal(fields, [{ pair: 'prod/web', err: 'refused' }]);
});

test('what repeats is counted, and said after 10 s, a minute, and every ten minutes', async () => {
  const { log, lines, seconds } = createBench();
  const fail = () => log.warn({ pair: 'prod/web', retryMs: Math.random() }, 'step failed');
  fail();
  await seconds(1_270, fail);
  assert.equal(lines, [
    'warn step failed',
    'warn step failed (10 more in 10 s) 10',
    'warn step failed (60 more in 60 s) 60',
    'warn step failed (600 more in 10 min) 600',
    'warn step failed (600 more in 10 min) 600',
  ]);
  assert.is(log.withheld(), 1_266);
});

test('what was withheld is said even if it comes no more', async () => {
  const { log, lines, seconds } = createBench();
  log.error({}, 'interfaces could not be read');
  log.error({}, 'interfaces could not be read');
  log.error({}, 'interfaces could not be read');
  await seconds(9);
  assert.is(lines.length, 1);
  await seconds(1);
  assert.equal(lines.slice(1), ['error interfaces could not be read (2 more in 10 s) 2']);
  await seconds(600);
  assert.is(lines.length, 2);
});

test('before the end all that was withheld is said, due or not, and once', () => {
  const { log, lines } = createBench();
  for (const message of ['step failed', 'step failed', 'step failed', 'packet rejected'])
    log.warn({}, message);
  log.flush();
  log.flush();
  assert.equal(lines, ['warn step failed', 'warn packet rejected', 'warn step failed (2 more in 0 s) 2']);
});

test('a line that stands for many is counted as many', async () => {
  const { log, lines, seconds } = createBench();
  const reject = () => log.warn({ cause: 'SourceNotPeer', count: 5_000 }, 'packet rejected');
  reject();
  await seconds(10, reject);
  assert.equal(lines, ['warn packet rejected 5000', 'warn packet rejected (50000 more in 10 s) 50000']);
});

test('another pair, lane, cause or error is another kind; a source or a delay is not', () => {
  const { log, lines } = createBench();
  log.warn({ pair: 'prod/a', err: new Error('refused'), retryMs: 1 }, 'step failed');
  log.warn({ pair: 'prod/b', err: new Error('refused'), retryMs: 1 }, 'step failed');
  log.warn({ pair: 'prod/a', err: new Error('forbidden'), retryMs: 1 }, 'step failed');
  log.warn({ pair: 'prod/a', err: new Error('refused'), retryMs: 2 }, 'step failed');
  log.warn({ cause: 'ChecksumInvalid', source: '10.10.10.12' }, 'packet rejected');
  log.warn({ cause: 'PasswordMismatch', source: '10.10.10.12' }, 'packet rejected');
  log.warn({ cause: 'PasswordMismatch', source: '10.10.10.13' }, 'packet rejected');
  assert.is(lines.length, 5);
});

test('two checks of a pair that fail, and two Regions that cannot be read, are two kinds', () => {
  const { log, lines } = createBench();
  for (const check of ['web', 'disk'])
    log.warn({ reason: 'ChecksFailed', pair: 'prod/a', check, message: check }, 'check fails');
  for (const region of ['eu-central-1', 'eu-west-1'])
    log.warn({ reason: 'EC2ReadFailed', region, error: 'no connection' }, 'EC2 could not be read');
  assert.is(lines.length, 4);
});

test('a line’s kind goes by its reason, whatever the words', () => {
  const { log, lines } = createBench();
  log.warn({ reason: 'StepFailed', pair: 'prod/a' }, 'step failed');
  log.warn({ reason: 'StepFailed', pair: 'prod/a' }, 'step failed at 10:00:01');
  log.warn({ reason: 'LeaseNotRenewed', pair: 'prod/a' }, 'step failed');
  assert.equal(lines, ['warn step failed', 'warn step failed']);
});

test('after a quiet pause it is news again', async () => {
  const { log, lines, seconds } = createBench();
  log.warn({}, 'IMDS could not be read');
  await seconds(10);
  log.warn({}, 'IMDS could not be read');
  assert.is(lines.length, 2);
});

test('changes are never withheld', () => {
  const { log, lines } = createBench();
  for (let time = 0; time < 5; time += 1) log.info({ pair: 'prod/web' }, 'became Backup');
  assert.is(lines.length, 5);
});

test('endless kinds take no endless memory: the quietest is forgotten', () => {
  const { log, lines } = createBench();
  for (let kind = 0; kind < 2_000; kind += 1) log.warn({ err: `error ${kind}` }, 'step failed');
  log.warn({ err: 'error 1999' }, 'step failed');
  assert.is(lines.length, 2_000, 'the newest is still known');
  log.warn({ err: 'error 0' }, 'step failed');
  assert.is(lines.length, 2_001, 'the first is news again');
});

test.run();
