/**
 * Taking addresses off the ENIs on which the pair may have put them (deletionPolicy Unassign): only what is recorded, only
 * from recorded ENIs, never what another HAPair names. Done means: two readings agree that nothing is left.
 */
import type { AddressStatus, PairNode } from '../../crds/types.ts';
import type { EC2Call, EC2View } from '../../ec2/types.ts';
import { AGREEMENT_MS, CLOCK_STEP_MS } from './converge.ts';
import type { PairMemory, PlannedCall, Settings } from './types.ts';

export type ReleaseInput = {
  nowMs: number;
  view: EC2View | undefined;
  memory: PairMemory;
  /** What is to go, with the ENIs it may be on. */
  addresses: readonly AddressStatus[];
  /** VIPs and allocations that stay, whatever `addresses` says. */
  keep: readonly string[];
  /** Names for people; an ENI of none of them goes by its id. */
  nodes: readonly PairNode[];
  /** The highest term acted upon, for the log. */
  term: number;
  /** What AWS has not tagged for hapair stays untouched. */
  requireTag: Settings['requireTag'];
};

export type Release = {
  memory: PairMemory;
  call?: PlannedCall;
  readSinceMs?: number;
  wakeAtMs?: number;
  /** Two readings agree that nothing is left. */
  done: boolean;
  /** What stands in the way, and no call is made: an id that lacks the tag. */
  untagged?: string;
};

type Left = Pick<PlannedCall, 'call' | 'items'>;

/** What is still there by this reading: VIPs first, because their EIPs' associations go with them. */
const leftOf = (view: EC2View, { addresses, keep }: ReleaseInput): Left[] => {
  const isOurs = (key: string | undefined): key is string => key !== undefined && !keep.includes(key);
  const ids = [...new Set(addresses.flatMap(({ networkInterfaceIDs }) => networkInterfaceIDs))];
  const vips = ids.flatMap((networkInterfaceID): Left[] => {
    const here = (view.networkInterfaces[networkInterfaceID]?.privateIPAddresses ?? []).filter(
      ({ primary, privateIPAddress }) =>
        !primary &&
        addresses.some(
          ({ vip, networkInterfaceIDs }) =>
            vip === privateIPAddress && isOurs(vip) && networkInterfaceIDs.includes(networkInterfaceID),
        ),
    );
    const privateIPAddresses = here.map(({ privateIPAddress }) => privateIPAddress);
    return here.length === 0
      ? []
      : [
          {
            call: { action: 'UnassignPrivateIpAddresses', networkInterfaceID, privateIPAddresses },
            items: privateIPAddresses,
          },
        ];
  });
  const eips = addresses.flatMap(({ eipAllocationID: allocationID, networkInterfaceIDs }): Left[] => {
    const { associationID, networkInterfaceID } = view.elasticIPs[allocationID ?? ''] ?? {};
    const isThere = networkInterfaceID !== undefined && networkInterfaceIDs.includes(networkInterfaceID);
    if (!isOurs(allocationID) || associationID === undefined || !isThere) return [];
    const call = { action: 'DisassociateAddress', allocationID, associationID, networkInterfaceID } as const;
    return [{ call, items: [allocationID] }];
  });
  return [...vips, ...eips];
};

/** What the call would touch without leave. */
const untaggedIn = (view: EC2View, call: EC2Call, requireTag: Settings['requireTag']): string | undefined => {
  if (!requireTag) return undefined;
  const isBare = (tags: Record<string, string> | undefined): boolean =>
    tags?.[requireTag.key] !== requireTag.value;
  if (isBare(view.networkInterfaces[call.networkInterfaceID]?.tags)) return call.networkInterfaceID;
  const allocationID = 'allocationID' in call ? call.allocationID : undefined;
  return allocationID !== undefined && isBare(view.elasticIPs[allocationID]?.tags) ? allocationID : undefined;
};

/** Why an untagged id keeps everything where it is, for its reader. */
export const untaggedMessage = (id: string, { key, value }: { key: string; value: string }): string =>
  `${id} keeps the addresses: the operator may touch only what AWS has tagged ${key}=${value}. Tag it, or set spec.deletionPolicy to Retain.`;

/** An id that was not read says nothing. */
const isComplete = (view: EC2View, { addresses }: ReleaseInput): boolean =>
  addresses.every(
    ({ eipAllocationID, networkInterfaceIDs }) =>
      networkInterfaceIDs.every((id) => view.networkInterfaces[id] !== undefined) &&
      (eipAllocationID === undefined || view.elasticIPs[eipAllocationID] !== undefined),
  );

/** The next step; nothing is begun while a call is unanswered, and each call rests on a reading made after the last answer. */
export const release = (input: ReleaseInput): Release => {
  const { memory, view, nowMs } = input;
  if (input.addresses.length === 0) return { memory, done: true };
  const { released: _unproven, ...rest } = memory;
  const lastAnswerMs = Math.max(memory.answeredAtMs, memory.releaseAnsweredAtMs ?? Number.NEGATIVE_INFINITY);
  const sinceMs = Math.max(lastAnswerMs + CLOCK_STEP_MS, memory.releaseSinceMs ?? nowMs);
  const begun: PairMemory = { ...rest, releaseSinceMs: memory.releaseSinceMs ?? nowMs };
  if (memory.call) return { memory: begun, done: false };
  if (!view || view.readAtMs < sinceMs || !isComplete(view, input)) {
    return { memory: begun, done: false, readSinceMs: sinceMs };
  }
  const [next] = leftOf(view, input);
  const untagged = next && untaggedIn(view, next.call, input.requireTag);
  if (untagged !== undefined) return { memory: begun, done: false, untagged };
  if (next) {
    const retryAtMs = memory.releaseFailure?.retryAtMs ?? Number.NEGATIVE_INFINITY;
    if (retryAtMs > nowMs) return { memory: begun, done: false, wakeAtMs: retryAtMs };
    const { networkInterfaceID } = next.call;
    const node = input.nodes.find((each) => each.networkInterfaceID === networkInterfaceID);
    const name = node?.name ?? networkInterfaceID;
    return {
      memory: begun,
      done: false,
      call: { ...next, node: name, term: input.term, purpose: 'Release' },
    };
  }
  const { releaseFailure: _healed, ...well } = begun;
  const firstAtMs = memory.released?.seenAtMs ?? nowMs;
  const proven: PairMemory = { ...well, released: { seenAtMs: firstAtMs } };
  if (view.readAtMs >= firstAtMs + AGREEMENT_MS) return { memory: proven, done: true };
  return { memory: proven, done: false, readSinceMs: firstAtMs + AGREEMENT_MS };
};
