/** The table of good and bad objects in `cases/`, loaded; the YAML says how a case is written. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { isObject, type Json, type JsonObject, type Kind } from './schema.ts';

/** Values by path; null takes the field away. */
type Edits = Record<string, Json>;

type Row = {
  name: string;
  set?: Edits;
  old?: Edits;
  status?: JsonObject;
  path?: string;
  alsoAt?: string[];
  resolved?: Edits;
};

/** One object, or one change of an object, and what becomes of it. */
export type Case = {
  /** Such as `HAPair: two nodes of one address`. */
  name: string;
  kind: Kind;
  object: JsonObject;
  /** The stored object that `object` replaces. */
  old?: JsonObject;
  /** The write goes to the status subresource; `old` is what is stored then. */
  isStatus: boolean;
  /** Where the object is wrong, each place once, in order of the alphabet; empty: it is good. */
  paths: string[];
  /** What stands in a good object after the defaults; null: nothing. */
  resolved: Edits;
};

/**
 * All cases of both kinds.
 * @throws Error when an edit names a path that the base cannot hold.
 */
export const loadCases = (): Case[] => ['hapair', 'vrrpinstance'].flatMap(loadTable);

const loadTable = (file: string): Case[] => {
  const text = readFileSync(new URL(`./cases/${file}.yaml`, import.meta.url), 'utf8');
  const table: { kind: Kind; base: JsonObject; cases: Row[] } = parse(text);
  return table.cases.map((row) => toCase(table.kind, table.base, row));
};

const toCase = (kind: Kind, base: JsonObject, row: Row): Case => {
  const { name, set = {}, old, status, path, alsoAt = [], resolved = {} } = row;
  const object = edited(base, set);
  const isStatus = status !== undefined;
  if (isStatus) object.status = status;
  const oldEdits = isStatus ? set : old;
  return {
    name: `${kind}: ${name}`,
    kind,
    object,
    ...(oldEdits && { old: edited(base, oldEdits) }),
    isStatus,
    paths: path === undefined ? [] : [path, ...alsoAt].sort(),
    resolved,
  };
};

const edited = (base: JsonObject, edits: Edits): JsonObject => {
  const result = copy(base);
  for (const [path, value] of Object.entries(edits)) setAt(result, path, copy(value));
  return result;
};

/** Through text, so that what an alias of YAML shares is shared no more. */
const copy = <T extends Json>(value: T): T => JSON.parse(JSON.stringify(value));

/** `spec.nodes[0].address` as its steps. */
const steps = (path: string): (string | number)[] =>
  path.split(/[.[]/).map((step) => (step.endsWith(']') ? Number(step.slice(0, -1)) : step));

const setAt = (root: JsonObject, path: string, value: Json): void => {
  const way = steps(path);
  const last = way.pop();
  const parent = way.reduce<Json | undefined>(child, root);
  if (isObject(parent) && typeof last === 'string') {
    if (value === null) delete parent[last];
    else parent[last] = value;
  } else if (Array.isArray(parent) && typeof last === 'number') {
    parent.splice(last, 1, ...(value === null ? [] : [value]));
  } else {
    throw new Error(`crds/cases: nothing can be set at ${path}`);
  }
};

/** The value at a path of an object; undefined where there is none. */
export const valueAt = (root: Json, path: string): Json | undefined =>
  steps(path).reduce<Json | undefined>(child, root);

const child = (parent: Json | undefined, step: string | number): Json | undefined => {
  if (isObject(parent) && typeof step === 'string') return parent[step];
  return Array.isArray(parent) && typeof step === 'number' ? parent[step] : undefined;
};
