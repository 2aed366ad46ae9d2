/** The form fields of an EC2 call: lists, structures, filters, pages. */
import { EC2Error, invalidValue } from './errors.ts';

/** The form fields of a request of the EC2 query protocol, without Action and Version. */
export type Parameters = Record<string, string>;

/** A filter of a Describe call: any of `values`, with the wildcards `*` and `?`. */
export type Filter = { name: string; values: string[] };

/**
 * Refuses what the action does not know, as EC2 does.
 * @throws EC2Error `UnknownParameter`.
 */
export const checkNames = (parameters: Parameters, known: readonly string[]): void => {
  for (const name of Object.keys(parameters)) {
    const base = name.split('.')[0] ?? name;
    if (!known.includes(base))
      throw new EC2Error('UnknownParameter', `The parameter ${base} is not recognized`);
  }
};

/** The members of a list, `Name.1`, `Name.2`, …, by number; holes are allowed. */
export const list = (parameters: Parameters, name: string): string[] => {
  const prefix = `${name}.`;
  return Object.entries(parameters)
    .filter(([key]) => key.startsWith(prefix) && /^\d+$/.test(key.slice(prefix.length)))
    .sort(([a], [b]) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)))
    .map(([, value]) => value);
};

/** The members of a list of structures, `Name.1.Field`, by number: the fields of each. */
export const members = (parameters: Parameters, name: string): Parameters[] => {
  const found = new Map<number, Parameters>();
  for (const [key, value] of Object.entries(parameters)) {
    const match = /^([^.]+)\.(\d+)\.(.+)$/.exec(key);
    if (match?.[1] !== name) continue;
    const number = Number(match[2]);
    found.set(number, { ...found.get(number), [match[3] ?? '']: value });
  }
  return [...found].sort(([a], [b]) => a - b).map(([, fields]) => fields);
};

/** @throws EC2Error `InvalidParameterValue` unless the value is true, false or absent. */
export const flag = (parameters: Parameters, name: string, absent: boolean): boolean => {
  const value = parameters[name];
  if (value === undefined) return absent;
  if (!/^(true|false)$/i.test(value))
    throw invalidValue(`Invalid value '${value}' for ${name}. Must be true or false`);
  return value.toLowerCase() === 'true';
};

/** Reads a parameter that must be there. @throws EC2Error `MissingParameter`. */
export const required = (parameters: Parameters, name: string): string => {
  const value = parameters[name];
  if (value === undefined || value === '') {
    const lowered = name.charAt(0).toLowerCase() + name.slice(1);
    throw new EC2Error('MissingParameter', `The request must contain the parameter ${lowered}`);
  }
  return value;
};

/** `Filter.N.Name` with `Filter.N.Value.M`. */
export const filters = (parameters: Parameters): Filter[] => {
  const numbers = new Set<number>();
  for (const key of Object.keys(parameters)) {
    const match = /^Filter\.(\d+)\./.exec(key);
    if (match) numbers.add(Number(match[1]));
  }
  return [...numbers]
    .sort((a, b) => a - b)
    .map((n) => {
      const name = parameters[`Filter.${n}.Name`];
      if (name === undefined)
        throw new EC2Error('MissingParameter', 'The request must contain the parameter filterName');
      return { name, values: list(parameters, `Filter.${n}.Value`) };
    });
};

/** Whether a value passes a filter's pattern. */
const matches = (pattern: string, value: string): boolean => {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(value);
};

/** What a Describe call can be filtered by: name of the filter -> the item's values of it. */
export type FilterTable<T> = Record<string, (item: T) => readonly (string | undefined)[]>;

/**
 * The items that pass every filter.
 * @throws EC2Error `InvalidParameterValue` for a filter that the call does not have.
 */
export const applyFilters = <T>(
  items: readonly T[],
  wanted: readonly Filter[],
  table: FilterTable<T>,
): T[] => {
  for (const { name } of wanted) {
    if (!Object.hasOwn(table, name)) throw invalidValue(`The filter '${name}' is invalid`);
  }
  return items.filter((item) =>
    wanted.every(({ name, values }) => {
      const found = table[name]?.(item) ?? [];
      return values.some((pattern) => found.some((value) => value !== undefined && matches(pattern, value)));
    }),
  );
};

/** A page of a Describe call, and the token of the next one. */
export type Page<T> = { items: readonly T[]; nextToken?: string };

const TOKEN_PREFIX = 'lab-page-';

/**
 * Cuts a page by MaxResults (5 to 1000) and NextToken.
 * @throws EC2Error when MaxResults is out of range, comes with ids, or the token is not one of ours.
 */
export const paginate = <T>(items: readonly T[], parameters: Parameters, idParameter: string): Page<T> => {
  const { MaxResults: max, NextToken: token } = parameters;
  if (max !== undefined && list(parameters, idParameter).length > 0) {
    throw new EC2Error(
      'InvalidParameterCombination',
      `The parameter ${idParameter} cannot be used with the parameter MaxResults`,
    );
  }
  const size = max === undefined ? 1000 : Number(max);
  if (!Number.isInteger(size) || size < 5 || size > 1000) {
    throw invalidValue(
      `Value ( ${max} ) for parameter maxResults is invalid. Expecting a value from 5 to 1000.`,
    );
  }
  const start = token?.startsWith(TOKEN_PREFIX)
    ? Number(token.slice(TOKEN_PREFIX.length))
    : token
      ? Number.NaN
      : 0;
  if (!Number.isInteger(start))
    throw new EC2Error('InvalidPaginationToken', 'The specified pagination token is not valid.');
  const end = start + size;
  const page = items.slice(start, end);
  return end < items.length ? { items: page, nextToken: `${TOKEN_PREFIX}${end}` } : { items: page };
};
