/**
 * failback.policy Automatic: the preferred node takes over by itself once it has been a healthy Backup with fresh signs of
 * life for `delaySeconds`, and after each such failback only after twice the time, so that a node that fails again and again
 * soon moves nothing any more.
 */
import type { HAPair } from '../../crds/types.ts';
import { parseTimeMs } from '../../runtime/time.ts';
import { FIRST_HOLD_MS } from './damping.ts';
import type { Report } from './elect.ts';
import { isFresh, isHealthyBackup } from './signs.ts';
import type { FailbackMemory, Life } from './types.ts';

/** The preferred node is not fit to take over. */
export const NO_FAILBACK: FailbackMemory = { healthy: undefined };

/** An automatic failback counts for so long. */
const MEMORY_MS = 6 * 3_600_000;
/** No delay is longer, but for a longer `delaySeconds`. */
const LONGEST_DELAY_MS = 3_600_000;
/** How often a waiting failback looks again. */
const LOOK_MS = 5_000;

/** What an automatic failback depends on. */
export type AutomaticInput = {
  nowMs: number;
  wallMs: number;
  pair: HAPair;
  reports: readonly Report[];
  elected: Report | undefined;
  life: Readonly<Record<string, Life>>;
  memory: FailbackMemory;
};

/** What the policy asks for. */
export type Automatic =
  | { kind: 'None' }
  | { kind: 'Wait'; reason: 'WaitingForTarget' | 'WaitingForDelay'; wakeAtMs: number }
  | { kind: 'Order'; master: string; term: number; seconds: number };

/** Remembers since when the preferred node has been fit to take over; forgotten at the first sight of anything else. */
export const withHealth = (input: AutomaticInput): FailbackMemory => {
  const { pair, reports, life, nowMs, memory } = input;
  const node = pair.spec.preferredNode;
  if (node === undefined || pair.spec.failback.policy !== 'Automatic') return NO_FAILBACK;
  const isFit = isHealthyBackup(reports.find((report) => report.node === node)) && isFresh(life[node], nowMs);
  if (!isFit) return NO_FAILBACK;
  return memory.healthy?.node === node ? memory : { healthy: { node, sinceMs: nowMs, failed: 0 } };
};

const switchTimes = ({ status }: HAPair, only?: string): number[] =>
  (status?.history ?? []).flatMap(({ time, reason }) =>
    only === undefined || reason === only ? [parseTimeMs(time)] : [],
  );

/** The time that the preferred node must have been healthy for, this time. */
const delayMs = ({ pair, wallMs, memory }: AutomaticInput): number => {
  const wantedMs = pair.spec.failback.delaySeconds * 1_000;
  const recent = switchTimes(pair, 'AutomaticFailback').filter((timeMs) => wallMs - timeMs < MEMORY_MS);
  return Math.max(
    wantedMs,
    Math.min(LONGEST_DELAY_MS, wantedMs * 2 ** (recent.length + (memory.healthy?.failed ?? 0))),
  );
};

/**
 * Remembers an order that did not bring the preferred node to power: it did not switch, so the history does not tell of it, and
 * at once again it would take the master away for a moment again and again.
 */
export const withFailedOrder = ({ healthy }: FailbackMemory, nowMs: number): FailbackMemory => ({
  healthy: healthy && { ...healthy, sinceMs: nowMs, failed: Math.min(10, healthy.failed + 1) },
});

/** What the policy asks for now. */
export const automatic = (input: AutomaticInput): Automatic => {
  const { pair, elected, nowMs, wallMs } = input;
  const { healthy } = input.memory;
  const { preferredNode, failback } = pair.spec;
  if (failback.policy !== 'Automatic' || preferredNode === undefined) return { kind: 'None' };
  if (elected === undefined || elected.node === preferredNode) return { kind: 'None' };
  if (healthy === undefined) return { kind: 'Wait', reason: 'WaitingForTarget', wakeAtMs: nowMs + LOOK_MS };
  // A switch that is not recorded yet is not in the history yet.
  if (elected.node !== pair.status?.master) {
    return { kind: 'Wait', reason: 'WaitingForDelay', wakeAtMs: nowMs + LOOK_MS };
  }
  const neededMs = delayMs(input);
  // EC2 takes long to move an address back to where it came from within the last minute.
  const quickMs = Math.max(...switchTimes(pair), Number.NEGATIVE_INFINITY) + FIRST_HOLD_MS - wallMs;
  const leftMs = Math.max(healthy.sinceMs + neededMs - nowMs, quickMs);
  if (leftMs > 0) return { kind: 'Wait', reason: 'WaitingForDelay', wakeAtMs: nowMs + leftMs };
  return { kind: 'Order', master: elected.node, term: elected.term, seconds: Math.round(neededMs / 1_000) };
};
