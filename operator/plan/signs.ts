/** What the last signs of life and the last report of a node allow to conclude. */
import type { Report } from './elect.ts';
import type { Life } from './types.ts';

/** A sign of life younger than this is fresh: four renewals of an agent's Lease. */
export const FRESH_MS = 40_000;

/** True if the agent was seen alive within the last 40 s. A sign that was never seen is no sign. */
export const isFresh = (life: Life | undefined, nowMs: number): boolean =>
  life?.lastMs !== undefined && nowMs < life.lastMs + FRESH_MS;

/** Just restarted, no sign of life can have been seen yet: what was stored stays until it could have been. */
export const isUnobserved = (
  { life, nowMs, firstSeenMs }: { life: Readonly<Record<string, Life>>; nowMs: number; firstSeenMs: number },
  node: string,
): boolean => life[node]?.lastMs === undefined && nowMs - firstSeenMs < FRESH_MS;

/** What speaks against the node as a master, by its own report; a check without a verdict does too. */
const objectionsOf = ({ conditions = [] }: Pick<Report, 'conditions'>) =>
  conditions.filter(
    ({ type, status }) =>
      (type === 'Ready' && status === 'False') || (type === 'Healthy' && status !== 'True'),
  );

/** True if the node could take over this second, as far as its own report says. */
export const isHealthyBackup = (report: Pick<Report, 'state' | 'conditions'> | undefined): boolean =>
  report?.state === 'Backup' && objectionsOf(report).length === 0;

/** What the node's own report says is wrong with it, in its words; empty: nothing. */
export const troubleOf = (report: Report): string =>
  objectionsOf(report)
    .map(({ message }) => message)
    .join(' ');
