/** Each part of a pair's state is written by the file that declares it, and by no other. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { foreignWrites, ownersOf } from './owners.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const readAll = (pattern: string): Map<string, string> =>
  new Map(
    globSync(pattern, { cwd: ROOT })
      .filter((path) => !path.endsWith('.test.ts'))
      .map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]),
  );

const owners = ownersOf(readAll('agent/pair/state/*.ts'));

test('every field of a pair has one owner', () => {
  assert.ok(owners.size >= 34, `${owners.size} fields`);
  assert.is(owners.get('claim'), 'agent/pair/state/election.ts');
});

test('nobody but its owner writes a part', () => {
  assert.equal(foreignWrites(owners, readAll('agent/pair/**/*.ts')), []);
});

const OWNERS = ownersOf(
  new Map([['own.ts', 'type Part = {\n  /** One. */\n  one: string[];\n  two?: number;\n};\n']]),
);

test('two owners of one field are refused', () => {
  const part = 'type Part = {\n  one: string;\n};\n';
  assert.throws(
    () =>
      ownersOf(
        new Map([
          ['a.ts', part],
          ['b.ts', part],
        ]),
      ),
    'one is declared by a.ts and by b.ts',
  );
});

for (const write of [
  'state.two = 1;',
  'this.#state.two ??= 1;',
  'state.two += 1;',
  'state.two++;',
  '--state.two;',
  'delete state.two;',
  'state.one[0] = 1;',
  'state.one?.deep!.deeper = 1;',
  'state.one.push(1);',
  'state.one!.deep.sort();',
  'Object.assign(state.one, {});',
  'state.nobodys = 1;',
])
  test(`told of another file, and not of the owner: ${write}`, () => {
    const found = foreignWrites(OWNERS, new Map([['other.ts', `\n${write}\n`]]));
    assert.is(found.length, 1);
    assert.ok(found[0]?.startsWith('other.ts:2: '));
    const own = write.includes('nobodys') ? 1 : 0;
    assert.is(foreignWrites(OWNERS, new Map([['own.ts', write]])).length, own);
  });

for (const read of [
  'if (state.two === 1) {}',
  'if (state.two !== 1 || state.two <= 2 || state.two >= 3) {}',
  'const f = () => state.two;',
  '[...state.one].sort();',
  'state.one.map((each) => each);',
  'const x = { state: 1 };',
])
  test(`no write: ${read}`, () => {
    assert.equal(foreignWrites(OWNERS, new Map([['other.ts', read]])), []);
  });

test.run();
