/** What the plan takes and gives: the operator's decision as data. Times ending in `Ms` are monotonic unless named wall. */
import type { Reason } from '../../crds/conditions.ts';
import type {
  Condition,
  HAPair,
  HAPairStatus,
  PairAddress,
  PairNode,
  VRRPInstance,
} from '../../crds/types.ts';
import type { DeliveryMemory, PlannedCall, ReleaseMemory } from '../../delivery/types.ts';
import type { EC2Action } from '../../ec2/actions.ts';
import type { CallPurpose, EC2ErrorClass, EC2Facts, EC2View } from '../../ec2/types.ts';

/** A condition's content, before times and generations. */
export type Fact = { status: Condition['status']; reason: Reason; message: string };

/** What the operator was started with. */
export type Settings = {
  /** A HAPair without `spec.region` lies here. */
  region: string;
  /** `<node>` stands for the node's name. */
  agentUsernameTemplate: string;
  /** ENIs and EIPs without this tag are not touched; absent: no tag is asked for. */
  requireTag?: { key: string; value: string };
};

/** The last two signs of life of one agent: changes of its Lease or report that this process saw happen. */
export type Life = { lastMs?: number; previousMs?: number };

/** The newest reading of EC2, and why the newest attempt failed, if it did. */
export type EC2Reading = {
  view?: EC2View;
  failure?: { class: EC2ErrorClass; message: string; atMs: number };
  /** What the preflight rests on; absent: not read yet. */
  facts?: EC2Facts;
};

/** Everything a decision about one pair depends on. */
export type PlanInput = {
  nowMs: number;
  /** Unix milliseconds. */
  wallMs: number;
  /** Not older than any write of this process. */
  pair: HAPair;
  /** The stored instances of this pair; those of unknown nodes are removed before the first election. */
  instances: readonly VRRPInstance[];
  /** By node name. */
  life: Readonly<Record<string, Life>>;
  ec2: EC2Reading;
  /**
   * Calls rest on readings begun at this time or later: before it another process led, and its calls may be missing in what this
   * one read as a standby. Default: on any.
   */
  ledSinceMs?: number;
  memory: PairMemory;
  settings: Settings;
  /** Rules of the API that the stored spec breaks: one line each. */
  problems: readonly string[];
  /** Another HAPair that owns one of our addresses or VRIDs, in words fit for this pair's reader. */
  rival?: string;
  /** VIPs and allocation IDs that another HAPair names: never released by this one, and not brought back once dropped. */
  claimedElsewhere: readonly string[];
};

/** One side of the pair, and the addresses, as far as the last accepted spec says. */
export type Wish = {
  /** Two; fewer only if the spec in force must be read back from instances that are gone. */
  nodes: readonly PairNode[];
  addresses: readonly PairAddress[];
};

/** Nothing is wished for: what is recorded alone counts. */
export const NO_WISH: Wish = { nodes: [], addresses: [] };

/** The report on which EC2 writes rest (S1), as this process first read it. */
export type Authority = {
  node: string;
  term: number;
  /** When this node was first read as the elected master; no effect of an earlier reading counts as read since. */
  readAtMs: number;
  readWallMs: number;
  /** When this term of it was first read. */
  termReadAtMs: number;
};

/** Written by authority.ts. */
export type AuthorityMemory = {
  /** The highest term of any Master report read; nothing is done on a lower one. */
  highestTerm: number;
  /** Where the addresses go. */
  head: Authority | undefined;
  /**
   * When the pin in force was first seen: its node gets a moment to put the VIPs up. `isRepeated`: another one was first seen within
   * the minute before.
   */
  pin: { node: string; sinceMs: number; isRepeated: boolean } | undefined;
  /** When the last pin was first seen, in force or not. */
  pinnedAtMs: number;
};

/** What the calls of this process have shown of its permissions. */
export type Verdicts = Readonly<Partial<Record<EC2Action, 'Refused' | 'Permitted'>>>;

/** Written by calls.ts. */
export type CallsMemory = {
  /** The unanswered call: at most one (S5). */
  unanswered: (PlannedCall & { startedAtMs: number }) | undefined;
  /** A wanted call waits for its turn in the call budget since then. */
  deferredSinceMs: number | undefined;
  /** Events of calls that ended since the last plan. */
  events: readonly PlanEvent[];
  /** What they have shown of the role's permissions. */
  verdicts: Verdicts;
};

