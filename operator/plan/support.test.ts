import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pairOf, specOf } from '../testing/fixtures.ts';
import { canonical, isEqual, parametersOf } from './support.ts';

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

test('the canonical text does not depend on the order of the fields, at any depth', () => {
  const text = '{"a":[{"c":1,"d":2}],"b":{"x":1,"y":{"p":1,"q":2},"z":3}}';
  assert.is(canonical({ a: [{ c: 1, d: 2 }], b: { x: 1, y: { p: 1, q: 2 }, z: 3 } }), text);
  assert.is(canonical({ b: { z: 3, y: { q: 2, p: 1 }, x: 1 }, a: [{ d: 2, c: 1 }] }), text);
  assert.is(canonical({ b: { y: { p: 1, q: 2 }, z: 3, x: 1 }, a: [{ d: 2, c: 1 }] }), text);
  assert.is.not(canonical([1, 2]), canonical([2, 1]), 'the order of a list is content');
});

test('parameters: every default is resolved, and what belongs to the other version is not there', () => {
  const of = (change: object) => parametersOf(pairOf({ vrrp: { ...specOf().vrrp, ...change } }));
  const base = { virtualRouterID: 10, advertisementIntervalMilliseconds: 1000 };
  assert.equal(of({}), { version: 3, ...base, checksum: 'Pseudoheader' });
  assert.equal(of({ checksum: 'MessageOnly' }), { version: 3, ...base, checksum: 'MessageOnly' });
  assert.equal(of({ version: 2 }), { version: 2, ...base });
  const secretRef = { name: 'hapair-vrrp', key: 'web' };
  assert.equal(of({ version: 2, authentication: { secretRef: {} } }), {
    ...{ version: 2, ...base },
    authentication: { secretRef },
  });
  const other = { name: 'other', key: 'word' };
  assert.equal(of({ version: 2, authentication: { secretRef: other } }).authentication, { secretRef: other });
});

test.run();
