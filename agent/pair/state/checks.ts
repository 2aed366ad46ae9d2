/** Part of a pair's state: what is known of its health checks. Written here alone. */
import { isDeepStrictEqual } from 'node:util';
import type { VRRPInstanceSpec } from '../../../crds/types.ts';
import type { CheckFinding } from '../../rules/verdict.ts';
import type { Seen } from './seen.ts';

/** The checks that run, and where they are run from; null: none. */
export type Followed = Pick<VRRPInstanceSpec, 'healthChecks' | 'sourceAddress'> | null;

type Part = {
  /** What is known of the health checks, each of those that run. */
  checks: readonly CheckFinding[];
  followed: Followed;
  /** Verdicts of the program that this one has replaced; each stands until the check has one of its own. */
  inherited: readonly CheckFinding[];
};

export type ChecksState = Seen<Part>;

export const initialChecks = (inherited: readonly CheckFinding[] = []): ChecksState => ({
  checks: inherited,
  followed: null,
  inherited,
});

/** A check that has just begun has no verdict yet: its predecessor's stands. */
const withInherited = (findings: readonly CheckFinding[], { inherited }: Part): readonly CheckFinding[] =>
  findings.map((finding) =>
    finding.healthy === null ? (inherited.find(({ name }) => name === finding.name) ?? finding) : finding,
  );

export const seeFindings = (state: Part, findings: readonly CheckFinding[]): void => {
  state.checks = withInherited(findings, state);
};

/** @returns whether others than before are to run */
export const follow = (state: Part, wanted: Followed): boolean => {
  if (isDeepStrictEqual(wanted, state.followed)) return false;
  if (state.followed !== null) state.inherited = [];
  state.followed = wanted;
  return true;
};
