/** What the health checks of a node are made of, and what is known of them. */
import type { HealthCheck } from '../../crds/types.ts';
import type { Key } from '../../kube/types.ts';
import type { Outcome } from '../rules/verdict.ts';

/** Whose check it is, and where its node is on the network. */
export type CheckPlace = {
  /** `namespace/pairName`. */
  pair: Key;
  /** The node's own address, which a check asks unless it names a host. */
  sourceAddress: string;
};

/**
 * Makes one run of a check. It resolves with what the run found, failures of every kind included; after `signal` has aborted
 * nobody listens any more, and it ends whatever it began.
 */
export type CheckRunner = (check: HealthCheck, place: CheckPlace, signal: AbortSignal) => Promise<Outcome>;

/** One check, for metrics. */
export type CheckSnapshot = {
  /** `namespace/pairName`. */
  pair: Key;
  name: string;
  /** Null: no verdict yet. */
  healthy: boolean | null;
  /** Runs so far by result; cumulative as long as the pair has a check of that name. */
  runs: Record<Outcome['result'], number>;
  /** How long the last run took; null: none has ended yet. */
  lastDurationMs: number | null;
};
