import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clip, quote } from './quote.ts';

test('what acts on a terminal becomes a space', () => {
  assert.is(quote('red: \u001b[31m\r\n\u009b2J\u202edone\n', 100), 'red: [31m 2J done');
});

test('what is too long ends in an ellipsis, and no character is halved', () => {
  assert.is(quote('abcdef', 6), 'abcdef');
  assert.is(quote('abcdefg', 6), 'abcde…');
  assert.is(quote('abcd😀fg', 6), 'abcd…');
  assert.is(quote(`${'\n'.repeat(50)}abc`, 6), '…', 'nor is it looked through for ever');
});

test('ours is clipped as it is laid out', () => {
  assert.is(clip('a\n  b', 5), 'a\n  b');
  assert.is(clip('a\n  bc', 5), 'a\n  …');
});

test.run();
