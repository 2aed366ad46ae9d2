/**
 * Who waits for the tokens of one bucket: by purpose, then first come. Pure; times are monotonic milliseconds.
 *
 * The most urgent purpose of a bucket drinks to the ground; everything else leaves a reserve for it. What has waited for
 * long comes right after the failovers, whatever it is for: a stream of more urgent calls delays a reading, it does not
 * starve it.
 */
import { type EC2Action, isMutation } from './actions.ts';
import { type Bucket, hasToken, msUntilToken } from './bucket.ts';
import { CALL_PURPOSES, type CallPurpose } from './types.ts';

/** Part of a bucket's capacity that is kept for failovers, and among reads for their read-back. */
export const RESERVE = 0.25;
/** Waiting for longer than this, a request comes right after the failovers. */
export const LONG_MS = 10_000;
/** Requests in one line; more are sent away, and come back with their pair's next step. */
const MOST_WAITING = 20_000;

export type Line = ReadonlyMap<CallPurpose, Map<string, number>>;

/** Nobody waits. Each purpose has its own queue: key to the time since when it waits, in the order of arrival. */
export const emptyLine = (): Line => new Map(CALL_PURPOSES.map((purpose) => [purpose, new Map()]));

export const waitingIn = (line: Line): number => {
  let waiting = 0;
  for (const queue of line.values()) waiting += queue.size;
  return waiting;
};

/** Who waits keeps its place; with another purpose it goes to the end of that queue. False: the line is full. */
export const enter = (line: Line, key: string, purpose: CallPurpose, nowMs: number): boolean => {
  const queue = line.get(purpose);
  if (queue?.has(key)) return true;
  leave(line, key);
  if (waitingIn(line) >= MOST_WAITING) return false;
  queue?.set(key, nowMs);
  return true;
};

export const leave = (line: Line, key: string): void => {
  for (const queue of line.values()) queue.delete(key);
};

/** Tokens that must remain when a call of this purpose takes one. */
export const floorOf = (action: EC2Action, purpose: CallPurpose, bucket: Bucket, waitedMs = 0): number => {
  const drinksAll =
    purpose === 'Move' || (!isMutation(action) && (purpose === 'Confirm' || waitedMs >= LONG_MS));
  return drinksAll ? 0 : bucket.size.capacity * RESERVE;
};

/** The next in line, and the tokens it must leave. */
type Next = { key: string; purpose: CallPurpose; floor: number };

/** The heads of the queues in the order of their turn. */
const headsOf = (line: Line, action: EC2Action, bucket: Bucket, nowMs: number): Next[] => {
  const heads = CALL_PURPOSES.flatMap((purpose, rank) => {
    const [first] = line.get(purpose) ?? [];
    if (!first) return [];
    const [key, sinceMs] = first;
    const waitedMs = nowMs - sinceMs;
    const isLong = rank > 0 && waitedMs >= LONG_MS;
    return [{ key, purpose, floor: floorOf(action, purpose, bucket, waitedMs), isLong, rank, sinceMs }];
  });
  const order = (head: (typeof heads)[number]): number => (head.isLong ? 0.5 : head.rank);
  return heads.sort((a, b) => order(a) - order(b) || a.sinceMs - b.sinceMs);
};

/** Whose turn it is now; absent: nobody's, yet. */
export const turnIn = (line: Line, action: EC2Action, bucket: Bucket, nowMs: number): Next | undefined =>
  headsOf(line, action, bucket, nowMs).find(({ floor }) => hasToken(bucket, floor));

/** Milliseconds until it may be somebody's turn, at most; absent: nobody waits. */
export const msUntilTurn = (
  line: Line,
  action: EC2Action,
  bucket: Bucket,
  nowMs: number,
): number | undefined => {
  const [first, ...others] = headsOf(line, action, bucket, nowMs).map(({ floor }) =>
    msUntilToken(bucket, floor),
  );
  return first === undefined ? undefined : Math.min(LONG_MS, first, ...others);
};
