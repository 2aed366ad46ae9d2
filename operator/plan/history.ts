/** `status.history`: the last ten switches with the time each step took. Events vanish after an hour, these do not. */
import type { Reason } from '../../crds/conditions.ts';
import type { HAPairStatus, HistoryEntry } from '../../crds/types.ts';
import type { DeliveryMemory } from '../../delivery/types.ts';
import { formatMicroTime } from '../../runtime/time.ts';
import type { Report } from './elect.ts';
import type { Authority, PairMemory } from './types.ts';

const MOST_ENTRIES = 10;

const whole = (ms: number): number => Math.max(0, Math.round(ms));

/** Why `elected` follows `status.master`; absent: it is the same node. */
export const switchReason = (
  status: HAPairStatus | undefined,
  elected: Report | undefined,
  pin: string | undefined,
): Reason | undefined => {
  if (!elected || elected.node === status?.master) return undefined;
  if (status?.master === undefined) return 'FirstElection';
  if (elected.node === pin) return 'PinnedBySpec';
  const { yieldTerm = 0, reason } = status.failback ?? {};
  if (yieldTerm === 0) return 'Failover';
  return reason === 'AutomaticFailback' ? 'AutomaticFailback' : 'SwitchoverRequested';
};

/** Nobody but `node` was ever elected: `status.history` begins with the first election, and is written with `status.master`. */
export const isFirstMasterOf = (status: HAPairStatus | undefined, node: string): boolean =>
  (status?.history ?? []).every(({ from, to }) => from === undefined && to === node);

const newEntry = (
  status: HAPairStatus | undefined,
  elected: Report,
  authority: Authority,
  reason: Reason,
): HistoryEntry => {
  const reportMs = authority.readWallMs - elected.sinceWallMs;
  return {
    ...(status?.master !== undefined && { from: status.master }),
    to: elected.node,
    term: elected.term,
    reason,
    time: formatMicroTime(authority.readWallMs),
    ...(Number.isFinite(reportMs) && { reportMilliseconds: whole(reportMs) }),
  };
};

/** Fills in how long call and confirmation took, once both are over; an operator that restarted in between does not know. */
const withTimes = (entry: HistoryEntry, authority: Authority, delivery: DeliveryMemory): HistoryEntry => {
  const { node, readAtMs } = authority;
  const { firstAnsweredAtMs, confirmedAtMs } = delivery;
  if (entry.to !== node || entry.confirmMilliseconds !== undefined || confirmedAtMs === undefined)
    return entry;
  if (entry.time !== formatMicroTime(authority.readWallMs)) return entry;
  return {
    ...entry,
    ...(firstAnsweredAtMs !== undefined && { callMilliseconds: whole(firstAnsweredAtMs - readAtMs) }),
    confirmMilliseconds: whole(confirmedAtMs - readAtMs),
  };
};

/** The wanted history: one more entry when another node was elected. */
export const historyOf = (
  status: HAPairStatus | undefined,
  elected: Report | undefined,
  { authority: { head: authority }, delivery }: Pick<PairMemory, 'authority' | 'delivery'>,
  pin: string | undefined,
): HistoryEntry[] => {
  const stored = status?.history ?? [];
  const reason = switchReason(status, elected, pin);
  const entries =
    reason && elected && authority ? [newEntry(status, elected, authority, reason), ...stored] : stored;
  const [newest, ...older] = entries;
  if (!newest || !authority) return entries.slice(0, MOST_ENTRIES);
  return [withTimes(newest, authority, delivery), ...older].slice(0, MOST_ENTRIES);
};
