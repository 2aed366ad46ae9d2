/** CreateTags and DeleteTags, for what hapair reads tags of: ENIs, EIPs and instances. */
import type { Outcome } from './action.ts';
import { EC2Error } from './errors.ts';
import { list, members, type Parameters } from './parameters.ts';
import type { State } from './state.ts';
import type { XMLValue } from './xml.ts';

const exists = (state: State, id: string): boolean =>
  state.networkInterfaces.some((eni) => eni.networkInterfaceID === id) ||
  state.elasticIPs.some((eip) => eip.allocationID === id) ||
  state.instances.some((instance) => instance.instanceID === id);

/** The resources of a call, each of which must exist. */
const resources = (state: State, parameters: Parameters): string[] => {
  const ids = list(parameters, 'ResourceId');
  if (ids.length === 0)
    throw new EC2Error('MissingParameter', 'The request must contain the parameter resourceIdSet');
  const unknown = ids.find((id) => !exists(state, id));
  if (unknown !== undefined) throw new EC2Error('InvalidID', `The ID '${unknown}' is not valid`);
  return ids;
};

const keyOf = (tag: Parameters): string => {
  if (tag.Key === undefined)
    throw new EC2Error('MissingParameter', 'The request must contain the parameter tagKey');
  return tag.Key;
};

/** Adds tags, or gives those that are there another value. */
export const createTags = (state: State, parameters: Parameters): Outcome => {
  const given = members(parameters, 'Tag').map((tag) => [keyOf(tag), tag.Value ?? ''] as const);
  const tags = { ...state.tags };
  for (const id of resources(state, parameters)) tags[id] = { ...tags[id], ...Object.fromEntries(given) };
  return { state: { ...state, tags }, answer: { return: true } };
};

/** Removes tags by key; one with a value only if it has that value. Without tags: all of them. */
export const deleteTags = (state: State, parameters: Parameters): Outcome => {
  const given = members(parameters, 'Tag').map((tag) => ({ key: keyOf(tag), value: tag.Value }));
  const tags = { ...state.tags };
  for (const id of resources(state, parameters)) {
    const goes = ([key, value]: [string, string]) =>
      given.length === 0 || given.some((tag) => tag.key === key && (tag.value ?? value) === value);
    tags[id] = Object.fromEntries(Object.entries(tags[id] ?? {}).filter((tag) => !goes(tag)));
  }
  return { state: { ...state, tags }, answer: { return: true } };
};

/** The tags of a resource as every Describe call shows them. */
export const showTags = (state: State, id: string, own: Record<string, string> = {}): XMLValue =>
  Object.entries({ ...own, ...state.tags[id] }).map(([key, value]) => ({ key, value }));
