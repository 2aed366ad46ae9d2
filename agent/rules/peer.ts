/**
 * What the peer sends wrongly, from the packets of its address that were rejected. Two agents that reject each other are both
 * Master, and each is right by what it hears: so it is told which parameter parts them, by a Master too.
 */
import { REJECT_CAUSES, type RejectCause } from '../vrrp/types.ts';
import type { Problem } from './problem.ts';

/** Packets of one address that were rejected, by cause, without a pause that ends the matter; null: none. */
export type Rejects = {
  peerAddress: string;
  /** `lastAtMs`: monotonic. */
  causes: ReadonlyMap<RejectCause, { count: number; lastAtMs: number }>;
} | null;

/**
 * One or two may be adverts that left under parameters accepted no more, or a machine's first after a change; after three a
 * Backup would take its Master for gone.
 */
const TELLING_COUNT = 3;
/** Beyond three intervals: as long as a person would wait to see whether it is over. */
const PATIENCE_MS = 10_000;

/** The wrong itself, after "The peer 10.10.10.12 sends"; causes that say nothing of the peer are not here. */
const WRONGS: Partial<Record<RejectCause, string>> = {
  TTLTooLow: 'adverts that came through routers (TTL too low): both nodes must be in neighbouring subnets',
  MessageTooShort: 'VRRP messages that are too short',
  VersionMismatch: 'another VRRP version (spec.vrrp.version)',
  TypeUnknown: 'VRRP messages that are no adverts',
  VirtualRouterIDMismatch:
    'another virtual router ID (spec.vrrp.virtualRouterID); nothing is wrong if that is of another virtual router of the two nodes, which this agent does not serve',
  AddressCountInvalid: 'adverts with a wrong number of addresses',
  LengthMismatch: 'adverts whose length does not fit what they hold',
  ChecksumInvalid:
    'adverts with a wrong checksum: another form (spec.vrrp.checksum), or something alters them on their way',
  AuthenticationTypeMismatch:
    'another type of authentication: one node expects a password, and the other sends none (spec.vrrp.authentication)',
  PasswordMismatch:
    'another password: the nodes have read different versions of the Secret; name another key of it in spec.vrrp.authentication.secretRef, which both then read',
  IntervalMismatch: 'another advertisement interval (spec.vrrp.advertisementIntervalMilliseconds)',
  IntervalInvalid: 'adverts with an interval of 0',
};

/**
 * Takes note of `count` packets that were rejected for `cause`, if `source` is the peer: nobody else may make this node say
 * anything of its peer.
 * @param intervalMs the longest advertisement interval that is accepted
 */
export const noteReject = (
  rejects: Rejects,
  packet: { cause: RejectCause; source: string; count: number },
  peerAddress: string,
  nowMs: number,
  intervalMs: number,
): Rejects => {
  const { cause, source, count } = packet;
  if (source !== peerAddress || WRONGS[cause] === undefined) return rejects;
  const causes = rejects?.peerAddress === peerAddress ? rejects.causes : new Map<RejectCause, never>();
  const before = causes.get(cause);
  const isGoingOn = before !== undefined && nowMs - before.lastAtMs <= holdMs(intervalMs);
  const sum = Math.min(TELLING_COUNT, (isGoingOn ? before.count : 0) + count);
  return { peerAddress, causes: new Map(causes).set(cause, { count: sum, lastAtMs: nowMs }) };
};

/** What is wrong with what the peer sends now; null: nothing, or nothing for a while. Parameters as in `noteReject`. */
export const peerFault = (
  rejects: Rejects,
  peerAddress: string,
  nowMs: number,
  intervalMs: number,
): Problem | null => {
  if (rejects?.peerAddress !== peerAddress) return null;
  const wrongs = REJECT_CAUSES.filter((cause) => {
    const seen = rejects.causes.get(cause);
    return seen !== undefined && seen.count >= TELLING_COUNT && nowMs - seen.lastAtMs <= holdMs(intervalMs);
  }).map((cause) => `${WRONGS[cause]} (${cause})`);
  if (wrongs.length === 0) return null;
  return {
    reason: 'PeerMisconfigured',
    message: `The peer ${peerAddress} sends ${wrongs.join('; and ')}. If both agents run this HAPair, look for something else on that node that speaks VRRP, such as keepalived.`,
  };
};

const holdMs = (intervalMs: number): number => PATIENCE_MS + 3 * intervalMs;
