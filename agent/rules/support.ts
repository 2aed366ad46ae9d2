/** What this version can run. */
import type { VRRPInstanceSpec, VRRPParameters } from '../../crds/types.ts';

/**
 * What a spec asks for that this version does not build; such a spec is not loaded, the last one goes on.
 * @returns null when everything is supported
 */
export const unsupported = (spec: VRRPInstanceSpec): string | null => {
  if (!spec.vrrp.accept.every((set) => isSameRouter(set, spec.vrrp.send)))
    return 'spec.vrrp.accept must name the version and virtualRouterID of spec.vrrp.send: one pair speaks one version as one virtual router';
  return null;
};

const isSameRouter = (a: VRRPParameters, b: VRRPParameters): boolean =>
  a.version === b.version && a.virtualRouterID === b.virtualRouterID;
