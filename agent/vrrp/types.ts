/** What the VRRP heart is told and what it says. Times are milliseconds of a monotonic clock, with a fraction. */
import type { Reason } from '../../crds/conditions.ts';
import type { Checksum, VRRPInstanceSpec, VRRPState, VRRPVersion } from '../../crds/types.ts';

/** What of an advert both ends must agree on; while it changes, two such sets are accepted at once. */
export type AcceptedParameters = {
  /** v2: the only interval accepted. v3 learns it from the Master instead. */
  advertisementIntervalMs: number;
  /** v3 only. */
  checksum: Checksum;
  /** v2 only. */
  password?: Uint8Array;
};

/** The parameters of one virtual router, RFC 9568 section 6.1. */
export type VirtualRouterConfig = {
  version: VRRPVersion;
  /** 1-255. */
  virtualRouterID: number;
  /** 1-255; 255 is the owner of the addresses, which the product never configures. */
  priority: number;
  /** Advertisement_Interval. v2: a multiple of 1000 up to 255000; v3: a multiple of 10 up to 40950. */
  advertisementIntervalMs: number;
  /** v3 only. */
  checksum: Checksum;
  /** v2 only: the simple password of RFC 2338, of which 8 bytes count; absent: authentication type 0. */
  password?: Uint8Array;
  /** An advert that passes under any of these is accepted. Default: what is sent, and nothing else. */
  accept?: readonly AcceptedParameters[];
  /**
   * Whether this node is pinned (DESIGN.md, "pinnedNode"). `Always`: failed checks are no Fault, and a Master that it would
   * beat is replaced. `Never`: nothing is claimed. Default Normal.
   */
  claim?: VRRPInstanceSpec['claim'];
  /** Our own address: source of what is sent, destination of what is accepted. */
  sourceAddress: string;
  /** The only address from which adverts are accepted. */
  peerAddress: string;
  /** Written into adverts in this order. Empty: adverts carry `sourceAddress`, as the RFC wants at least one. */
  vips: string[];
  /** Preempt_Mode. Default false: a Backup never replaces a live Master. */
  preemptMode?: boolean;
  /** Lowest IP TTL accepted. Default 254, see {@link DEFAULT_MINIMUM_TTL}. */
  minimumTTL?: number;
};

/**
 * RFC 9568 section 5.1.1.3 wants 255. One hop less is let in: whether the router of a VPC lowers the TTL between subnets
 * is not documented, and two nodes that reject each other would both be Master. What comes from further away stays out.
 */
export const DEFAULT_MINIMUM_TTL = 254;

/** The Master that a virtual router goes on for. */
export type Predecessor = {
  /** When it sent its last advert. */
  lastAdvertAt: number;
  /** What it was told last, as with `setFault`. */
  fault: Reason | null;
};

/** Why a datagram was rejected; in the order of the receive checks. */
export const REJECT_CAUSES = [
  'IPHeaderInvalid',
  'ProtocolMismatch',
  'IPLengthMismatch',
  'DestinationNotOurs',
  'SourceNotPeer',
  'TTLTooLow',
  'MessageTooShort',
  'VersionMismatch',
  'TypeUnknown',
  'VirtualRouterIDMismatch',
  'AddressCountInvalid',
  'LengthMismatch',
  'ChecksumInvalid',
  'AuthenticationTypeMismatch',
  'PasswordMismatch',
  'IntervalMismatch',
  'IntervalInvalid',
  'LocalRouterIsOwner',
] as const;
export type RejectCause = (typeof REJECT_CAUSES)[number];

/** What the virtual router wants done, in this order. */
export type Output =
  /** A VRRP message for the peer. */
  | { type: 'send'; message: Uint8Array }
  | { type: 'state'; state: VRRPState; reason: Reason }
  /** Still Master after {@link SETTLE_MS} of listening: the claim is worth a report. */
  | { type: 'settled' }
  /** The process or machine slept past a deadline: a Master steps down (its `state` follows), a Backup listens again. */
  | { type: 'overslept' }
  /** `heard`: the first advert of the peer after silence; otherwise: none for a master-down interval of listening. */
  | { type: 'peer'; heard: boolean; priority: number }
  /** `source` is `unknown` when there is no IP header. */
  | { type: 'rejected'; cause: RejectCause; source: string }
  /** A claim by hand is not carried out. */
  | { type: 'refused'; refusal: ClaimRefusal };

/** Why a claim by hand is refused. */
export type ClaimRefusal = 'NotStarted' | 'InFault' | 'ClaimNever' | 'MasterHeard';

/** How long a new Master listens for an objection: an advert to a live Master is answered within a round trip. */
export const SETTLE_MS = 10;
