/**
 * Who waits for the tokens of one bucket: by purpose, then by share in turn, then first come. Pure; times are monotonic
 * milliseconds.
 *
 * The most urgent purpose of a bucket drinks to the ground; everything else leaves a reserve for it. What has waited for
 * long comes right after the failovers, whatever it is for, with every other token at most: a stream of more urgent calls delays a
 * reading, it does not starve it, and a crowd that has waited for long starves nobody either.
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

/** Of one share: key to the time since when it waits, in the order of arrival. */
type Queue = Map<string, number>;

/** Who waits. */
export type Line = {
  /** By purpose, then by share; the share whose turn it is comes first. */
  readonly queues: ReadonlyMap<CallPurpose, Map<string, Queue>>;
  /** The last token went to one that had waited for long, past more urgent ones. */
  wasLong: boolean;
};

/** Nobody waits. */
export const emptyLine = (): Line => ({
  queues: new Map(CALL_PURPOSES.map((purpose) => [purpose, new Map()])),
  wasLong: false,
});

export const waitingIn = ({ queues }: Line): number => {
  let waiting = 0;
  for (const shares of queues.values()) for (const queue of shares.values()) waiting += queue.size;
  return waiting;
};

/** Whether somebody waits with this purpose. */
export const isWaitedFor = ({ queues }: Line, purpose: CallPurpose): boolean =>
  (queues.get(purpose)?.size ?? 0) > 0;

/** Who waits keeps its place; with another purpose it goes to the end of that queue. False: the line is full. */
export const enter = (
  line: Line,
  { key, share, purpose }: { key: string; share: string; purpose: CallPurpose },
  nowMs: number,
): boolean => {
  const shares = line.queues.get(purpose);
  if (!shares || shares.get(share)?.has(key)) return true;
  leave(line, { key, share });
  if (waitingIn(line) >= MOST_WAITING) return false;
  shares.set(share, (shares.get(share) ?? new Map()).set(key, nowMs));
  return true;
};

export const leave = ({ queues }: Line, { key, share }: { key: string; share: string }): void => {
  for (const shares of queues.values()) {
    const queue = shares.get(share);
    queue?.delete(key);
    if (queue?.size === 0) shares.delete(share);
  }
};

/** Tokens that must remain when a call of this purpose takes one. */
export const floorOf = (action: EC2Action, purpose: CallPurpose, bucket: Bucket, waitedMs = 0): number => {
  const drinksAll =
    purpose === 'Move' || (!isMutation(action) && (purpose === 'Confirm' || waitedMs >= LONG_MS));
  return drinksAll ? 0 : bucket.size.capacity * RESERVE;
};

/** The next in line, and the tokens it must leave. */
type Next = { key: string; share: string; purpose: CallPurpose; floor: number; isLong: boolean };

/** The heads of the queues in the order of their turn. */
const headsOf = ({ queues, wasLong }: Line, action: EC2Action, bucket: Bucket, nowMs: number): Next[] => {
  const heads = CALL_PURPOSES.flatMap((purpose, rank) => {
    const [first] = queues.get(purpose) ?? [];
    const [oldest] = first?.[1] ?? [];
    if (!first || !oldest) return [];
    const [key, sinceMs] = oldest;
    const waitedMs = nowMs - sinceMs;
    const isLong = rank > 0 && waitedMs >= LONG_MS;
    const floor = floorOf(action, purpose, bucket, waitedMs);
    return [{ key, share: first[0], purpose, floor, isLong, rank, sinceMs }];
  });
  const order = (head: (typeof heads)[number]): number => (head.isLong && !wasLong ? 0.5 : head.rank);
  return heads.sort((a, b) => order(a) - order(b) || a.sinceMs - b.sinceMs);
};

/** Whose turn it is now; absent: nobody's, yet. */
export const turnIn = (line: Line, action: EC2Action, bucket: Bucket, nowMs: number): Next | undefined =>
  headsOf(line, action, bucket, nowMs).find(({ floor }) => hasToken(bucket, floor));

/** Whose turn it was leaves the line, and its share goes behind the others. */
export const serve = (line: Line, { key, share, purpose, isLong }: Next): void => {
  const shares = line.queues.get(purpose);
  const queue = shares?.get(share);
  shares?.delete(share);
  queue?.delete(key);
  if (queue && queue.size > 0) shares?.set(share, queue);
  line.wasLong = isLong && !line.wasLong;
};

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
