/** What this version can run. */
import type { VRRPInstanceSpec } from '../../crds/types.ts';

/**
 * What a spec asks for that this version does not build; such a spec is not loaded, the last one goes on.
 * @returns null when everything is supported
 */
export const unsupported = (spec: VRRPInstanceSpec): string | null => {
  if (spec.claim !== 'Normal')
    return `spec.claim ${spec.claim} is not supported by this version of the agent; only Normal is`;
  if (spec.vrrp.accept.length !== 1 || !sameParameters(spec))
    return 'spec.vrrp.accept must be exactly the set in spec.vrrp.send: this version does not change VRRP parameters in steps';
  if ((spec.healthChecks ?? []).length > 0)
    return 'spec.healthChecks is not supported by this version of the agent; remove the checks';
  return null;
};

const sameParameters = ({ vrrp: { send, accept } }: VRRPInstanceSpec): boolean => {
  const [only] = accept;
  return (
    only !== undefined &&
    only.version === send.version &&
    only.virtualRouterID === send.virtualRouterID &&
    only.advertisementIntervalMilliseconds === send.advertisementIntervalMilliseconds &&
    only.checksum === send.checksum &&
    only.authentication?.secretRef.name === send.authentication?.secretRef.name &&
    only.authentication?.secretRef.key === send.authentication?.secretRef.key
  );
};
