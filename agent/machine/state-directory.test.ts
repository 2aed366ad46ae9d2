import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStateDirectory } from './state-directory.ts';

const test = suite<{ directory: string; told: string[] }>('state directory');
const log = (told: string[]) => {
  const note = (fields: object, message: string) => told.push(`${message} ${JSON.stringify(fields)}`);
  return { info: note, warn: note, error: note };
};

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'hapair-state-'));
  context.told = [];
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true }));

test('it is made when missing, with its parents, and its names are told', ({ directory, told }) => {
  const inner = join(directory, 'lib', 'hapair');
  assert.equal(openStateDirectory(inner, log(told)), []);
  writeFileSync(join(inner, 'prod.web.pair'), '');
  assert.equal(openStateDirectory(inner, log(told)), ['prod.web.pair']);
  assert.equal(told, []);
});

test('a file in its place is named, with the way out', ({ directory, told }) => {
  const file = join(directory, 'hapair');
  writeFileSync(file, '');
  assert.throws(
    () => openStateDirectory(file, log(told)),
    (error: Error) =>
      error.message.startsWith(`stateDir ${file} cannot be used: EEXIST`) &&
      error.message.endsWith('move it away, or name another as stateDir in the configuration file'),
  );
});

test.run();
