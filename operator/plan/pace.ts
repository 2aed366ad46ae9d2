/**
 * What others may make the operator do, however often they change what they write: a few times at once, and once a second in the
 * long run.
 */
import type { HAPairStatus } from '../../crds/types.ts';
import { isEqual } from '../../runtime/json.ts';
import type { Allowance, PaceMemory } from './types.ts';

/** Saved up by a quiet pair: more than any switch needs. */
const MOST = 10;
const EACH_MS = 1_000;

/** Nothing was done yet. */
export const NO_PACE: PaceMemory = {
  readings: { saved: MOST, atMs: 0 },
  statuses: { saved: MOST, atMs: 0 },
};

/** The allowance as it is at `nowMs`. */
const filled = ({ saved, atMs }: Allowance, nowMs: number): Allowance => ({
  saved: Math.min(MOST, saved + Math.max(0, nowMs - atMs) / EACH_MS),
  atMs: Math.max(atMs, nowMs),
});

/** When one more is allowed: now, or later. */
const allowedAtMs = (allowance: Allowance, nowMs: number): number => {
  const { saved, atMs } = filled(allowance, nowMs);
  return saved >= 1 ? atMs : atMs + Math.ceil((1 - saved) * EACH_MS);
};

const spent = (allowance: Allowance, atMs: number): Allowance => {
  const { saved } = filled(allowance, atMs);
  return { saved: saved - 1, atMs };
};

/** When a reading that a report asks for may begin, and what is remembered of it. */
export const paceReading = (memory: PaceMemory, nowMs: number): { memory: PaceMemory; atMs: number } => {
  const atMs = allowedAtMs(memory.readings, nowMs);
  return { memory: { ...memory, readings: spent(memory.readings, atMs) }, atMs };
};

/** What later steps rest on is written at once: who serves, what is recorded, what was ordered. No single agent can flap that. */
const isForced = (before: HAPairStatus | undefined, after: HAPairStatus): boolean => {
  const basis = ({ observedGeneration, failback, master, holder, addresses }: HAPairStatus) => ({
    ...{ observedGeneration, failback, master, holder, addresses },
  });
  return before === undefined || !isEqual(basis(before), basis(after));
};

/** Whether a status that differs from the stored one is written now, and if not, when. */
export const paceStatus = (
  memory: PaceMemory,
  before: HAPairStatus | undefined,
  after: HAPairStatus,
  nowMs: number,
): { memory: PaceMemory; waitsUntilMs?: number } => {
  if (isEqual(before, after) || isForced(before, after)) return { memory };
  const atMs = allowedAtMs(memory.statuses, nowMs);
  if (atMs > nowMs) return { memory, waitsUntilMs: atMs };
  return { memory: { ...memory, statuses: spent(memory.statuses, nowMs) } };
};
