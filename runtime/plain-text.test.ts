import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plainText } from './plain-text.ts';

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

test.run();
