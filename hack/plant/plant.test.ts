import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BUGS } from '../../sim/planted/bugs.ts';
import { plantOf } from '../../sim/planted/plant-bug.ts';
import { planted } from './plant.ts';

const test = suite('planted bugs');

test('an edit takes the place of what stood there', () => {
  assert.is(planted('a < b', { file: '', start: 2, end: 3, text: '>=' }), 'a >= b');
});

test('each text of the list stands in its file exactly once', () => {
  for (const bug of BUGS) assert.not.throws(() => plantOf(bug), undefined, bug.name);
});

test('no two have the same name, and there are at least thirty', () => {
  assert.is(new Set(BUGS.map(({ name }) => name)).size, BUGS.length);
  assert.ok(BUGS.length >= 30);
});

test('a text that is not there, or there twice, is named with its bug', () => {
  const bug = { name: 'a bug', file: 'sim/planted/bug.ts', planted: '', promise: 'T1' };
  assert.throws(() => plantOf({ ...bug, text: 'not there' }), /^a bug: sim\/planted\/bug\.ts no longer has/);
  assert.throws(() => plantOf({ ...bug, text: 'string;' }), /^a bug: .* more than once/);
});

test.run();
