/**
 * Taking addresses off the ENIs on which the pair may have put them (deletionPolicy Unassign): only what is recorded, only
 * from recorded ENIs, never what another HAPair names. Done means: two readings agree that nothing is left.
 */
import type { AddressStatus, PairNode } from '../../crds/types.ts';
import type { EC2Call } from '../../ec2/actions.ts';
import { asksForRead } from '../../ec2/errors.ts';
import type { EC2View } from '../../ec2/types.ts';
import { failureAfter } from './calls.ts';
import { AGREEMENT_MS } from './converge.ts';
import { CLOCK_STEP_MS } from './delivery.ts';
import type { Answer, PlannedCall, ReleaseMemory, Settings } from './types.ts';

/** Nothing is being released. */
export const NO_RELEASE: ReleaseMemory = {
  sinceMs: undefined,
  failure: undefined,
  answeredAtMs: undefined,
  goneSinceMs: undefined,
  deletingSinceMs: undefined,
};

/** What a release depends on. */
export type ReleaseInput = {
  nowMs: number;
  view: EC2View | undefined;
  memory: ReleaseMemory;
  /** When the last answered call that may have moved something was answered. */
  answeredAtMs: number;
  /** A call of any kind is unanswered. */
  isCalling: boolean;
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

/** The next step of a release. */
export type Release = {
  memory: ReleaseMemory;
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
  const startedAtMs = memory.sinceMs ?? nowMs;
  const lastAnswerMs = Math.max(input.answeredAtMs, memory.answeredAtMs ?? Number.NEGATIVE_INFINITY);
  const sinceMs = Math.max(lastAnswerMs + CLOCK_STEP_MS, startedAtMs);
  const begun: ReleaseMemory = { ...memory, sinceMs: startedAtMs, goneSinceMs: undefined };
  if (input.isCalling) return { memory: begun, done: false };
  if (!view || view.readAtMs < sinceMs || !isComplete(view, input)) {
    return { memory: begun, done: false, readSinceMs: sinceMs };
  }
  const [next] = leftOf(view, input);
  const untagged = next && untaggedIn(view, next.call, input.requireTag);
  if (untagged !== undefined) return { memory: begun, done: false, untagged };
  if (next) {
    const retryAtMs = memory.failure?.retryAtMs ?? Number.NEGATIVE_INFINITY;
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
  const goneSinceMs = memory.goneSinceMs ?? nowMs;
  const proven: ReleaseMemory = { ...begun, failure: undefined, goneSinceMs };
  if (view.readAtMs >= goneSinceMs + AGREEMENT_MS) return { memory: proven, done: true };
  return { memory: proven, done: false, readSinceMs: goneSinceMs + AGREEMENT_MS };
};

/** Remembers the answer to a call that releases. */
export const withReleaseAnswered = (
  memory: ReleaseMemory,
  call: PlannedCall,
  { result, atMs, random }: Answer,
): ReleaseMemory => ({
  ...memory,
  answeredAtMs: asksForRead(result) ? atMs : memory.answeredAtMs,
  failure: result.ok ? undefined : failureAfter(memory.failure, call, { result, atMs, random }),
});

/** Remembers when the deletion was first seen. */
export const withDeletion = (memory: ReleaseMemory, nowMs: number): ReleaseMemory => ({
  ...memory,
  deletingSinceMs: memory.deletingSinceMs ?? nowMs,
});

/**
 * What is remembered beside a pair that goes on: of a finished or needless release nothing.
 * @param freeing the release that this plan has looked at, if any
 * @param isLeft something of what was dropped is still recorded
 */
export const afterRelease = (
  memory: ReleaseMemory,
  freeing: Release | undefined,
  isLeft: boolean,
): ReleaseMemory => {
  if (freeing && !freeing.done) {
    const { sinceMs, goneSinceMs } = freeing.memory;
    return { ...memory, sinceMs, goneSinceMs };
  }
  // Between a failed call and the reading after it nothing is being released, and its next attempt still has its time.
  const failure = isLeft ? memory.failure : undefined;
  return { ...memory, sinceMs: undefined, goneSinceMs: undefined, failure };
};
