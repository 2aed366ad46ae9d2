import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clip, plainText } from './plain-text.ts';

test('control characters and turns of direction become blanks, and the text stays on one line', () => {
  assert.is(plainText('\u001b[31mred\u0007\r\nnext\u202eturned'), '[31mred next turned');
});

test('a long text is cut, and says so', () => {
  assert.is(plainText('x'.repeat(501)).length, 500);
  assert.ok(plainText('x'.repeat(501)).endsWith('x…'));
  assert.is(plainText('x'.repeat(500)), 'x'.repeat(500));
  assert.is(plainText('abcdef', 4), 'abc…');
});

test('a text of megabytes is cut before it is searched', () => {
  assert.is(plainText(`${' '.repeat(10_000_000)}end`, 10), '…');
});

test('what is too long ends in an ellipsis, no character is halved, and nothing is looked through for ever', () => {
  assert.is(plainText('abcdef', 6), 'abcdef');
  assert.is(plainText('abcdefg', 6), 'abcde…');
  assert.is(plainText('abcd😀fg', 6), 'abcd…');
  assert.is(plainText(`${'\n'.repeat(50)}abc`, 6), '…');
});

test('a text of our own keeps its lines, and is no longer than it may be', () => {
  assert.is(clip('one\ntwo', 20), 'one\ntwo');
  assert.is(clip('one\ntwo', 6), 'one\nt…');
});

test.run();
