/** The kinds that the operator reads and writes, as they stand in request paths. */
import { API_GROUP, API_VERSION } from '../crds/types.ts';
import type { Resource } from '../kube/types.ts';

export const HAPAIRS: Resource = {
  group: API_GROUP,
  version: API_VERSION,
  plural: 'hapairs',
  kind: 'HAPair',
};
export const VRRPINSTANCES: Resource = {
  group: API_GROUP,
  version: API_VERSION,
  plural: 'vrrpinstances',
  kind: 'VRRPInstance',
};

/** Field manager of everything the operator applies. */
export const FIELD_MANAGER = 'hapair-operator';
