import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nowMs } from './clock.ts';

/** Prints the time of a process of its own, and what the shared monotonic clock says to it. */
const PROGRAM = `
  import { nowMs } from ${JSON.stringify(import.meta.resolve('./clock.ts'))};
  process.stdout.write(String(nowMs() - Number(process.hrtime.bigint()) / 1e6));
`;

test('two processes have the same time, apart by far less than what is measured with it', async () => {
  const own = nowMs() - Number(process.hrtime.bigint()) / 1e6;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM]);
  const apart = Math.abs(Number(stdout) - own);
  assert.ok(apart < 5, `${apart} ms apart`);
});

test('it is Unix time, and does not go back', () => {
  assert.ok(Math.abs(nowMs() - Date.now()) < 1_000);
  let before = nowMs();
  for (let n = 0; n < 1_000; n += 1) {
    const now = nowMs();
    assert.ok(now >= before);
    before = now;
  }
});

test.run();