/** Written by deletion.ts. */
export type DeletionMemory = {
  /** This process has first told the agents to stop then. */
  sinceMs: number | undefined;
};

/** A question to a superseded Master that still holds the addresses: does it live? */
export type Probe = {
  node: string;
  /** Written into its `spec.probe`. */
  value: number;
  askedAtMs: number;
  /** When a Master report that echoes it was read. */
  provenAtMs: number | undefined;
  /** No such report came in time: it is not waited for any more. */
  isSilent: boolean;
};

/** Written by damping.ts. */
export type DampingMemory = { probe: Probe | undefined };

/** Written by failback.ts. */
export type FailbackMemory = {
  /**
   * The preferred node has been a healthy Backup with fresh signs of life since then, or since the last order that did not
   * bring it to power; `failed`: such orders so far.
   */
  healthy: { node: string; sinceMs: number; failed: number } | undefined;
};

/** Written by reading.ts. */
export type ReadingMemory = {
  /** What a reading must answer: what the agents say arrives, and what no reading has covered; a change asks for a read. */
  question: { text: string; sinceMs: number } | undefined;
};

/** What is left to be done at once, as of `atMs`. */
export type Allowance = { saved: number; atMs: number };

/** Written by pace.ts. */
export type PaceMemory = {
  /** Readings that reports ask for. */
  readings: Allowance;
  /** Statuses that no later step rests on. */
  statuses: Allowance;
};

/** Written by foreign.ts. */
export type ForeignMemory = {
  /** What the operator's own readers were told last of ENIs that others have; empty: nothing. */
  told: string;
};

/** Written by instances.ts. */
export type InstancesMemory = {
  /** Somebody else owns fields that the operator last tried to write, in words. */
  conflict: string | undefined;
};

/**
 * What one process remembers of one pair. Losing it loses time, never safety: everything that safety needs is stored in
 * Kubernetes and EC2. Each part is written by the file of its name alone.
 */
export type PairMemory = {
  firstSeenMs: number;
  authority: AuthorityMemory;
  calls: CallsMemory;
  delivery: DeliveryMemory;
  release: ReleaseMemory;
  deletion: DeletionMemory;
  damping: DampingMemory;
  failback: FailbackMemory;
  reading: ReadingMemory;
  pace: PaceMemory;
  instances: InstancesMemory;
  foreign: ForeignMemory;
};

export type PlanEvent = { type: 'Normal' | 'Warning'; reason: Reason; message: string };

/** The ids that readings for one pair cover. */
export type EC2Scope = {
  region: string;
  networkInterfaceIDs: readonly string[];
  allocationIDs: readonly string[];
  /** VIPs: of one that is on none of the ENIs it is asked who has it. */
  privateIPAddresses: readonly string[];
};

/** The next step. Everything in it may be done in any order or not at all; the next plan starts from what is stored. */
export type Plan = {
  memory: PairMemory;
  /** Instances whose stored spec differs from the wanted one. */
  instances: readonly VRRPInstance[];
  /** Names of instances of nodes that are no longer in the spec. */
  remove: readonly string[];
  /** At most one call, to be started at once. */
  call?: PlannedCall;
  /** Of the call: whose turn it is in the account's call budget. Default: by the call's own purpose. */
  turn?: CallPurpose;
  /** What of EC2 concerns this pair; every reading covers it. */
  scope: EC2Scope;
  /** EC2 should be read: a reading begun at this time or later is wanted. */
  readSinceMs?: number;
  /** The complete wanted status; absent: the stored one is right. */
  status?: HAPairStatus;
  events: readonly PlanEvent[];
  /** For the operator's own log and namespace: what no reader of the pair may learn. Default: nothing. */
  forOperator?: readonly PlanEvent[];
  finalizer?: 'add' | 'remove';
  /** Absent: nothing happens by time alone. */
  requeueAfterMs?: number;
  /** The same, if the call must wait for its turn in the call budget. */
  requeueWhenDeferredMs?: number;
  /** Why the plan is what it is, for the log. */
  reason: Reason;
};
