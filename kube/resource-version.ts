/** Resource versions of one resource are ordered numbers (Kubernetes API conventions, since 1.35 by contract). */
import type { KubeObject } from './types.ts';

/** Compares as the objects' ages do; 0: none, or it is no number. */
export const versionOf = ({ metadata: { resourceVersion } }: Pick<KubeObject, 'metadata'>): bigint =>
  /^\d+$/.test(resourceVersion ?? '') ? BigInt(resourceVersion ?? 0) : 0n;
