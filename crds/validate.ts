/**
 * Says of an object what the API server would say of it, without one: the manifest's schema by ajv, keys that occur twice,
 * and the rules across fields. The same table of cases (`cases/`) is run against this file and against a real API server.
 *
 * Three differences remain, all on the strict side. An object without `metadata.name` is rejected here although the API
 * server can generate one; what was wrong already before an update is reported here although the API server lets it be; and
 * a list where a date-time belongs is rejected here although the API server takes it.
 */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { isDateTime } from './datetime.ts';
import { normalise } from './normalise.ts';
import { brokenRules, collectRules, type Problem } from './rules.ts';
import {
  isObject,
  type Json,
  type JsonObject,
  type Kind,
  mapKey,
  readSchema,
  type Schema,
} from './schema.ts';
import { API_GROUP_VERSION, type HAPair, type VRRPInstance } from './types.ts';

export type { Problem } from './rules.ts';

/** The object with its defaults, unknown fields dropped; or everything that is wrong with it, at least one problem. */
type Validation<T> = { ok: true; value: T } | { ok: false; errors: Problem[] };

/**
 * Validates a HAPair; never changes it.
 * @param old the stored object that it replaces; without it, rules about change are not asked.
 */
export const validateHAPair = (object: unknown, old?: unknown): Validation<HAPair> =>
  validate<HAPair>('HAPair', object, old);

/**
 * Validates a VRRPInstance; never changes it.
 * @param old the stored object that it replaces; without it, rules about change are not asked.
 */
export const validateVRRPInstance = (object: unknown, old?: unknown): Validation<VRRPInstance> =>
  validate<VRRPInstance>('VRRPInstance', object, old);

const validate = <T extends HAPair | VRRPInstance>(
  kind: Kind,
  object: unknown,
  old: unknown,
): Validation<T> => {
  const given = toJson(object);
  if (!isObject(given))
    return { ok: false, errors: [{ path: '', message: `is not an object of kind ${kind}` }] };
  const { schema, matches } = compiled(kind);
  const value = normalise(given, schema);
  const errors = [...identityProblems(kind, value), ...schemaProblems(matches, value)];
  const isTyped = errors.every(({ isBlocking }) => !isBlocking);
  const problems: Problem[] = errors.map(({ path, message }) => ({ path, message }));
  problems.push(...duplicates(schema, value, ''));
  if (isTyped) {
    const oldGiven = toJson(old);
    const oldValue = isObject(oldGiven) ? normalise(oldGiven, schema) : undefined;
    problems.push(...brokenRules(schema, value, oldValue, ''));
  }
  if (problems.length > 0) return { ok: false, errors: problems };
  // The schema and the rules have just vouched for every field of T.
  return { ok: true, value: value as unknown as T };
};

/** As JSON carries it: what JSON cannot carry (undefined, functions) is dropped. */
const toJson = (object: unknown): Json | undefined =>
  object === undefined ? undefined : (JSON.parse(JSON.stringify(object) ?? 'null') as Json);

type Compiled = { schema: Schema; matches: ValidateFunction };

const cache = new Map<Kind, Compiled>();

const compiled = (kind: Kind): Compiled => {
  const known = cache.get(kind);
  if (known !== undefined) return known;
  const schema = readSchema(kind);
  collectRules(schema);
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false });
  ajv.addVocabulary(['x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-validations']);
  ajv.addFormat('date-time', isDateTime);
  // Widths of integers; the bounds of every integer are in the schema.
  ajv.addFormat('int32', true);
  ajv.addFormat('int64', true);
  const fresh = { schema, matches: ajv.compile(schema) };
  cache.set(kind, fresh);
  return fresh;
};

/** The API server runs no rule while one of these stands: the value has not the shape that a rule relies on. */
type SchemaProblem = Problem & { isBlocking: boolean };

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** What the API server checks of every object before it looks at the CRD. */
const identityProblems = (kind: Kind, { apiVersion, kind: given, metadata }: JsonObject): SchemaProblem[] => {
  const problems: SchemaProblem[] = [];
  const report = (path: string, message: string): void => {
    problems.push({ path, message, isBlocking: true });
  };
  if (apiVersion !== API_GROUP_VERSION) report('apiVersion', `must be ${API_GROUP_VERSION}`);
  if (given !== kind) report('kind', `must be ${kind}`);
  const name = isObject(metadata) ? metadata.name : undefined;
  if (typeof name !== 'string' || name === '') report('metadata.name', 'is required');
  else if (!DNS_SUBDOMAIN.test(name) || name.length > 253) {
    const message = `"${name}" is not lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit`;
    problems.push({ path: 'metadata.name', message, isBlocking: false });
  }
  return problems;
};

const schemaProblems = (matches: ValidateFunction, value: JsonObject): SchemaProblem[] =>
  matches(value) ? [] : (matches.errors ?? []).map(toProblem);

const BLOCKING: ReadonlySet<string> = new Set(['required', 'type', 'enum', 'maxLength', 'maxItems']);

const toProblem = ({ instancePath, keyword, params, message = 'is invalid' }: ErrorObject): SchemaProblem => {
  const missing = keyword === 'required' ? `/${params.missingProperty}` : '';
  const text =
    keyword === 'required'
      ? 'is required'
      : keyword === 'enum'
        ? `must be one of ${params.allowedValues.join(', ')}`
        : message;
  return { path: toPath(instancePath + missing), message: text, isBlocking: BLOCKING.has(keyword) };
};

/** `/spec/nodes/0/address` is `spec.nodes[0].address`. No field of the API has a name of digits. */
const toPath = (pointer: string): string =>
  pointer
    .slice(1)
    .split('/')
    .map((segment) => (/^\d+$/.test(segment) ? `[${segment}]` : `.${segment}`))
    .join('')
    .replace(/^\./, '');

/** Items of a set, or keys of a map list, that occur before in the same list. */
const duplicates = (schema: Schema, value: Json, path: string): Problem[] => {
  if (isObject(value)) {
    return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
      const child = value[name];
      const childPath = path === '' ? name : `${path}.${name}`;
      return child === undefined ? [] : duplicates(property, child, childPath);
    });
  }
  const { items } = schema;
  if (!Array.isArray(value) || items === undefined) return [];
  return [
    ...repeated(schema, value).map((index) => ({ path: `${path}[${index}]`, message: 'is there twice' })),
    ...value.flatMap((item, index) => duplicates(items, item, `${path}[${index}]`)),
  ];
};

/** The index of each second occurrence; a third is not told again. */
const repeated = (schema: Schema, list: Json[]): number[] => {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return [];
  const seen = new Map<string, number>();
  return list.flatMap((item, index) => {
    if (listType === 'map' && !isObject(item)) return [];
    const key = listType === 'map' ? mapKey(schema, item) : JSON.stringify(item);
    const times = (seen.get(key) ?? 0) + 1;
    seen.set(key, times);
    return times === 2 ? [index] : [];
  });
};
