/** Which spec is in force: the stored one if it is accepted, else the last that was. */
import type { Reason } from '../../crds/conditions.ts';
import type { HAPair, VRRPInstance, VRRPParameters } from '../../crds/types.ts';
import type { PlanInput, Wish } from './types.ts';

/** The name of the Secret when `secretRef.name` is absent. */
export const DEFAULT_SECRET = 'hapair-vrrp';

/** `spec.vrrp` with every default resolved. */
export const parametersOf = (pair: HAPair): VRRPParameters => {
  const { version, virtualRouterID, advertisementIntervalMilliseconds, checksum, authentication } =
    pair.spec.vrrp;
  const name = authentication?.secretRef.name ?? DEFAULT_SECRET;
  const key = authentication?.secretRef.key ?? pair.metadata.name;
  return {
    version,
    virtualRouterID,
    advertisementIntervalMilliseconds,
    ...(version === 3 && { checksum: checksum ?? 'Pseudoheader' }),
    ...(version === 2 && authentication && { authentication: { secretRef: { name, key } } }),
  };
};

/** JSON with sorted keys and without absent fields: equal contents give equal text. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    each !== null && typeof each === 'object' && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );

/** True once a master was elected: from then on an edit must not disturb who serves. */
export const isRunning = (pair: HAPair, instances: readonly VRRPInstance[]): boolean =>
  instances.length > 0 && (pair.status?.term ?? 0) > 0;

/** Fields set to something that this version does not build yet, as paths with a hint. */
const unbuiltFields = ({ pair: { spec }, settings }: PlanInput): string[] => {
  const fields: [boolean, string][] = [
    [
      spec.region !== undefined && spec.region !== settings.region,
      `spec.region other than ${settings.region}`,
    ],
    [spec.pinnedNode !== undefined, 'spec.pinnedNode'],
    [spec.failback.policy !== 'Manual', 'spec.failback.policy Automatic'],
    [spec.failback.delaySeconds !== 60, 'spec.failback.delaySeconds'],
    [spec.failback.startingDeadlineSeconds !== 600, 'spec.failback.startingDeadlineSeconds'],
    [(spec.healthChecks ?? []).length > 0, 'spec.healthChecks'],
    [spec.deletionPolicy !== 'Retain', 'spec.deletionPolicy Unassign'],
  ];
  return fields.flatMap(([used, path]) => (used ? [path] : []));
};

/** Edits of a running pair that this version cannot carry out without disturbing it. */
const unbuiltEdits = ({ pair, instances }: PlanInput): string[] => {
  if (!isRunning(pair, instances)) return [];
  const { spec } = pair;
  const parameters = canonical(parametersOf(pair));
  const edits: [boolean, string][] = [
    [
      instances.some((instance) => canonical(instance.spec.vrrp.send) !== parameters),
      'a change of spec.vrrp of a running pair',
    ],
    [
      instances.some(({ spec: { nodeName, sourceAddress, networkInterfaceID, interface: device } }) => {
        const node = spec.nodes.find(({ name }) => name === nodeName);
        return (
          node?.address !== sourceAddress ||
          node.networkInterfaceID !== networkInterfaceID ||
          node.interface !== device
        );
      }),
      'a change of spec.nodes of a running pair',
    ],
  ];
  return edits.flatMap(([used, path]) => (used ? [path] : []));
};

/** Whether the stored spec is in force, and why not. */
export type Acceptance = { accepted: boolean; reason: Reason; message: string };

/** Judges the stored spec. Nothing is refused in silence: the message names every field that stands in the way. */
export const judge = (input: PlanInput): Acceptance => {
  const goesOn = isRunning(input.pair, input.instances) ? ' The last accepted spec goes on.' : '';
  if (input.problems.length > 0) {
    return { accepted: false, reason: 'Invalid', message: `${input.problems.join('; ')}.${goesOn}` };
  }
  const unbuilt = [...unbuiltFields(input), ...unbuiltEdits(input)];
  if (unbuilt.length > 0) {
    const message = `Not supported yet: ${unbuilt.join(', ')}.${goesOn}`;
    return { accepted: false, reason: 'NotSupportedYet', message };
  }
  if (input.rival !== undefined) {
    return {
      accepted: false,
      reason: 'AddressConflict',
      message: `${input.rival} Nothing is written for this pair.`,
    };
  }
  return { accepted: true, reason: 'Accepted', message: 'The spec is in force.' };
};

/**
 * What is wanted. While the stored spec is not accepted, the last accepted one is read back from what it left behind: nodes
 * from the VRRPInstances, which the operator does not touch meanwhile, addresses from `status.addresses`. So it survives a
 * restart of the operator without a copy of its own.
 */
export const wishOf = ({ pair, instances }: PlanInput, acceptance: Acceptance): Wish => {
  if (acceptance.accepted) return { nodes: pair.spec.nodes, addresses: pair.spec.addresses };
  const order = (pair.status?.nodes ?? []).map(({ name }) => name);
  const nodes = instances
    .map(({ spec }) => ({
      name: spec.nodeName,
      address: spec.sourceAddress,
      networkInterfaceID: spec.networkInterfaceID,
      ...(spec.interface !== undefined && { interface: spec.interface }),
    }))
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const addresses = (pair.status?.addresses ?? []).map(({ name, vip, eipAllocationID }) => ({
    name,
    ...(vip !== undefined && { vip }),
    ...(eipAllocationID !== undefined && { eipAllocationID }),
  }));
  return { nodes, addresses };
};
