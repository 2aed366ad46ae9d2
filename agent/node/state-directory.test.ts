import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { logTo, stateSuite } from '../testing/state-suite.ts';
import { openStateDirectory } from './state-directory.ts';

const test = stateSuite('state directory');

test('it is made when missing, with its parents, and its names are told', ({ directory, told }) => {
  const inner = join(directory, 'lib', 'hapair');
  assert.equal(openStateDirectory(inner, logTo(told)), []);
  writeFileSync(join(inner, 'prod.web.pair'), '');
  assert.equal(openStateDirectory(inner, logTo(told)), ['prod.web.pair']);
  assert.equal(told, []);
});

test('a file in its place is named, with the way out', ({ directory, told }) => {
  const file = join(directory, 'hapair');
  writeFileSync(file, '');
  assert.throws(
    () => openStateDirectory(file, logTo(told)),
    (error: Error) =>
      error.message.startsWith(`stateDir ${file} cannot be used: EEXIST`) &&
      error.message.endsWith('move it away, or name another as stateDir in the configuration file'),
  );
});

test.run();
