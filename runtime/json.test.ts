import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonical, isEqual } from './json.ts';

/** JSON, where a field may also be undefined: absent. */
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, false, 0, 1, '', 'a', '1'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.option(tie('value'), { nil: undefined }), {
      maxKeys: 3,
    }),
  ),
})).value;

const shuffled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, each]) => [key, shuffled(each)]),
  );
};

test('equal is what has equal canonical text', () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      assert.is(isEqual(a, b), canonical(a) === canonical(b), `${JSON.stringify(a)} ${JSON.stringify(b)}`);
      assert.ok(isEqual(a, shuffled(structuredClone(a))));
    }),
    { numRuns: 2_000 },
  );
});

test('absent and undefined are equal, null is neither', () => {
  assert.ok(isEqual({ a: 1, b: undefined }, { a: 1 }));
  assert.ok(isEqual({ a: 1 }, { a: 1, b: undefined }));
  assert.not(isEqual({ a: 1, b: null }, { a: 1 }));
  assert.not(isEqual({ a: 1 }, { a: 1, b: null }));
  assert.not(isEqual([], {}));
});

test.run();
