import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCases, valueAt } from './cases.ts';
import { isDateTime } from './datetime.ts';
import { collectRules, KNOWN_RULES } from './rules.ts';
import { type Kind, readSchema, type Schema } from './schema.ts';
import { TERM_STEP } from './types.ts';
import { type Problem, validateHAPair, validateVRRPInstance } from './validate.ts';

const KINDS: Kind[] = ['HAPair', 'VRRPInstance'];
const validators = { HAPair: validateHAPair, VRRPInstance: validateVRRPInstance };
const cases = loadCases();

const problemsOf = ({ kind, object, old }: (typeof cases)[number]): Problem[] => {
  const result = validators[kind](object, old);
  return result.ok ? [] : result.errors;
};

for (const row of cases) {
  test(row.name, () => {
    const before = structuredClone(row);
    const result = validators[row.kind](row.object, row.old);
    const paths = new Set(problemsOf(row).map(({ path }) => path));
    assert.equal([...paths].sort(), row.paths, JSON.stringify(result));
    assert.equal(row, before, 'the validator changed its input');
    for (const [path, value] of Object.entries(row.resolved)) {
      assert.ok(result.ok);
      const json = JSON.parse(JSON.stringify(result.value));
      assert.equal(valueAt(json, path) ?? null, value, path);
    }
  });
}

test('a term is bounded by what is stored, or by the floor where that is higher, and what is stored stays good', () => {
  const { object } = cases.find(({ name }) => name === 'VRRPInstance: the base') ?? {};
  const withTerm = (term: number) => ({
    ...object,
    status: { state: 'Master', term, since: '2026-11-22T10:00:00Z' },
  });
  const isGood = (term: number, stored: number) =>
    validators.VRRPInstance(withTerm(term), withTerm(stored)).ok;
  assert.ok(isGood(5_000_000 + TERM_STEP, 5_000_000));
  assert.not(isGood(5_000_001 + TERM_STEP, 5_000_000));
  assert.ok(isGood(7 + TERM_STEP, 2), 'above the floor');
  assert.ok(isGood(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
});

test('every case has a name of its own', () => {
  assert.is(new Set(cases.map(({ name }) => name)).size, cases.length);
});

test('every rule of the manifests is broken by some case', () => {
  const messages = new Set(cases.flatMap(problemsOf).map(({ message }) => message));
  for (const kind of KINDS) {
    for (const { rule, message } of collectRules(readSchema(kind))) {
      assert.ok(messages.has(message), `no case of ${kind} breaks ${rule}`);
    }
  }
});

test('every rule known here stands in a manifest', () => {
  const used = new Set(KINDS.flatMap((kind) => collectRules(readSchema(kind))).map(({ rule }) => rule));
  assert.equal(
    KNOWN_RULES.filter((rule) => !used.has(rule)),
    [],
  );
});

test('a rule without a meaning is an error, not silence', () => {
  const schema: Schema = {
    type: 'string',
    'x-kubernetes-validations': [{ rule: 'self != ""', message: 'no' }],
  };
  assert.throws(() => collectRules(schema), /gives no meaning to the rule "self != """/);
});

test('both kinds describe health checks and conditions with the same words', () => {
  const [pair, instance] = KINDS.map(readSchema);
  const property = (schema: Schema | undefined, ...path: string[]): Schema | undefined =>
    path.reduce<Schema | undefined>((parent, name) => parent?.properties?.[name], schema);
  assert.equal(property(pair, 'spec', 'healthChecks'), property(instance, 'spec', 'healthChecks'));
  const [told, reported] = [pair, instance].map((schema) =>
    JSON.stringify(property(schema, 'status', 'conditions')?.items),
  );
  // The operator quotes what an agent reports: the one message holds the other.
  assert.is(told?.replace('"maxLength":32768', '"maxLength":2048'), reported);
});

test('every field has a description and every list a type', () => {
  const check = (schema: Schema, path: string): void => {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const isMetadata = path === '' && name === 'metadata';
      assert.ok(isMetadata || 'description' in property, `${path}.${name} has no description`);
      check(property, `${path}.${name}`);
    }
    if (schema.type !== 'array') return;
    assert.ok(schema['x-kubernetes-list-type'], `${path} has no list type`);
    if (schema.items !== undefined) check(schema.items, `${path}[]`);
  };
  for (const kind of KINDS) check(readSchema(kind), '');
});

test('what is no object, or another kind, is said to be so', () => {
  for (const value of [undefined, null, 'web', []]) {
    assert.equal(validateHAPair(value), {
      ok: false,
      errors: [{ path: '', message: 'is not an object of kind HAPair' }],
    });
  }
  const result = validateHAPair({
    apiVersion: 'v1',
    kind: 'Pod',
    spec: { nodes: [], addresses: [], vrrp: {} },
  });
  assert.not(result.ok);
  const paths = result.ok ? [] : result.errors.map(({ path }) => path);
  for (const path of ['apiVersion', 'kind', 'metadata.name']) assert.ok(paths.includes(path), path);
});

test('date-time is what the API server takes for one', () => {
  for (const good of ['2026-11-22T10:00:00Z', '2026-11-22t10:00:00.123456+09:00', '2024-02-29T23:59:59Z']) {
    assert.ok(isDateTime(good), good);
  }
  for (const bad of [
    '',
    '2026-11-22',
    '2026-11-22 10:00:00Z',
    '2026-11-22T10:00:00',
    '2023-02-29T10:00:00Z',
  ]) {
    assert.not(isDateTime(bad), bad);
  }
});

test.run();
