import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../plant/plant.ts';
import { isEquivalent, lineFor, parseEquivalents, readEquivalents } from './equivalents.ts';
import { type Fault, faultsOf } from './faults.ts';
import { heartFiles } from './hearts.ts';

const test = suite('faults that change nothing');

const fault = (before: string, after: string): Fault => ({
  ...{ file: 'a.ts', start: 0, end: 1, text: '', kind: 'operator', line: 1 },
  before,
  after,
});

test('a line is read back as the fault it was made for', () => {
  for (const each of [fault('a < b', '(a <= b)'), fault('`a` || b', '(`a` && b)'), fault('x => 1', '')]) {
    const line = `${lineFor(each)} nobody can tell.`;
    if (each.after === '') assert.throws(() => parseEquivalents(line), /not "- `file`/);
    else assert.ok(isEquivalent(each, parseEquivalents(line)), line);
  }
});

test('a line without an argument is no excuse', () => {
  assert.throws(() => parseEquivalents(lineFor(fault('a', 'b'))), /argument/);
});

test('another fault of the same line is not excused', () => {
  const list = parseEquivalents(`${lineFor(fault('a < b', '(a <= b)'))} they are never equal.`);
  assert.not(isEquivalent(fault('a < b', '(a > b)'), list));
  assert.not(isEquivalent({ ...fault('a < b', '(a <= b)'), file: 'b.ts' }, list));
});

test('every fault of the list can still be planted', () => {
  const faults = heartFiles().flatMap((file) => faultsOf(file, readFileSync(join(ROOT, file), 'utf8')));
  const lost = readEquivalents().filter((each) => !faults.some((other) => isEquivalent(other, [each])));
  assert.equal(lost, []);
});

test.run();
