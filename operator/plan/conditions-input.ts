/** What the conditions are made from. */
import type { HAPairConditionType } from '../../crds/conditions.ts';
import type { FailbackStatus, HAPair, PairAddress, PairNode } from '../../crds/types.ts';
import type { Report } from './elect.ts';
import type { Acceptance } from './support.ts';
import type { Authority, CallsMemory, EC2Reading, Fact, Life } from './types.ts';

/** What the conditions depend on. */
export type ConditionsInput = {
  nowMs: number;
  wallMs: number;
  firstSeenMs: number;
  pair: HAPair;
  acceptance: Acceptance;
  /** The two nodes in force. */
  nodes: readonly PairNode[];
  addresses: readonly PairAddress[];
  reports: readonly Report[];
  elected: Report | undefined;
  /** The pin in force. */
  pin: string | undefined;
  authority: Authority | undefined;
  life: Readonly<Record<string, Life>>;
  convergence: Fact;
  /** This process has read EC2 and it matched; otherwise `convergence` may be what was stored before a restart. */
  isConfirmed: boolean;
  /** A call withheld by `spec.paused`, in words. */
  withheld: string | undefined;
  ec2: EC2Reading;
  calls: Pick<CallsMemory, 'verdicts'>;
  /** VIPs and allocations of the spec that the pair never had and somebody else has. */
  held: readonly string[];
  /** Somebody else owns fields of an instance, in words. */
  conflict: string | undefined;
  /** The wanted memory of orders. */
  failback: FailbackStatus | undefined;
  /** A condition as it is stored. */
  stored: (type: HAPairConditionType) => Fact | undefined;
};
