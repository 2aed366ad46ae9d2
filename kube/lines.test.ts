import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLineSplitter } from './lines.ts';

test('a character cut between any two bytes comes out whole', () => {
  const bytes = Buffer.from('{"a":"Grüße, 世界 🙂"}\n\n{"b":1}\n');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const splitter = createLineSplitter(100);
    const lines = [...splitter.push(bytes.subarray(0, cut)), ...splitter.push(bytes.subarray(cut))];
    assert.equal(lines, ['{"a":"Grüße, 世界 🙂"}', '{"b":1}']);
  }
});

test('an unfinished line stays pending', () => {
  const splitter = createLineSplitter(100);
  assert.equal(splitter.push(Buffer.from('abc')), []);
  assert.equal(splitter.push(Buffer.from('def\ng')), ['abcdef']);
});

test('a line past the limit is refused, also when it comes in pieces', () => {
  const splitter = createLineSplitter(5);
  splitter.push(Buffer.from('abc'));
  assert.throws(() => splitter.push(Buffer.from('def')), /longer than 5 bytes/);
});

test.run();
