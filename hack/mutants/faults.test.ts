import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { planted } from '../plant/plant.ts';
import { type Fault, faultsOf } from './faults.ts';

const test = suite('faults');

/** Each as what the file says with it. */
const versions = (source: string, kind?: Fault['kind']): string[] =>
  faultsOf('file.ts', source)
    .filter((fault) => kind === undefined || fault.kind === kind)
    .map((fault) => planted(source, fault));

test('an order between numbers takes in its bound, or leaves it out; equality is turned around', () => {
  assert.equal(versions('a < b', 'operator'), ['(a <= b)']);
  assert.equal(versions('a <= b', 'operator'), ['(a < b)']);
  assert.equal(versions('a > b', 'operator'), ['(a >= b)']);
  assert.equal(versions('a >= b', 'operator'), ['(a > b)']);
  assert.equal(versions('a === b', 'operator'), ['(a !== b)']);
  assert.equal(versions('a !== b', 'operator'), ['(a === b)']);
});

test('an operator binds what it bound before', () => {
  assert.equal(versions('f(a + b * c)', 'operator'), ['f((a - b * c))', 'f(a + (b / c))']);
  assert.equal(versions('f((a || b) && c)', 'operator'), ['f(((a || b) || c))', 'f(((a && b)) && c)']);
  assert.equal(versions('f(a ?? b ?? c)', 'operator'), ['f(((a ?? b) && c))', 'f(((a) && b) ?? c)']);
});

test('words that are put together stay together', () => {
  assert.equal(versions("f('a' + b + c)", 'operator'), []);
  assert.equal(versions('f(`a` + b)', 'operator'), []);
});

test('a condition holds always, or never; a loop is never made endless', () => {
  assert.equal(versions('if (a) { }'), ['if (true) { }', 'if (false) { }']);
  assert.equal(versions('f(a ? b : c)', 'condition'), ['f(true ? b : c)', 'f(false ? b : c)']);
  assert.equal(versions('while (a) { }'), ['while (false) { }']);
  assert.equal(versions('for (; a; ) { }'), ['for (; false; ) { }']);
});

test('a negation is dropped, and so is a sign', () => {
  assert.equal(versions('f(!a)', 'operator'), ['f(a)']);
  assert.equal(versions('f(-a)', 'operator'), ['f(+a)']);
});

test('a small number becomes its neighbour, a large one its double, a truth a lie; words stay', () => {
  assert.equal(versions('f(0, 1, 40_000)', 'constant'), [
    'f(1, 1, 40_000)',
    'f(0, 2, 40_000)',
    'f(0, 1, 80000)',
  ]);
  assert.equal(versions('f(true)', 'constant'), ['f(false)']);
  assert.equal(versions("f('Master', null, /x/)", 'constant'), []);
});

test('counting goes the other way', () => {
  assert.equal(versions('f(a++, --b)', 'operator'), ['f(a--, --b)', 'f(a++, ++b)']);
  assert.equal(versions('a += b', 'operator'), ['a -= b']);
  assert.equal(versions('a ??= b', 'operator'), ['a = b']);
});

test('a statement is dropped; a value that is returned is not', () => {
  assert.equal(versions('f();'), [';']);
  const returns = 'function f() { if (a) return; return b; }';
  assert.equal(versions(returns, 'statement'), ['function f() { if (a) ; return b; }']);
  assert.equal(versions('for (;;) { break; }', 'statement'), ['for (;;) { ; }']);
  assert.equal(versions('function f() { throw e; }', 'statement'), ['function f() { ; }']);
});

test('some are taken for all, and the least for the most', () => {
  assert.equal(versions('a.some(b)', 'method'), ['a.every(b)']);
  assert.equal(versions('Math.min(a, b)', 'method'), ['Math.max(a, b)']);
});

test('offsets are those of the source, types and other letters in it or not', () => {
  const source = `/** ‘Ünïcode’ 🙂 */\nconst f = (a: Map<string, 'ä–🙂'>, b: number): boolean =>\n  a.size as number < b;\n`;
  const [fault] = faultsOf('file.ts', source);
  assert.is(fault?.line, 3);
  assert.is(planted(source, fault as Fault).split('\n')[2], '  (a.size as number <= b);');
});

test('a fault is told by what stands around it, on one line', () => {
  const source = 'const f = () =>\n  a &&\n  g(b, 3);';
  const told = faultsOf('file.ts', source).map(({ line, before, after }) => [line, before, after]);
  assert.equal(told, [
    [2, 'a && g(b, 3)', '(a || g(b, 3))'],
    [3, 'g(b, 3)', 'g(b, 4)'],
  ]);
});

test.run();
