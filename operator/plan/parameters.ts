/**
 * Changed VRRP parameters of a running pair. The two ends cannot change at the same instant, so they do it in three steps,
 * each acknowledged by both agents: accept old and new; send new; accept new only. What has been done is read off the stored
 * instances, so any operator can go on with it. While two sets are accepted, the old one stands first.
 */
import type { VRRPInstance, VRRPInstanceSpec, VRRPParameters } from '../../crds/types.ts';
import { isEqual } from '../../runtime/json.ts';

type Sets = VRRPInstanceSpec['vrrp'];

export type ParameterStage = {
  /** What both instances are told. */
  vrrp: Sets;
  /** 1 to 3; 0: nothing changes. */
  step: 0 | 1 | 2 | 3;
  /** Nodes whose agents have not acknowledged what is stored. */
  waitsFor: readonly string[];
};

/** The agent has the stored spec on disk and runs it. */
export const isAcknowledged = ({ metadata, status }: VRRPInstance): boolean =>
  status?.observedGeneration !== undefined && status.observedGeneration >= (metadata.generation ?? 0);

const stable = (set: VRRPParameters): Sets => ({ send: set, accept: [set] });

/**
 * The next thing to tell both instances.
 * @param wanted the parameters in spec
 * @param nodes names of the nodes in force
 * @param instances the stored instances of those nodes
 */
export const parameterStage = (
  wanted: VRRPParameters,
  nodes: readonly string[],
  instances: readonly VRRPInstance[],
): ParameterStage => {
  const stored = instances.map(({ spec }) => spec.vrrp);
  const isUsed = instances.some(({ status }) => status !== undefined);
  const [first] = stored;
  if (first === undefined || !isUsed) return { vrrp: stable(wanted), step: 0, waitsFor: [] };

  const unacknowledged = nodes.filter((name) => {
    const instance = instances.find(({ spec }) => spec.nodeName === name);
    return instance === undefined || !isAcknowledged(instance);
  });
  /** Everybody is told `vrrp`; once it is stored and acknowledged everywhere, `then`. */
  const step = (number: 1 | 2, vrrp: Sets, then: Sets): ParameterStage => {
    const isTold = stored.length === nodes.length && stored.every((each) => isEqual(each, vrrp));
    if (!isTold) return { vrrp, step: number, waitsFor: nodes };
    if (unacknowledged.length > 0) return { vrrp, step: number, waitsFor: unacknowledged };
    return { vrrp: then, step: number === 1 ? 2 : 3, waitsFor: nodes };
  };

  const sends = (set: VRRPParameters): boolean => stored.some(({ send }) => isEqual(send, set));
  const double = stored.filter(({ accept }) => accept.length === 2);
  const begun = double.find(({ accept: [, next] }) => next !== undefined && sends(next)) ?? double[0];
  const [old = first.send, next] = begun?.accept ?? [first.send];

  // Once anybody sends the new set, the change finishes before another begins.
  if (next !== undefined && sends(next)) {
    const isLast = stored.some((each) => isEqual(each, stable(next)));
    if (isLast) return { vrrp: stable(next), step: 3, waitsFor: [] };
    return step(2, { send: next, accept: [old, next] }, stable(next));
  }
  if (isEqual(old, wanted)) return { vrrp: stable(old), step: 0, waitsFor: [] };
  const both = [old, wanted];
  return step(1, { send: old, accept: both }, { send: wanted, accept: both });
};
