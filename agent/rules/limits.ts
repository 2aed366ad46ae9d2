/** What the owner of a node lets the pairs of its namespaces cost it. */
import type { VRRPInstanceSpec } from '../../crds/types.ts';

export type Limits = {
  /** Pairs that run here. */
  pairs: number;
  /** No pair advertises more often. */
  minimumAdvertisementIntervalMilliseconds: number;
};

/**
 * Why a spec is beyond them; it is not loaded, the one before goes on. What runs from disk when the limits are lowered goes on too.
 * @param others pairs that run here beside it
 * @returns null when it is not
 */
export const beyondLimits = (spec: VRRPInstanceSpec, others: number, limits: Limits): string | null => {
  const { pairs, minimumAdvertisementIntervalMilliseconds: least } = limits;
  const { send, accept } = spec.vrrp;
  const shortest = Math.min(
    ...[send, ...accept].map(({ advertisementIntervalMilliseconds }) => advertisementIntervalMilliseconds),
  );
  if (shortest < least)
    return `node ${spec.nodeName} allows no advertisement interval below ${least} ms, and the HAPair has ${shortest} ms; lengthen spec.vrrp.advertisementIntervalMilliseconds there, or have the node's owner lower limits.minimumAdvertisementIntervalMilliseconds in agent.yaml`;
  if (others >= pairs)
    return `node ${spec.nodeName} runs as many pairs as it may (${pairs}); choose another node, or have the node's owner raise limits.pairs in agent.yaml`;
  return null;
};
