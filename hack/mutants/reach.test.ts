import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { reaches, stretchesOf } from './reach.ts';

const test = suite('reach');

const range = (startOffset: number, endOffset: number, count: number) => ({ startOffset, endOffset, count });
const part = (...ranges: ReturnType<typeof range>[]) => ({ functionName: '', isBlockCoverage: true, ranges });

test('the innermost range says whether its part ran', () => {
  const module = part(range(0, 100, 1));
  const called = part(range(10, 40, 3), range(20, 30, 0));
  const uncalled = part(range(50, 80, 0));
  assert.equal(stretchesOf([module, called, uncalled]), [
    [0, 20],
    [30, 50],
    [80, 100],
  ]);
});

test('a module that was loaded before tells of its functions alone', () => {
  assert.equal(stretchesOf([part(range(0, 100, 0)), part(range(10, 20, 1))]), [[10, 20]]);
  assert.equal(stretchesOf([part(range(10, 20, 1)), part(range(12, 14, 0))]), [
    [10, 12],
    [14, 20],
  ]);
});

test('a stretch has its beginning and not its end', () => {
  const reach = { 'a.ts': [[10, 20]] as const };
  assert.equal(
    [9, 10, 19, 20].map((offset) => reaches(reach, 'a.ts', offset)),
    [false, true, true, false],
  );
  assert.not(reaches(reach, 'b.ts', 10));
});

test.run();
