import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** No run takes so long; one that hangs is killed. */
const PATIENCE_MS = 20_000;

/** A program that logs twice, a while apart, and ends. */
const program = (sync: boolean): string => `
  import { pino } from 'pino';
  import { openLogOutput } from ${JSON.stringify(new URL('./log-output.ts', import.meta.url).href)};
  const log = pino({}, openLogOutput(${sync}));
  log.info({ reason: 'AgentStarted' }, 'x');
  setTimeout(() => {
    log.info({ reason: 'AgentStopped' }, 'x');
    setTimeout(() => process.exit(7), 50);
  }, 50);`;

const run = (sync: boolean, stdout: number | 'pipe') =>
  spawnSync(process.execPath, ['--input-type=module', '--eval', program(sync)], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    stdio: ['ignore', stdout, 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });

for (const sync of [true, false]) {
  const kind = sync ? 'written at once' : 'written by the event loop';
  test(`a log ${kind} that finds no space does not end the program, nor keep it from ending`, () => {
    const full = openSync('/dev/full', 'w');
    const { status, signal, stderr } = run(sync, full);
    closeSync(full);
    assert.equal({ status, signal }, { status: 7, signal: null }, stderr);
  });

  test(`a log ${kind} is complete when the program ends`, () => {
    const { status, stdout } = run(sync, 'pipe');
    assert.is(status, 7);
    assert.match(stdout, /AgentStarted.*AgentStopped/s);
  });
}

test.run();
