import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** No run takes so long; one that hangs is killed. */
const PATIENCE_MS = 20_000;

/** A program that logs twice, a while apart, and ends. @param between what it does meanwhile */
const program = (between = ''): string => `
  import { systemClock } from ${JSON.stringify(new URL('./clock.ts', import.meta.url).href)};
  import { createLogger } from ${JSON.stringify(new URL('./logger.ts', import.meta.url).href)};
  import { openLogOutput } from ${JSON.stringify(new URL('./log-output.ts', import.meta.url).href)};
  const output = openLogOutput();
  const log = createLogger({ level: undefined, base: {} }, output);
  log.info({ reason: 'AgentStarted' }, 'x');
  ${between}
  setTimeout(() => {
    log.info({ reason: 'AgentStopped' }, 'x');
    setTimeout(() => process.exit(7), 50);
  }, 50);`;
/** More than a pipe or socket holds. */
const FLOOD = `for (let line = 0; line < 5_000; line += 1) log.info({ line }, 'x'.repeat(100));`;

/** Of a detached child; it may be gone. */
const killGroup = ({ pid }: ChildProcess): void => {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, 'ESRCH');
  }
};

const argumentsOf = (text: string): string[] => ['--input-type=module', '--eval', text];
const run = (stdout: number | 'pipe') =>
  spawnSync(process.execPath, argumentsOf(program()), {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    stdio: ['ignore', stdout, 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });

test('a log that finds no space does not end the program, nor keep it from ending', () => {
  const full = openSync('/dev/full', 'w');
  const { status, signal, stderr } = run(full);
  closeSync(full);
  assert.equal({ status, signal }, { status: 7, signal: null }, stderr);
});

test('a log is complete when the program ends', () => {
  const { status, stdout } = run('pipe');
  assert.is(status, 7);
  assert.match(stdout, /AgentStarted.*AgentStopped/s);
});

/** Node gives a child a socket; a shell gives it a pipe. */
for (const [kind, before] of [
  ['socket', []],
  ['pipe', ['/bin/sh', '-c', '{ "$@"; echo "ended with $?" >&2; } | { read -r line; sleep 20; }', 'sh']],
] as const) {
  test(`a program whose log goes to a ${kind} that nobody reads goes on, and ends`, async () => {
    const words = [...before, process.execPath, ...argumentsOf(program(FLOOD))];
    const [first = '', ...rest] = words;
    const child = spawn(first, rest, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const patience = setTimeout(() => killGroup(child), PATIENCE_MS);
    child.stdout.pause();
    const said = Promise.withResolvers<string>();
    child.stderr.setEncoding('utf8').on('data', said.resolve);
    child.once('exit', (code) => said.resolve(`ended with ${code}\n`));
    assert.is(await said.promise, 'ended with 7\n');
    clearTimeout(patience);
    killGroup(child);
  });
}

test('what a slow reader has not taken yet is written later, in its order', async () => {
  const wait = `${FLOOD} await output.written(systemClock, ${PATIENCE_MS});`;
  const child = spawn(process.execPath, argumentsOf(program(wait)), {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = (await text(child.stdout)).trim().split('\n');
  const numbers = lines.map((line) => JSON.parse(line).line).filter((line) => line !== undefined);
  assert.equal(
    numbers,
    Array.from({ length: 5_000 }, (_, line) => line),
  );
  assert.match(lines.at(-1) ?? '', /AgentStopped/);
});

test.run();
