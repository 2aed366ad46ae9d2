import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const run = (...flags: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), '--region', 'eu-central-1', ...flags], {
    encoding: 'utf8',
    env: {},
  });

test('a log level that there is not is one line that names those that there are', () => {
  const { status, stdout, stderr } = run('--log-level', 'nonsense');
  assert.is(
    stderr,
    'hapair-operator: there is no log level "nonsense"; there are trace, debug, info, warn, error, fatal, silent\n',
  );
  assert.equal({ status, stdout }, { status: 2, stdout: '' });
});

test.run();
