import { isObject, type Json, type JsonObject, type Schema } from './schema.ts';

/**
 * A copy of an object as the API server sees it before it validates: unknown fields and nulls are gone, defaults are in
 * place. Nothing is validated here. `metadata`, whose schema is the API server's own, stays as it is.
 */
export const normalise = (object: JsonObject, schema: Schema): JsonObject => {
  const { metadata, ...rest } = object;
  const copy = copyObject(rest, schema);
  return metadata === undefined ? copy : { ...copy, metadata: structuredClone(metadata) };
};

const copyObject = (object: JsonObject, schema: Schema): JsonObject => {
  const copy: JsonObject = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const given = Object.hasOwn(object, name) ? object[name] : undefined;
    const value = given ?? property.default;
    if (value !== undefined && value !== null) copy[name] = copyValue(value, property);
  }
  return copy;
};

/** A value of the wrong type is copied as it is; the schema rejects it later. A null in a list is such a value. */
const copyValue = (value: Json, schema: Schema): Json => {
  if (isObject(value) && schema.type === 'object') return copyObject(value, schema);
  const { items } = schema;
  if (Array.isArray(value) && items !== undefined) return value.map((item) => copyValue(item, items));
  return structuredClone(value);
};
