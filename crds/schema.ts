/** The CRD manifests as data: the OpenAPI schema of each kind, read once from the YAML beside this file. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** A value of JSON. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** One CEL rule, as apiextensions.k8s.io/v1 ValidationRule. */
export type Rule = {
  rule: string;
  message: string;
  /** JSONPath relative to the value that the rule is about, such as `.preferredNode`. */
  fieldPath?: string;
  reason?: string;
};

/** The part of a structural schema that this folder reads itself; ajv reads the rest. */
export type Schema = {
  type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  /** What `kubectl explain` says of it. */
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  default?: Json;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: Rule[];
};

/** The kinds of the API. */
export type Kind = 'HAPair' | 'VRRPInstance';

type Manifest = { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };

/** Where a kind's manifest lies. */
export const manifestURL = (kind: Kind): URL => new URL(`./${kind.toLowerCase()}.yaml`, import.meta.url);

/**
 * The schema of a kind.
 * @throws Error when the manifest is missing or has no version.
 */
export const readSchema = (kind: Kind): Schema => {
  const manifest: Manifest = parse(readFileSync(manifestURL(kind), 'utf8'));
  const version = manifest.spec.versions[0];
  if (version === undefined) throw new Error(`${manifestURL(kind).pathname}: spec.versions is empty`);
  return version.schema.openAPIV3Schema;
};

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Which item of a map list this is: the values of its keys, as text. */
export const mapKey = (schema: Schema, item: Json): string =>
  JSON.stringify(
    (schema['x-kubernetes-list-map-keys'] ?? []).map((key) => (isObject(item) ? item[key] : null)),
  );
