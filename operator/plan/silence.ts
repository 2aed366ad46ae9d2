/** Since when a node shows no sign of life, in words that stay the same while it does not. */
import type { HAPairConditionType } from '../../crds/conditions.ts';
import { formatTime, parseTimeMs } from '../../runtime/time.ts';
import { FRESH_MS } from './signs.ts';
import type { Fact, Life } from './types.ts';

/** What it depends on. */
type SilenceInput = {
  nowMs: number;
  wallMs: number;
  life: Readonly<Record<string, Life>>;
  /** A condition as it is stored. */
  stored: (type: HAPairConditionType) => Fact | undefined;
};

/** The two clocks are read one after the other, so an instant may be told in either of two seconds. */
const SAME_MS = 2_000;

/** An instant as it was told before, if that means the same. @param instantMs Unix milliseconds */
export const instantText = (instantMs: number, told: string | undefined): string =>
  told !== undefined && Math.abs(parseTimeMs(told) - instantMs) <= SAME_MS ? told : formatTime(instantMs);

/**
 * `since <time>` of the last sign of life; absent: none was seen, and none is told. What the stored condition says of the
 * node is repeated, if it means the same instant or a process before this one saw it: a quiet pair is not written (S6).
 * @param type the condition that tells it
 */
export const silenceOf = (
  { nowMs, wallMs, life, stored }: SilenceInput,
  type: HAPairConditionType,
  node: string,
): string | undefined => {
  const told = new RegExp(`${node} since (\\d{4}-\\S+?Z)`).exec(stored(type)?.message ?? '')?.[1];
  const { lastMs } = life[node] ?? {};
  if (lastMs !== undefined) return `since ${instantText(wallMs - (nowMs - lastMs), told)}`;
  return told === undefined ? undefined : `since ${told}`;
};

/** The same for a node that has been silent for long. */
export const longSilenceOf = (input: SilenceInput, type: HAPairConditionType, node: string): string =>
  silenceOf(input, type, node) ?? `for ${FRESH_MS / 1000} s`;
