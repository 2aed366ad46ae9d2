/** Who is master: the Master report with the highest term (DESIGN.md, "Who is master"; its wording is checked by a model). */

import type { PairNode, VRRPInstance, VRRPInstanceStatus } from '../../crds/types.ts';
import { plainText } from '../../runtime/plain-text.ts';
import { parseTimeMs } from '../../runtime/time.ts';

/** What one agent says of itself. */
export type Report = {
  node: string;
  /** Unix milliseconds; NaN when the agent wrote no time. */
  sinceWallMs: number;
} & VRRPInstanceStatus;

/** Of an agent's message, what may be quoted: the node's owner writes it, and it goes into the pair's status. */
const QUOTED = 512;
/** Conditions of one report that are looked at. */
const MOST_CONDITIONS = 16;

/** What an agent reports, its texts fit to be quoted. */
const quotable = ({ conditions, agentVersion, ...status }: VRRPInstanceStatus): VRRPInstanceStatus => ({
  ...status,
  ...(agentVersion !== undefined && { agentVersion: plainText(agentVersion, 64) }),
  ...(conditions && {
    conditions: conditions
      .slice(0, MOST_CONDITIONS)
      .map((condition) => ({ ...condition, message: plainText(condition.message, QUOTED) })),
  }),
});

/** The reports of the pair's nodes, in the order of `nodes`; a node without a report is left out. */
export const reportsOf = (
  nodes: readonly PairNode[],
  instances: readonly VRRPInstance[],
): readonly Report[] =>
  nodes.flatMap(({ name }) => {
    const status = instances.find((instance) => instance.spec.nodeName === name)?.status;
    if (status === undefined) return [];
    return [{ ...quotable(status), node: name, sinceWallMs: parseTimeMs(status.since) }];
  });

/** Reports of Master, whatever their term. */
export const mastersOf = (reports: readonly Report[]): readonly Report[] =>
  reports.filter((report) => report.state === 'Master' && report.term >= 1);

/** What the choice among equal terms rests on. */
type TieRule = {
  /** `status.master`. */
  lastMaster?: string | undefined;
  /** The node where EC2 has the first VIP. */
  firstHolder?: string | undefined;
};

/**
 * The elected master; absent: nobody with the right to be (no Master report, or none that reaches the highest term ever
 * read), and then nothing is moved.
 * @param floor the highest term acted upon or read
 */
export const elect = (reports: readonly Report[], floor: number, tie: TieRule): Report | undefined => {
  const masters = mastersOf(reports);
  const term = Math.max(floor, ...masters.map((report) => report.term));
  const equals = masters.filter((report) => report.term === term);
  return (
    equals.find(({ node }) => node === tie.lastMaster) ??
    equals.find(({ node }) => node === tie.firstHolder) ??
    equals[0]
  );
};
