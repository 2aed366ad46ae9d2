/** A command that cannot be started; all else is tested with real commands in a file of its own. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome } from '../rules/verdict.ts';

const urlOf = (path: string): string => new URL(path, import.meta.url).href;

/** Runs a command in a process of its own that may open a hundred descriptors. */
const outcomeWith = (trouble: string, environment = '{}'): Outcome => {
  const program = `
    import { createCommandRunner } from '${urlOf('command.ts')}';
    import { createLeftovers } from '${urlOf('leftovers.ts')}';
    import { createUnprivilegedStart } from '${urlOf('privileges.ts')}';
    import { useUpDescriptors } from '${urlOf('../testing/spawn-trouble.ts')}';
    import { systemClock } from '${urlOf('../../runtime/clock.ts')}';
    const run = createCommandRunner(systemClock, createUnprivilegedStart(createLeftovers(systemClock)));
    const place = { pair: 'prod/web', sourceAddress: '10.10.10.11' };
    const allowed = { command: ['/bin/true'], environment: ${environment} };
    ${trouble};
    console.log(JSON.stringify(await run({ check: 'app', allowed, place, signal: new AbortController().signal })));`;
  const words = [process.execPath, '--input-type=module', '--eval', program];
  const { status, stdout, stderr } = spawnSync(
    '/bin/sh',
    ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...words],
    {
      encoding: 'utf8',
    },
  );
  assert.is(status, 0, stderr);
  return JSON.parse(stdout);
};
const messageOf = (outcome: Outcome): string => (outcome.result === 'success' ? '' : outcome.message);

test('without a descriptor left for its output a command has failed, and nothing else has', () => {
  assert.is(messageOf(outcomeWith('useUpDescriptors()')), '/bin/true cannot be run: spawn /bin/true EMFILE');
});

test('a command with more words than the kernel takes has failed, and nothing else has', () => {
  const large = "{ LARGE: 'x'.repeat(200_000) }";
  assert.match(messageOf(outcomeWith('', large)), '/bin/true cannot be run: spawn E2BIG');
});

test.run();
