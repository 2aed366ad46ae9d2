/** Which spec is in force: the stored one if it is accepted, else the last that was. */
import type { Reason } from '../../crds/conditions.ts';
import type { HAPair, VRRPInstance, VRRPParameters } from '../../crds/types.ts';
import { itemsOf, lacksTag } from '../../delivery/items.ts';
import { conditionOf } from './problem.ts';
import type { PlanInput } from './types.ts';

/** The name of the Secret when `secretRef.name` is absent. */
const DEFAULT_SECRET = 'hapair-vrrp';

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

/** True once a master was elected: from then on an edit must not disturb who serves. */
export const isRunning = (pair: HAPair, instances: readonly VRRPInstance[]): boolean =>
  instances.length > 0 && (pair.status?.term ?? 0) > 0;

/** Whether the stored spec is in force, and why not. */
export type Acceptance = { accepted: boolean; reason: Reason; message: string };

/** True while nothing at all may be written to EC2 for this pair. */
export const isBarred = ({ accepted, reason }: Acceptance): boolean =>
  !accepted && (reason === 'AddressConflict' || reason === 'NotPermitted');

/** Entries of `status.addresses`, as the API bounds them. */
const MOST_RECORDED = 64;

/** What the spec names must be recorded beside all that earlier edits named and that has not arrived or gone yet. */
const isCrowded = ({ spec, status }: HAPair): boolean => {
  const recorded = status?.addresses ?? [];
  const added = spec.addresses.filter(({ name, vip, eipAllocationID }) =>
    recorded.every(
      (each) => each.name !== name || each.vip !== vip || each.eipAllocationID !== eipAllocationID,
    ),
  );
  return added.length > 0 && recorded.length + added.length > MOST_RECORDED;
};

type Tags = Readonly<Record<string, string>>;

/** What AWS has not tagged for hapair, as far as it was read. */
const untagged = ({ pair, settings: { requireTag }, ec2: { view } }: PlanInput): string[] => {
  if (!requireTag || !view) return [];
  const { nodes, addresses } = pair.spec;
  const tags: [string, Tags | undefined][] = [
    ...nodes.map(({ networkInterfaceID: id }): [string, Tags | undefined] => [
      id,
      view.networkInterfaces[id]?.tags,
    ]),
    ...itemsOf(addresses).map((item): [string, Tags | undefined] => [
      item.id,
      item.movable.tagsOf?.(view, item),
    ]),
  ];
  return tags.flatMap(([id, each]) => (each && lacksTag(each, requireTag) ? [id] : []));
};

/** Why an untagged id keeps everything where it is, for its reader. */
export const untaggedMessage = (id: string, { key, value }: { key: string; value: string }): string =>
  `${id} keeps the addresses: the operator may touch only what AWS has tagged ${key}=${value}. Tag it, or set spec.deletionPolicy to Retain.`;

/** Whether the stored spec is accepted. Nothing is refused in silence: the message names every field that stands in the way. */
export const acceptanceOf = (input: PlanInput): Acceptance => {
  const goesOn = isRunning(input.pair, input.instances) ? ' The last accepted spec goes on.' : '';
  if (input.problems.length > 0) {
    return { accepted: false, reason: 'Invalid', message: `${input.problems.join('; ')}.${goesOn}` };
  }
  if (isCrowded(input.pair)) {
    const message = `status.addresses has no room for more than ${MOST_RECORDED} entries, and what earlier edits named has neither arrived nor gone: go back to the spec.addresses before, and edit them again once they have arrived.${goesOn}`;
    return { accepted: false, reason: 'Invalid', message };
  }
  if (input.rival !== undefined) {
    const message = `${input.rival} Nothing is written for this pair.`;
    return { accepted: false, reason: 'AddressConflict', message };
  }
  const bare = untagged(input);
  if (bare.length > 0) {
    const { key = '', value = '' } = input.settings.requireTag ?? {};
    const message = `The operator may touch only what AWS has tagged ${key}=${value}: tag ${bare.join(', ')}. Nothing is written for this pair.`;
    return { accepted: false, reason: 'NotPermitted', message };
  }
  // A restart alone does not permit what was refused: until EC2 was read, the last verdict on this very spec stands.
  const before = conditionOf(input.pair.status, 'Accepted');
  const isUnread = input.settings.requireTag !== undefined && input.ec2.view === undefined;
  if (
    isUnread &&
    before?.status === 'False' &&
    before.reason === 'NotPermitted' &&
    input.pair.status?.observedGeneration === input.pair.metadata.generation
  ) {
    return { accepted: false, reason: 'NotPermitted', message: before.message };
  }
  return { accepted: true, reason: 'Accepted', message: 'The spec is in force.' };
};
