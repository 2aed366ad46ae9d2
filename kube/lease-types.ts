/** The Lease as the API server has it. */
import type { KubeObject, Resource } from './types.ts';

export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
};

/** coordination.k8s.io/v1. Times are metav1.MicroTime. */
export type Lease = KubeObject & {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    /** How often the holder changed; leader election alone counts it. */
    leaseTransitions?: number;
  };
};
